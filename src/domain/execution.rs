//! How a write came to its answer.

use super::{Environment, ProviderText};

/// Which way the answer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExecutionPath {
    /// This call made the payment.
    Direct,
    /// An earlier call made it; this is its stored answer.
    Replayed,
    /// The outcome had been lost and was found again.
    Recovered,
}

impl ExecutionPath {
    /// The word in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "DIRECT",
            Self::Replayed => "REPLAYED",
            Self::Recovered => "RECOVERED",
        }
    }
}

/// How a write came to its answer, for the caller's own records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// POSTs that this payment has taken so far.
    pub attempts: u32,
    /// Zentra's id of the request that gave the answer.
    pub provider_request_id: Option<ProviderText>,
    /// Which way the answer took.
    pub path: ExecutionPath,
    /// Which Zentra it was.
    pub environment: Environment,
}
