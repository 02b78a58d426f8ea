//! The integration tests, one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy's exception for tests does not reach their helpers"
)]

#[cfg(feature = "simulator")]
mod binary;
#[cfg(feature = "simulator")]
mod broken_settings;
mod counted_tries;
#[cfg(feature = "simulator")]
mod deadline_sweep;
#[cfg(feature = "simulator")]
mod deadlines;
#[cfg(feature = "simulator")]
mod docs;
#[cfg(feature = "simulator")]
mod doubtful_posts;
mod drain;
#[cfg(feature = "simulator")]
mod envelopes;
#[cfg(feature = "simulator")]
mod errors;
#[cfg(all(feature = "failpoints", feature = "simulator"))]
mod fault_matrix;
#[cfg(feature = "simulator")]
mod floods;
#[cfg(feature = "simulator")]
mod health_and_reflection;
#[cfg(feature = "simulator")]
mod hostile_input;
#[cfg(feature = "simulator")]
mod identity;
#[cfg(feature = "simulator")]
mod late_stops;
mod leaks;
#[cfg(feature = "simulator")]
mod life;
mod limit_windows;
mod lost_claim;
mod memory_room;
mod old_reads;
#[cfg(feature = "simulator")]
mod policies;
mod process;
#[cfg(feature = "simulator")]
mod refunds;
#[cfg(feature = "simulator")]
mod simulator;
#[cfg(feature = "simulator")]
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
mod stored_data;
mod support;
#[cfg(feature = "simulator")]
mod telemetry;
mod upstream_stack;
#[cfg(feature = "simulator")]
mod verify;
#[cfg(feature = "simulator")]
mod waits_at_the_end;
#[cfg(feature = "simulator")]
mod wire_requests;
