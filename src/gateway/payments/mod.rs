//! The writes as payments that the engine makes exactly once.

mod charge;
mod kept;
mod refund;
mod stored;
mod tokenize;

pub use kept::{KeptCharge, KeptCommand, KeptRefund};
