//! The store's steps as the engine takes them: repeated where their answer was lost.

use std::future::Future;

use crate::idempotency::StoreError;

/// How often a step is tried. Every step is safe to repeat by the same owner.
const TRIES: u32 = 3;

/// Repeats a step whose answer was lost; one that was refused or could not leave is not repeated,
/// as the store's client has tried for as long as a step may take.
pub(crate) async fn repeated<T, F>(mut step: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut tries = 1;
    loop {
        match step().await {
            Err(error) if error.may_be_applied() && tries < TRIES => tries += 1,
            result => return result,
        }
    }
}
