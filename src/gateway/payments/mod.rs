//! The writes as payments that the engine makes exactly once.

mod audited;
mod charge;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod kept;
mod refund;
mod stored;
mod tokenize;

pub use kept::{KeptCharge, KeptCommand, KeptRefund};

pub(crate) use audited::Audited;
pub(crate) use charge::outcome as charge_outcome;
pub(crate) use refund::outcome as refund_outcome;

use crate::domain::{Operation, ProviderText, Refund, TokenizeCommand};
use crate::engine::Payment as _;
use crate::idempotency::{Namespace, Outcome};
use crate::telemetry::Came;

/// What a stored outcome says to operators; none where a newer release wrote it.
pub(crate) fn came(operation: Operation, outcome: &Outcome) -> Option<Came> {
    match Namespace::of(operation) {
        Some(Namespace::Charge) => Some(charge::came(&stored::read(&outcome.payload)?)),
        Some(Namespace::Refund) => Some(refund::came(&stored::read(&outcome.payload)?)),
        None => Some(TokenizeCommand::came(&stored::read(&outcome.payload)?)),
    }
}

/// What a refund came to, in minor units; none of other payments, which come to what was asked.
pub(crate) fn amount(operation: Operation, outcome: &Outcome) -> Option<u64> {
    let refund: Refund = match operation {
        Operation::Refund => stored::read(&outcome.payload)?,
        _ => return None,
    };
    u64::try_from(refund.amount.amount_minor()).ok()
}

/// The reference that Zentra gave a refund, where it gave one of its own.
pub(crate) fn own_reference(outcome: &Outcome) -> Option<ProviderText> {
    stored::read::<Refund>(&outcome.payload)?.provider_reference
}
