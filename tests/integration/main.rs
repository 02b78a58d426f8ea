//! The integration tests, one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy's exception for tests does not reach their helpers"
)]

mod binary;
mod broken_settings;
mod deadlines;
#[cfg(feature = "simulator")]
mod docs;
mod drain;
mod envelopes;
mod errors;
mod health_and_reflection;
mod hostile_input;
mod leaks;
mod refunds;
#[cfg(feature = "simulator")]
mod simulator;
mod stack_limits;
mod store_agreement;
mod store_cluster;
mod store_contract;
mod store_cost;
mod store_failover;
mod store_faults;
mod store_sentinel;
mod store_single;
mod store_stories;
mod store_tls;
mod support;
mod verify;
mod wire_requests;
