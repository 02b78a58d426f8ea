//! The integration tests, one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the lints' exception for tests covers test functions, not what they share"
)]

mod binary;
mod broken_settings;
mod deadlines;
mod drain;
mod envelopes;
mod errors;
mod health_and_reflection;
mod hostile_input;
mod leaks;
mod refunds;
mod stack_limits;
mod support;
mod verify;
mod wire_requests;
