//! The writes as payments that the engine makes exactly once.

mod charge;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod kept;
mod refund;
mod stored;
mod tokenize;

pub use kept::{KeptCharge, KeptCommand, KeptRefund};

pub(crate) use charge::outcome as charge_outcome;
pub(crate) use refund::outcome as refund_outcome;

use crate::domain::{ProviderText, Refund};
use crate::idempotency::Outcome;

/// The reference that Zentra gave a refund, where it gave one of its own.
pub(crate) fn own_reference(outcome: &Outcome) -> Option<ProviderText> {
    stored::read::<Refund>(&outcome.payload)?.provider_reference
}
