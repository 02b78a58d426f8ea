//! The integration tests, one binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy's exception for tests does not reach their helpers"
)]

#[cfg(feature = "simulator")]
mod docs;
#[cfg(feature = "simulator")]
mod simulator;
mod store_contract;
mod store_stories;
mod support;
