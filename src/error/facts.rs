//! What log lines and the audit log read off an error.

use super::{Error, MoneyMoved, Reason};

impl Error {
    /// Whether the key's payment was made, as far as this error tells.
    #[must_use]
    pub fn moved(&self) -> MoneyMoved {
        self.details.money_moved
    }

    /// Whether the call sent anything to Zentra that could have an effect.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        self.details.sent
    }

    /// The audit log has a line of this error, or will have one when the work ends.
    #[must_use]
    pub fn audited(mut self) -> Self {
        self.details.is_audited = true;
        self
    }

    /// True where nobody need write a line of it to the audit log any more.
    #[must_use]
    pub fn is_audited(&self) -> bool {
        self.details.is_audited
    }
}

impl Reason {
    /// True where the sidecar itself said no, whatever Zentra might have said.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        match self {
            Self::InvalidRequest
            | Self::RefundExceedsCharge
            | Self::ChargeNotRefundable
            | Self::CardDataRefused
            | Self::CallerNotAllowed
            | Self::PolicyDenied
            | Self::LimitExceeded
            | Self::Stopped
            | Self::IdempotencyStoreUnavailable
            | Self::DeadlineTooShort
            | Self::ShuttingDown
            | Self::CircuitOpen
            | Self::Overloaded => true,
            Self::IdempotencyKeyReused
            | Self::ReferenceAlreadyUsed
            | Self::IdempotencyInProgress
            | Self::OutcomeUnknown
            | Self::OutcomeConflict
            | Self::OutcomeUnresolved
            | Self::OutcomeSettled
            | Self::UpstreamRejected
            | Self::UpstreamAuth
            | Self::NotFound
            | Self::UpstreamNotFound
            | Self::UpstreamRateLimited
            | Self::UpstreamUnreachable
            | Self::UpstreamUnavailable
            | Self::TokenNotReady
            | Self::RecordTooNew => false,
        }
    }
}
