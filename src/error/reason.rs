//! What each reason is called, whose fault it is, and what its caller does next.

use std::time::Duration;

use super::{Culprit, Reason, Retry};

impl Reason {
    /// The word in `google.rpc.ErrorInfo.reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::ReferenceAlreadyUsed => "REFERENCE_ALREADY_USED",
            Self::IdempotencyInProgress => "IDEMPOTENCY_IN_PROGRESS",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::OutcomeConflict => "OUTCOME_CONFLICT",
            Self::UpstreamRejected => "UPSTREAM_REJECTED",
            Self::UpstreamAuth => "UPSTREAM_AUTH",
            Self::NotFound => "NOT_FOUND",
            Self::UpstreamNotFound => "UPSTREAM_NOT_FOUND",
            Self::UpstreamRateLimited => "UPSTREAM_RATE_LIMITED",
            Self::UpstreamUnreachable => "UPSTREAM_UNREACHABLE",
            Self::UpstreamUnavailable => "UPSTREAM_UNAVAILABLE",
            Self::TokenNotReady => "TOKEN_NOT_READY",
            Self::RefundExceedsCharge => "REFUND_EXCEEDS_CHARGE",
            Self::ChargeNotRefundable => "CHARGE_NOT_REFUNDABLE",
            Self::CardDataRefused => "CARD_DATA_REFUSED",
            Self::CallerNotAllowed => "CALLER_NOT_ALLOWED",
            Self::PolicyDenied => "POLICY_DENIED",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::Stopped => "STOPPED",
            Self::OutcomeUnresolved => "OUTCOME_UNRESOLVED",
            Self::OutcomeSettled => "OUTCOME_SETTLED",
            Self::IdempotencyStoreUnavailable => "IDEMPOTENCY_STORE_UNAVAILABLE",
            Self::RecordTooNew => "RECORD_TOO_NEW",
            Self::DeadlineTooShort => "DEADLINE_TOO_SHORT",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::CircuitOpen => "CIRCUIT_OPEN",
            Self::Overloaded => "OVERLOADED",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn culprit(self) -> Culprit {
        match self {
            Self::InvalidRequest
            | Self::IdempotencyKeyReused
            | Self::ReferenceAlreadyUsed
            | Self::IdempotencyInProgress
            | Self::UpstreamRejected
            | Self::NotFound
            | Self::UpstreamNotFound
            | Self::TokenNotReady
            | Self::RefundExceedsCharge
            | Self::ChargeNotRefundable
            | Self::CardDataRefused
            | Self::CallerNotAllowed
            | Self::PolicyDenied
            | Self::LimitExceeded
            | Self::OutcomeSettled
            | Self::DeadlineTooShort => Culprit::Caller,
            Self::OutcomeUnknown
            | Self::OutcomeConflict
            | Self::OutcomeUnresolved
            | Self::UpstreamRateLimited
            | Self::UpstreamUnreachable
            | Self::UpstreamUnavailable
            | Self::CircuitOpen => Culprit::Zentra,
            Self::UpstreamAuth
            | Self::IdempotencyStoreUnavailable
            | Self::RecordTooNew
            | Self::ShuttingDown
            | Self::Stopped
            | Self::Overloaded => Culprit::Sidecar,
        }
    }

    /// The usual advice on trying again.
    pub(super) fn retry(self) -> Retry {
        match self {
            Self::InvalidRequest
            | Self::IdempotencyKeyReused
            | Self::ReferenceAlreadyUsed
            | Self::OutcomeConflict
            | Self::UpstreamRejected
            | Self::NotFound
            | Self::UpstreamNotFound
            | Self::TokenNotReady
            | Self::RefundExceedsCharge
            | Self::ChargeNotRefundable
            | Self::CardDataRefused
            | Self::CallerNotAllowed
            | Self::PolicyDenied
            | Self::OutcomeUnresolved
            | Self::OutcomeSettled => Retry::Never,
            Self::DeadlineTooShort | Self::Overloaded | Self::ShuttingDown => {
                Retry::After(Duration::from_millis(100))
            }
            Self::RecordTooNew => Retry::After(Duration::from_secs(5)),
            Self::IdempotencyInProgress
            | Self::OutcomeUnknown
            | Self::IdempotencyStoreUnavailable
            | Self::UpstreamUnreachable
            | Self::UpstreamUnavailable
            | Self::CircuitOpen => Retry::After(Duration::from_secs(1)),
            // What an operator has to mend takes longer than a blip.
            Self::UpstreamAuth => Retry::After(Duration::from_secs(30)),
            // A full limit says itself when it has room again.
            Self::UpstreamRateLimited | Self::Stopped | Self::LimitExceeded => {
                Retry::After(Duration::from_secs(60))
            }
        }
    }

