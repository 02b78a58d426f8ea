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

use crate::domain::{Money, ProviderText, Refund};
use crate::idempotency::{Class, Namespace, Outcome, Record};

/// The reference that Zentra gave a refund, where it gave one of its own.
/// The money that an outcome has moved, where a record had not told so before.
pub(crate) fn money_moved(record: &Record, outcome: &Outcome) -> Option<Money> {
    let was_told = record.outcome.as_ref().is_some_and(|before| before.class == Class::Succeeded);
    if was_told || outcome.class != Class::Succeeded {
        return None;
    }
    match Namespace::of(record.subject.operation)? {
        Namespace::Charge => charge::came(&stored::read(&outcome.payload)?).moved,
        Namespace::Refund => refund::came(&stored::read(&outcome.payload)?).moved,
    }
}

pub(crate) fn own_reference(outcome: &Outcome) -> Option<ProviderText> {
    stored::read::<Refund>(&outcome.payload)?.provider_reference
}
