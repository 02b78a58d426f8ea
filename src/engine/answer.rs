//! What a caller is told, from what the record says.

use std::time::Duration;

use super::payment::Payment;
use super::{Executed, Shared};
use crate::domain::{Execution, ExecutionPath, ProviderText};
use crate::error::{Error, MoneyMoved, Overload, Reason, Retry};
use crate::idempotency::{Class, Full, Outcome, Record, State, Stop, StoreError};
use crate::zentra::{Trouble, TroubleKind};

/// How long a caller is sent away, at least and at most, whose payment is unknown: its next try is
/// what finds out, by a look-up that even a Zentra in trouble is worth.
const UNKNOWN_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Shared {
    /// The answer of a payment that is done.
    pub(super) fn replay<P: Payment>(
        &self,
        payment: &P,
        record: &Record,
    ) -> Result<Executed<P::Value>, Error> {
        let Some(outcome) = &record.outcome else {
            return Err(Error::new(Reason::OutcomeUnknown).operator_text("done without outcome"));
        };
        if outcome.class == Class::NotHappened {
            return Err(Error::new(Reason::OutcomeSettled).money_moved(MoneyMoved::No));
        }
        let value = payment.value(outcome).ok_or_else(|| {
            Error::new(Reason::RecordTooNew).operator_text("the stored outcome cannot be read")
        })?;
        // What was seen of a payment before the store lost it may come in after its key was used
        // for something else.
        if !payment.fits(&value) {
            let error = Error::new(Reason::OutcomeConflict);
            return Err(error.operator_text("the stored outcome is another payment's"));
        }
        Ok(self.executed(value, record.posts, ExecutionPath::Replayed, None))
    }

    pub(super) fn executed<T>(
        &self,
        value: T,
        attempts: u32,
        path: ExecutionPath,
        provider_request_id: Option<ProviderText>,
    ) -> Executed<T> {
        let environment = self.environment;
        Executed {
            value,
            execution: Execution { attempts, provider_request_id, path, environment },
        }
    }
}

/// Whether the payment of a key that was used for something else was made. Never `no`: after a
/// loss of the store the other content may be sent under the same key while this is told.
fn as_recorded(record: &Record) -> MoneyMoved {
    match (record.state, record.outcome.as_ref().map(|outcome| outcome.class)) {
        (State::Done, Some(Class::Succeeded)) => MoneyMoved::Yes,
        _ => MoneyMoved::Unknown,
    }
}

/// The key was used for something else.
pub(super) fn key_reused(record: &Record) -> Error {
    Error::new(Reason::IdempotencyKeyReused).money_moved(as_recorded(record))
}

/// Another key has the reference; its status is for its own caller only.
pub(super) fn reference_taken(other: Option<&Outcome>, money_moved: MoneyMoved) -> Error {
    let error = Error::new(Reason::ReferenceAlreadyUsed).money_moved(money_moved);
    match other {
        Some(outcome) => error.status(outcome.class.as_str()),
        None => error,
    }
}

/// An operator's stop covers the payment.
pub(super) fn stopped(stop: &Stop) -> Error {
    Error::new(Reason::Stopped).rule(stop.id.as_str(), stop.reason.as_str())
}

/// A limit has no room for the payment, or the charge for the refund.
pub(super) fn limit_full(full: &Full) -> Error {
    match full.resets_in_ms {
        Some(resets_in_ms) => Error::new(Reason::LimitExceeded)
            .rule(full.limit.as_str(), "")
            .retry(Retry::After(Duration::from_millis(resets_in_ms))),
        None => {
            let left = i64::try_from(full.left).unwrap_or(i64::MAX);
            Error::new(Reason::RefundExceedsCharge).remaining_minor(left)
        }
    }
}

/// The store failed before anything was sent.
pub(super) fn store_failed(fault: &StoreError) -> Error {
    Error::new(Reason::IdempotencyStoreUnavailable).operator_text(fault.to_string())
}

/// The outcome is unknown, and the next try with the same key finds out.
pub(super) fn unknown(sent: bool, why: impl Into<Box<str>>) -> Error {
    Error::new(Reason::OutcomeUnknown).sent(sent).operator_text(why)
}

/// What Zentra's refusal means to the caller. It says nothing of money yet: only a release that
/// the store confirmed does.
pub(super) fn refused(trouble: &Trouble) -> Error {
    let reason = match trouble.kind {
        TroubleKind::NotSent => Reason::UpstreamUnreachable,
        TroubleKind::NoTime => Reason::Overloaded,
        TroubleKind::Ending => Reason::ShuttingDown,
        TroubleKind::CircuitOpen(_) => Reason::CircuitOpen,
        TroubleKind::RateLimited => Reason::UpstreamRateLimited,
        TroubleKind::Unauthorized => Reason::UpstreamAuth,
        TroubleKind::NotFound => Reason::UpstreamNotFound,
        TroubleKind::Rejected | TroubleKind::Declined(_) => Reason::UpstreamRejected,
        TroubleKind::TokenNotReady => Reason::TokenNotReady,
        TroubleKind::DuplicateReference => Reason::ReferenceAlreadyUsed,
        TroubleKind::KeyReused => Reason::IdempotencyKeyReused,
        TroubleKind::Conflict => Reason::OutcomeConflict,
        TroubleKind::InProgress | TroubleKind::Doubt | TroubleKind::LeaseOver => {
            Reason::OutcomeUnknown
        }
    };
    let error = match trouble.kind {
        TroubleKind::NoTime => Error::overloaded(Overload::Queue),
        _ => Error::new(reason),
    };
    noted(error.sent(!trouble.kind.was_kept_back()), trouble)
}

/// With what Zentra said, and with its wait where it asks for less.
pub(super) fn noted(error: Error, trouble: &Trouble) -> Error {
    let wait = match error.reason() {
        Reason::OutcomeUnknown => trouble.wait().map(|it| it.clamp(UNKNOWN_WAIT.0, UNKNOWN_WAIT.1)),
        _ => trouble.wait(),
    };
    let error = error.asked_to_wait(wait);
    error.provider(trouble.provider.clone()).operator_text(trouble.detail.as_ref())
}
