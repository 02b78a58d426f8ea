//! The one error type. It knows from birth whose fault it is, whether the same call may be tried
//! again and whether money moved, and it keeps what the caller reads apart from what the operator
//! reads.

mod facts;
mod reason;

use std::fmt;
use std::time::Duration;

pub use facts::{Overload, Ruled};

use crate::domain::{ProviderText, Violations};

/// What went wrong, as callers see it in `google.rpc.ErrorInfo.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A field is missing or malformed; every fault is listed.
    InvalidRequest,
    /// The key was used for another payment.
    IdempotencyKeyReused,
    /// The reference was used under another key.
    ReferenceAlreadyUsed,
    /// The same payment is being made by another call.
    IdempotencyInProgress,
    /// It is not known whether the payment was made.
    OutcomeUnknown,
    /// Zentra's answers contradict each other or what was asked.
    OutcomeConflict,
    /// Zentra refused the request's content.
    UpstreamRejected,
    /// Zentra refused the sidecar's key.
    UpstreamAuth,
    /// What was to be read does not exist.
    NotFound,
    /// Something that a write names does not exist at Zentra.
    UpstreamNotFound,
    /// Zentra's rate limit is used up.
    UpstreamRateLimited,
    /// Zentra could not be reached, and nothing was sent.
    UpstreamUnreachable,
    /// A read failed at Zentra.
    UpstreamUnavailable,
    /// The payment token is not ready for renewals.
    TokenNotReady,
    /// The refund is larger than its charge.
    RefundExceedsCharge,
    /// The charge did not succeed, so that there is nothing to refund.
    ChargeNotRefundable,
    /// Card data is not accepted by this sidecar.
    CardDataRefused,
    /// Who calls may not.
    CallerNotAllowed,
    /// The payment policy does not allow it.
    PolicyDenied,
    /// A limit of the payment policy is used up.
    LimitExceeded,
    /// An operator has stopped such payments.
    Stopped,
    /// Nobody knows whether the payment was made, and Zentra can no longer tell.
    OutcomeUnresolved,
    /// An operator found that the payment was not made.
    OutcomeSettled,
    /// The store could not be used in time; without it nothing is sent.
    IdempotencyStoreUnavailable,
    /// A newer release of the sidecar wrote the payment's record.
    RecordTooNew,
    /// The caller's deadline leaves no time for the work.
    DeadlineTooShort,
    /// The sidecar is about to end.
    ShuttingDown,
    /// Zentra has failed again and again, so that nothing is sent for a while.
    CircuitOpen,
    /// More calls are under way than the sidecar takes.
    Overloaded,
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Culprit {
    /// The calling service.
    Caller,
    /// Zentra, or the way there.
    Zentra,
    /// The sidecar or its settings.
    Sidecar,
}

/// Whether the same call, with the same key, should be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would end the same way.
    Never,
    /// After this long. On another sidecar where this one is about to end.
    After(Duration),
}

/// Whether the payment of this call's key was made. It speaks of the key, not of this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MoneyMoved {
    /// It was not, and nothing of it is under way.
    No,
    /// It was.
    Yes,
    /// Nobody can say yet.
    Unknown,
    /// The call can move no money.
    NotApplicable,
}

/// What Zentra said, as far as it may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderNote {
    /// Zentra's id of the request.
    pub request_id: Option<ProviderText>,
    /// Zentra's error code, where it is one that this release knows.
    pub code: Option<&'static str>,
    /// The HTTP status.
    pub http_status: Option<u16>,
}

/// An error on its way to the caller.
#[derive(Clone, Debug)]
pub struct Error {
    reason: Reason,
    details: Box<Details>,
}

#[derive(Clone, Debug)]
struct Details {
    money_moved: MoneyMoved,
    sent: bool,
    retry: Retry,
    provider: ProviderNote,
    reference: Option<Box<str>>,
    violations: Violations,
    remaining_minor: Option<i64>,
    status: Option<&'static str>,
    ruled: Option<Ruled>,
    operator_text: Box<str>,
    attempts: Option<u32>,
    overload: Option<Overload>,
    is_audited: bool,
}

