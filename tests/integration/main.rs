//! The integration tests, one binary.

#[cfg(feature = "simulator")]
mod simulator;
