//! A gRPC payment-gateway sidecar for Zentra: one contract, one payment policy, exactly-once
//! effects, full traces and no secrets in the callers.

pub mod clock;
pub mod domain;
pub mod error;
pub mod gateway;
pub mod idempotency;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod upstream;
pub mod zentra;