    /// What the caller's developer reads.
    #[must_use]
    pub fn caller_text(self) -> &'static str {
        if let Some(text) = self.refusal_text() {
            return text;
        }
        match self {
            Self::RefundExceedsCharge
            | Self::ChargeNotRefundable
            | Self::CardDataRefused
            | Self::CallerNotAllowed
            | Self::PolicyDenied
            | Self::LimitExceeded
            | Self::OutcomeSettled
            | Self::Stopped => "The sidecar does not make this payment.",
            Self::InvalidRequest => "The request has faults; see the field violations.",
            Self::IdempotencyKeyReused => {
                "This idempotency key was used for another payment; use a new key for a new payment."
            }
            Self::ReferenceAlreadyUsed => "This reference was used for another payment.",
            Self::IdempotencyInProgress => {
                "The same payment is being made; try again with the same key."
            }
            Self::OutcomeUnknown => {
                "It is not known yet whether the payment was made; try again with the same key, \
                 never with a new one."
            }
            Self::OutcomeConflict => {
                "The provider's answer contradicts what was asked; an operator has to look at it."
            }
            Self::UpstreamRejected => "The provider refused the request's content.",
            Self::UpstreamAuth => {
                "The provider does not accept the sidecar's key; an operator has to mend it."
            }
            Self::NotFound => "There is no such payment.",
            Self::UpstreamNotFound => {
                "Something that the request names does not exist at the provider."
            }
            Self::UpstreamRateLimited => "The provider's rate limit is used up; try again later.",
            Self::UpstreamUnreachable => {
                "The provider could not be reached and nothing was processed; try again with the same \
                 key."
            }
            Self::UpstreamUnavailable => "The provider could not answer; try again.",
            Self::TokenNotReady => {
                "The payment token is not ready for renewals: its first charge must be verified; \
                 then use a new key and reference."
            }
            Self::OutcomeUnresolved => {
                "It is not known whether the payment was made, and the provider can no longer \
                 tell; an operator has to settle it."
            }
            Self::IdempotencyStoreUnavailable => {
                "The idempotency store could not be used in time and nothing was sent; try again \
                 with the same key."
            }
            Self::RecordTooNew => {
                "A newer release of the sidecar is at work on this payment; try again with the \
                 same key."
            }
            Self::DeadlineTooShort => {
                "The deadline leaves no time for a payment; try again with the same key and more \
                 time."
            }
            Self::ShuttingDown => "The sidecar is about to end; try again with the same key.",
            Self::CircuitOpen => {
                "The provider has failed again and again, so that nothing is sent for a while; \
                 try again with the same key."
            }
            Self::Overloaded => {
                "The sidecar has as many calls under way as it takes; try again with the same key."
            }
        }
    }

    /// Why the sidecar itself does not make a payment, or not any more.
    fn refusal_text(self) -> Option<&'static str> {
        Some(match self {
            Self::RefundExceedsCharge => "The refund is larger than what is left of its charge.",
            Self::ChargeNotRefundable => "The charge did not succeed: there is nothing to refund.",
            Self::CardDataRefused => {
                "This sidecar does not accept card data; tokenize through the gateway that does."
            }
            Self::CallerNotAllowed => {
                "This caller may not call this sidecar; whoever runs it has to allow it."
            }
            Self::PolicyDenied => {
                "The payment policy does not allow this; the metadata names the rule."
            }
            Self::LimitExceeded => {
                "A limit of the payment policy is used up; the metadata names it, and when to try \
                 again."
            }
            Self::Stopped => {
                "Whoever runs the sidecar has stopped such payments for now; try again later with \
                 the same key."
            }
            Self::OutcomeSettled => {
                "An operator found that this payment was not made; use a new key to make it."
            }
            _ => return None,
        })
    }
}
