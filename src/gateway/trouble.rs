//! What Zentra's trouble means to the caller.

use std::time::Duration;

use crate::error::{Error, MoneyMoved, Reason, Retry};
use crate::zentra::{Trouble, TroubleKind};

/// How long to wait after a 429 that does not say: Zentra's documented `Retry-After`.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(60);

/// For a call that may move money.
pub(super) fn of_write(trouble: Trouble) -> Error {
    let reason = match trouble.kind {
        TroubleKind::NotSent => Reason::UpstreamUnreachable,
        TroubleKind::RateLimited(_) => Reason::UpstreamRateLimited,
        TroubleKind::Unauthorized => Reason::UpstreamAuth,
        TroubleKind::NotFound => Reason::UpstreamNotFound,
        TroubleKind::Rejected => Reason::UpstreamRejected,
        TroubleKind::TokenNotReady => Reason::TokenNotReady,
        TroubleKind::DuplicateReference => Reason::ReferenceAlreadyUsed,
        TroubleKind::KeyReused => Reason::IdempotencyKeyReused,
        TroubleKind::InProgress => Reason::IdempotencyInProgress,
        TroubleKind::Conflict => Reason::OutcomeConflict,
        // A decline is an outcome and is handled where it can be one; elsewhere it is doubt.
        TroubleKind::Doubt | TroubleKind::Declined(_) => Reason::OutcomeUnknown,
    };
    let sent = trouble.kind != TroubleKind::NotSent;
    with_note(Error::new(reason).sent(sent), trouble)
}

/// For a read, or for Verify, which moves no money either.
pub(super) fn of_read(trouble: Trouble) -> Error {
    let reason = match trouble.kind {
        TroubleKind::RateLimited(_) => Reason::UpstreamRateLimited,
        TroubleKind::Unauthorized => Reason::UpstreamAuth,
        TroubleKind::NotFound => Reason::NotFound,
        TroubleKind::Rejected => Reason::UpstreamRejected,
        TroubleKind::Conflict => Reason::OutcomeConflict,
        TroubleKind::NotSent
        | TroubleKind::Doubt
        | TroubleKind::Declined(_)
        | TroubleKind::TokenNotReady
        | TroubleKind::DuplicateReference
        | TroubleKind::KeyReused
        | TroubleKind::InProgress => Reason::UpstreamUnavailable,
    };
    with_note(Error::new(reason).money_moved(MoneyMoved::NotApplicable), trouble)
}

fn with_note(error: Error, trouble: Trouble) -> Error {
    let error = if let TroubleKind::RateLimited(wait) = trouble.kind {
        error.retry(Retry::After(wait.unwrap_or(RATE_LIMIT_WAIT)))
    } else {
        error
    };
    error.provider(trouble.provider).operator_text(trouble.detail)
}
