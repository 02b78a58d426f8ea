//! The integration tests, one binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy's exception for tests does not reach their helpers"
)]

#[cfg(feature = "simulator")]
mod docs;
#[cfg(all(feature = "failpoints", feature = "simulator"))]
mod fault_matrix;
#[cfg(feature = "simulator")]
mod simulator;
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
