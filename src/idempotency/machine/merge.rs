//! What a second outcome does to a first.

use crate::idempotency::record::{Class, Outcome};

/// What becomes of the stored outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// The new one is further on.
    Replace,
    /// The stored one stays: the new one is older, or says no more.
    Keep,
    /// They cannot both be true of one payment.
    Contradiction,
}

/// An open outcome moves forward only; a final one keeps its class.
pub(super) fn merge(stored: &Outcome, new: &Outcome) -> Merge {
    if let (Some(one), Some(other)) = (&stored.provider_id, &new.provider_id)
        && one != other
    {
        return Merge::Contradiction;
    }
    // A decline that names no object says nothing of one that is known.
    let nameless = new.provider_id.is_none() && stored.provider_id.is_some();
    match (stored.class, new.class) {
        (Class::Open, Class::Open) | (Class::Succeeded, Class::Succeeded) => {
            if new.phase > stored.phase { Merge::Replace } else { Merge::Keep }
        }
        (Class::Open | Class::Succeeded, Class::Failed) if nameless => Merge::Keep,
        (Class::Open, Class::Succeeded | Class::Failed | Class::NotHappened) => Merge::Replace,
        (Class::Succeeded, Class::Failed | Class::NotHappened)
        | (Class::Failed, Class::Succeeded)
        | (Class::NotHappened, Class::Open | Class::Succeeded) => Merge::Contradiction,
        (Class::Succeeded, Class::Open)
        | (Class::Failed, Class::Open | Class::Failed | Class::NotHappened)
        | (Class::NotHappened, Class::Failed | Class::NotHappened) => Merge::Keep,
    }
}
