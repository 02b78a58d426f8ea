//! On which terms a payment is made, unless its record says otherwise.

use crate::error::Error;
use crate::idempotency::Take;

/// What a payment that has no record yet is subject to. A record beats all of it: what was begun
/// is told as it is.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// What the caller hears; nothing is begun then.
    pub refusal: Option<Error>,
    /// What it takes from limits, and from what is left of a charge to give back.
    pub takes: Vec<Take>,
}

impl Terms {
    /// Nothing is begun.
    #[must_use]
    pub fn refused(refusal: Option<Error>) -> Self {
        Self { refusal, takes: Vec::new() }
    }
}
