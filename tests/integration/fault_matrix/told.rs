//! What a caller asked for, and what it was told.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use zentra_sidecar::grpc::proto;

use super::lab::CUSTOMER;

/// A charge as a caller orders it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) key: String,
    pub(crate) reference: String,
    pub(crate) amount_minor: i64,
    pub(crate) customer: String,
    /// Another card than the sidecar's.
    pub(crate) token: Option<String>,
    /// Who is behind it; empty where nobody is named.
    pub(crate) actor: String,
    pub(crate) deadline: Duration,
}

/// The order of this reference, under a key of its own.
pub(crate) fn order(reference: &str) -> Order {
    Order {
        key: format!("key-{reference}"),
        reference: reference.to_owned(),
        amount_minor: 1000,
        customer: CUSTOMER.to_owned(),
        token: None,
        actor: String::new(),
        deadline: Duration::from_secs(20),
    }
}

impl Order {
    pub(crate) fn key(self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self }
    }

    pub(crate) fn amount(self, amount_minor: i64) -> Self {
        Self { amount_minor, ..self }
    }

    /// On this card of this customer.
    pub(crate) fn on(self, customer: &str, token: &str) -> Self {
        Self { customer: customer.to_owned(), token: Some(token.to_owned()), ..self }
    }

    pub(crate) fn by(self, actor: &str) -> Self {
        Self { actor: actor.to_owned(), ..self }
    }

    pub(crate) fn within_ms(self, deadline_ms: u64) -> Self {
        Self { deadline: Duration::from_millis(deadline_ms), ..self }
    }
}

/// What a caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// This became of the payment.
    Outcome(Outcome),
    /// This went wrong.
    Error(Fault),
    /// The connection or the caller's own deadline ended the call: unknown.
    Nothing(Code),
}

/// A payment as its caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) id: String,
    pub(crate) reference: String,
    pub(crate) amount_minor: i64,
    pub(crate) status: &'static str,
    pub(crate) path: &'static str,
    pub(crate) posts: u32,
}

/// An error as its caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) money_moved: String,
    pub(crate) sent: String,
    /// The rule or the limit that refused.
    pub(crate) rule: String,
    /// The wait of `RetryInfo`.
    pub(crate) retry_after: Option<Duration>,
}

impl Told {
    pub(crate) fn of_charge(
        answer: Result<(Option<proto::Charge>, Option<proto::Execution>), Status>,
    ) -> Self {
        let (charge, execution) = match answer {
            Ok((charge, execution)) => (charge.unwrap(), execution.unwrap()),
            Err(status) => return Self::of_status(&status),
        };
        Self::Outcome(Outcome {
            status: charge.status().as_str_name().trim_start_matches("CHARGE_STATUS_"),
            id: charge.id,
            reference: charge.reference,
            amount_minor: charge.amount.unwrap().amount_minor,
            path: execution.path().as_str_name().trim_start_matches("EXECUTION_PATH_"),
            posts: execution.attempts,
        })
    }

    pub(crate) fn of_refund(answer: Result<proto::RefundResponse, Status>) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(status) => return Self::of_status(&status),
        };
        let (refund, execution) = (answer.refund.unwrap(), answer.execution.unwrap());
        Self::Outcome(Outcome {
            status: refund.status().as_str_name().trim_start_matches("REFUND_STATUS_"),
            id: refund.id,
            reference: refund.reference,
            amount_minor: refund.amount.unwrap().amount_minor,
            path: execution.path().as_str_name().trim_start_matches("EXECUTION_PATH_"),
            posts: execution.attempts,
        })
    }

    pub(crate) fn of_status(status: &Status) -> Self {
        let Some(info) = status.get_details_error_info() else {
            return Self::Nothing(status.code());
        };
        assert_eq!(info.domain, "zentra-sidecar");
        let word = |name: &str| info.metadata.get(name).cloned().unwrap_or_default();
        Self::Error(Fault {
            code: status.code(),
            money_moved: word("money_moved"),
            sent: word("sent"),
            rule: word("rule_id"),
            reason: info.reason,
            retry_after: status.get_details_retry_info().and_then(|info| info.retry_delay),
        })
    }

    /// The payment; the test ends where there is none.
    #[track_caller]
    pub(crate) fn outcome(&self) -> &Outcome {
        match self {
            Self::Outcome(outcome) => outcome,
            other => panic!("no outcome: {other:?}"),
        }
    }

    /// The reason of a fault, where there is one.
    pub(crate) fn fault_reason(&self) -> Option<&str> {
        match self {
            Self::Error(fault) => Some(&fault.reason),
            Self::Outcome(_) | Self::Nothing(_) => None,
        }
    }

    /// The fault; the test ends where there is none.
    #[track_caller]
    pub(crate) fn fault(&self) -> &Fault {
        match self {
            Self::Error(fault) => fault,
            other => panic!("no fault: {other:?}"),
        }
    }

    /// Paid, and how that came about: `DIRECT`, `REPLAYED`, `RECOVERED`.
    #[track_caller]
    pub(crate) fn is_paid(&self, path: &str) {
        let outcome = self.outcome();
        assert_eq!((outcome.status, outcome.path), ("SUCCEEDED", path), "{self:?}");
    }

    /// A fault of this code and reason, saying this of the money.
    #[track_caller]
    pub(crate) fn is_fault(&self, code: Code, reason: &str, money_moved: &str) {
        let fault = self.fault();
        let is = (fault.code, fault.reason.as_str(), fault.money_moved.as_str());
        assert_eq!(is, (code, reason, money_moved), "{self:?}");
    }

    /// `OUTCOME_UNKNOWN`: the same key finds out.
    #[track_caller]
    pub(crate) fn is_unknown(&self) {
        self.is_fault(Code::Unavailable, "OUTCOME_UNKNOWN", "unknown");
    }

    /// The connection broke: the process is gone.
    #[track_caller]
    pub(crate) fn is_cut_off(&self) {
        assert!(matches!(self, Self::Nothing(_)), "{self:?}");
    }
}
