//! A gRPC payment-gateway sidecar for Zentra: one contract, one payment policy, exactly-once
//! effects, full traces and no secrets in the callers.

pub mod admin;
pub mod admission;
pub mod app;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod domain;
pub mod engine;
pub mod error;
mod failpoint;
pub mod gateway;
pub mod grpc;
pub mod idempotency;
pub mod listen;
#[cfg(test)]
mod memory_scan;
pub mod mutants;
pub mod policy;
pub mod process;
pub mod readiness;
pub mod reconciler;
pub mod retry_after;
pub mod shutdown;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod telemetry;
pub mod upstream;
pub mod zentra;
