//! A gRPC payment-gateway sidecar for Zentra: one contract, one payment policy, exactly-once
//! effects, full traces and no secrets in the callers.

pub mod clock;
pub mod domain;
pub mod idempotency;
#[cfg(feature = "simulator")]
pub mod simulator;
