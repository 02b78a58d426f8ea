//! What the engine needs to know of a payment to make it exactly once.

use std::future::Future;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::domain::{Currency, FailureCode, IdempotencyKey, Operation, Reference};
use crate::idempotency::Outcome;
use crate::telemetry::{Asked, Beginning, Came};
use crate::zentra::{Attempt, Reply, Trouble, Zentra};

/// What a look-up brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// The payment.
    Same(Reply<T>),
    /// Something else under its name.
    Other(Reply<T>),
    /// Nothing, which is never proof: an attempt may still be on its way.
    Nothing,
    /// Nothing, and Zentra cannot tell more than that: an operator has to.
    Untold,
}

/// A write, as the engine sees it.
pub trait Payment: Send + Sync + 'static {
    /// What Zentra answers.
    type Value: Send + Sync + 'static;

    /// Which write.
    fn operation(&self) -> Operation;

    /// What it asks for, as operators read it.
    fn asked(&self) -> Asked;

    /// What a value of it says, as operators read it.
    fn came(value: &Self::Value) -> Came;

    /// The caller's key.
    fn idempotency_key(&self) -> &IdempotencyKey;

    /// The caller's name for the payment; none where it has none and cannot be looked up.
    fn reference(&self) -> Option<&Reference>;

    /// All that makes two requests the same, in a form that never changes: not the actor, and
    /// never a security code.
    fn canonical(&self) -> Zeroizing<Vec<u8>>;

    /// The command as the record keeps it, so that anybody can look the payment up; none where it
    /// holds card data.
    fn kept(&self) -> Option<Bytes>;

    /// How a payment was begun, from what [`Payment::kept`] gave the call that began it.
    fn beginning(kept: &[u8]) -> Beginning;

    /// One POST.
    fn send(
        &self,
        zentra: &Zentra,
        attempt: Attempt<'_>,
    ) -> impl Future<Output = Result<Reply<Self::Value>, Trouble>> + Send;

    /// Looks the payment up by its reference. `strictly`: the store has lost its memory, so that
    /// what is found must be the same in every respect.
    fn look_up(
        &self,
        zentra: &Zentra,
        strictly: bool,
    ) -> impl Future<Output = Result<Found<Self::Value>, Trouble>> + Send;

    /// The outcome of a decline that came without an object; none where it cannot be declined.
    fn declined(&self, code: FailureCode) -> Option<Self::Value>;

    /// The outcome as the store keeps it.
    fn outcome(&self, value: &Self::Value) -> Outcome;

    /// The payment's currency; none where it moves no money.
    fn currency(&self) -> Option<Currency>;

    /// What an outcome came to, in minor units, where that may be less than what was asked for.
    fn amount(&self, value: &Self::Value) -> Option<u64>;

    /// Reads a stored outcome back; none where it cannot be read.
    fn value(&self, outcome: &Outcome) -> Option<Self::Value>;

    /// True where an outcome is this payment's, as far as it tells.
    fn fits(&self, value: &Self::Value) -> bool;

    /// True where Zentra gave the payment a reference of its own, which later look-ups need.
    fn has_own_reference(&self, value: &Self::Value) -> bool;
}