impl Error {
    /// An error about which nothing is known but its reason: nothing was sent by this call, and
    /// nobody can say whether the key's payment was made.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        let details = Details {
            money_moved: MoneyMoved::Unknown,
            sent: false,
            retry: reason.retry(),
            provider: ProviderNote::default(),
            reference: None,
            violations: Violations::default(),
            remaining_minor: None,
            status: None,
            ruled: None,
            operator_text: "".into(),
            attempts: None,
            overload: None,
            is_audited: false,
        };
        Self { reason, details: Box::new(details) }
    }

    /// A request with faults in its fields.
    #[must_use]
    pub fn invalid(violations: Violations) -> Self {
        let mut error = Self::new(Reason::InvalidRequest);
        error.details.violations = violations;
        error
    }

    /// Says whether the key's payment was made.
    #[must_use]
    pub fn money_moved(mut self, money_moved: MoneyMoved) -> Self {
        self.details.money_moved = money_moved;
        self
    }

    /// Says whether this call sent anything to Zentra that could have an effect.
    #[must_use]
    pub fn sent(mut self, sent: bool) -> Self {
        self.details.sent = sent;
        self
    }

    /// Asks for another wait before the next try than the reason's usual one.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.details.retry = retry;
        self
    }

    /// With the wait that is asked for, where one is; what would end the same way stays so.
    #[must_use]
    pub fn asked_to_wait(self, wait: Option<Duration>) -> Self {
        match (self.details.retry, wait) {
            (Retry::After(_), Some(wait)) => self.retry(Retry::After(wait)),
            _ => self,
        }
    }

    /// Adds what Zentra said.
    #[must_use]
    pub fn provider(mut self, provider: ProviderNote) -> Self {
        self.details.provider = provider;
        self
    }

    /// The same, unless Zentra's word is there already.
    #[must_use]
    pub fn last_provider(self, provider: &ProviderNote) -> Self {
        match self.details.provider == ProviderNote::default() {
            true => self.provider(provider.clone()),
            false => self,
        }
    }

    /// How many POSTs of the payment there have been, for operators.
    #[must_use]
    pub fn attempts(mut self, posts: u32) -> Self {
        self.details.attempts = Some(posts);
        self
    }

    /// How many POSTs of the payment there have been; none where no work on it began.
    #[must_use]
    pub fn attempts_made(&self) -> Option<u32> {
        self.details.attempts
    }

    /// Names the payment.
    #[must_use]
    pub fn reference(mut self, reference: &str) -> Self {
        self.details.reference = Some(reference.into());
        self
    }

    /// Says how much of a charge is left to be refunded.
    #[must_use]
    pub fn remaining_minor(mut self, remaining_minor: i64) -> Self {
        self.details.remaining_minor = Some(remaining_minor);
        self
    }

    /// Says what became of the other payment with this reference, to its own caller.
    #[must_use]
    pub fn status(mut self, status: &'static str) -> Self {
        self.details.status = Some(status);
        self
    }

    /// Adds what only the operator reads. It must hold nothing that Zentra or a caller wrote.
    #[must_use]
    pub fn operator_text(mut self, text: impl Into<Box<str>>) -> Self {
        self.details.operator_text = text.into();
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Every fault of the request's fields.
    #[must_use]
    pub fn violations(&self) -> &Violations {
        &self.details.violations
    }

    /// When to try the same key again.
    #[must_use]
    pub fn retry_advice(&self) -> Retry {
        self.details.retry
    }

    /// What Zentra said.
    #[must_use]
    pub fn provider_note(&self) -> &ProviderNote {
        &self.details.provider
    }

    /// What the operator reads; empty where the reason says it all.
    #[must_use]
    pub fn for_operator(&self) -> &str {
        &self.details.operator_text
    }

    /// The metadata of `google.rpc.ErrorInfo`, but for the request's id.
    pub fn metadata(&self) -> impl Iterator<Item = (&'static str, String)> {
        let details = &*self.details;
        let write = details.money_moved != MoneyMoved::NotApplicable;
        let ruled = details.ruled.as_ref();
        let remaining = details.remaining_minor.map(|amount| amount.to_string());
        [
            ("money_moved", write.then(|| details.money_moved.as_str().to_owned())),
            ("sent", write.then(|| details.sent.to_string())),
            ("reference", details.reference.as_deref().map(str::to_owned)),
            ("provider_request_id", details.provider.request_id.as_ref().map(|it| it.to_string())),
            ("provider_code", details.provider.code.map(str::to_owned)),
            ("remaining_minor", remaining),
            ("status", details.status.map(str::to_owned)),
            ("rule_id", ruled.and_then(|it| it.rule_id.as_deref()).map(str::to_owned)),
            ("rule_message", ruled.and_then(|it| it.message.as_deref()).map(str::to_owned)),
            ("policy_hash", ruled.and_then(|it| it.policy_hash.as_deref()).map(str::to_owned)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

impl MoneyMoved {
    /// The word in `google.rpc.ErrorInfo.metadata`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Unknown => "unknown",
            Self::NotApplicable => "-",
        }
    }
}

impl fmt::Display for Error {
    /// What the operator reads.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reason.as_str())?;
        if !self.details.violations.is_empty() {
            write!(formatter, ": {}", self.details.violations)?;
        }
        if !self.details.operator_text.is_empty() {
            write!(formatter, ": {}", self.details.operator_text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
