//! What Zentra's trouble with a read means to the caller.

use crate::error::{Error, MoneyMoved, Overload, Reason};
use crate::zentra::{Trouble, TroubleKind};

/// For a read, or for Verify, which moves no money either.
pub(super) fn of_read(trouble: Trouble) -> Error {
    told(trouble, Reason::NotFound).money_moved(MoneyMoved::NotApplicable)
}

/// For the read of a charge that is to be refunded. Nothing was sent, but the refund's key may
/// stand for one that was made before.
pub(super) fn of_charge_to_refund(trouble: Trouble) -> Error {
    told(trouble, Reason::UpstreamNotFound)
}

fn told(trouble: Trouble, not_found: Reason) -> Error {
    let reason = match trouble.kind {
        TroubleKind::RateLimited => Reason::UpstreamRateLimited,
        TroubleKind::Unauthorized => Reason::UpstreamAuth,
        TroubleKind::NotFound => not_found,
        TroubleKind::Rejected => Reason::UpstreamRejected,
        TroubleKind::Conflict => Reason::OutcomeConflict,
        TroubleKind::CircuitOpen(_) => Reason::CircuitOpen,
        TroubleKind::NoTime => Reason::Overloaded,
        TroubleKind::Ending => Reason::ShuttingDown,
        TroubleKind::NotSent
        | TroubleKind::LeaseOver
        | TroubleKind::Doubt
        | TroubleKind::Declined(_)
        | TroubleKind::TokenNotReady
        | TroubleKind::DuplicateReference
        | TroubleKind::KeyReused
        | TroubleKind::InProgress => Reason::UpstreamUnavailable,
    };
    let error = match trouble.kind {
        TroubleKind::NoTime => Error::overloaded(Overload::Queue),
        _ => Error::new(reason),
    };
    let error = error.asked_to_wait(trouble.wait());
    error.provider(trouble.provider).operator_text(trouble.detail)
}
