//! What log lines and the audit log read off an error.

use std::sync::Arc;

use super::{Error, MoneyMoved, Reason};

/// What the policy decided of a call that it denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// The first rule that denies it; none where no rule permits it.
    pub rule_id: Option<Arc<str>>,
    /// What the caller reads: the rule's own message where it has one.
    pub message: Arc<str>,
    /// The policy, by its content.
    pub policy_hash: Arc<str>,
}

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

    /// Says what the policy decided, and by which rule.
    #[must_use]
    pub fn ruled(mut self, ruled: Ruled) -> Self {
        self.details.ruled = Some(ruled);
        self
    }

    /// What the policy decided, where it denied the call.
    #[must_use]
    pub fn policy(&self) -> Option<&Ruled> {
        self.details.ruled.as_ref()
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
            | Self::PolicyDenied
            | Self::CallerNotAllowed
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
