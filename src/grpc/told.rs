//! What a call's log line and span say of its answer.

use crate::domain::{Execution, ExecutionPath, ProviderText};

/// An answer, and what operators are told of it.
pub(super) struct Answered<T> {
    /// What the caller gets.
    pub(super) message: T,
    /// What operators get.
    pub(super) told: Told,
}

/// What operators are told of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// The payment's status, by the contract's word.
    pub(super) status: Option<&'static str>,
    /// Of a write: POSTs so far.
    pub(super) attempts: Option<u32>,
    /// Of a write: how the outcome came about.
    pub(super) path: Option<ExecutionPath>,
    /// Zentra's id of the request that gave the answer.
    pub(super) provider_request_id: Option<ProviderText>,
}

impl Told {
    /// Of a write.
    pub(super) fn write(status: &'static str, execution: &Execution) -> Self {
        Self {
            status: Some(status),
            attempts: Some(execution.attempts),
            path: Some(execution.path),
            provider_request_id: execution.provider_request_id.clone(),
        }
    }

    /// Of a read of one payment.
    pub(super) fn read(status: &'static str) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// With the message.
    pub(super) fn with<T>(self, message: T) -> Answered<T> {
        Answered { message, told: self }
    }
}
