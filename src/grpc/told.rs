//! What a call's log line and span say of its answer.

use crate::domain::{Execution, ExecutionPath, ProviderText};
use crate::error::Error;

/// An answer, and what operators are told of it.
pub(super) struct Answered<T> {
    /// What the caller gets.
    pub(super) message: T,
    /// What operators get.
    pub(super) told: Told,
}

/// How a call ended.
#[derive(Clone, Copy)]
pub(super) enum End<'a> {
    /// With an answer.
    Answered(&'a Told),
    /// With an error.
    Failed(&'a Error),
    /// Its caller hung up, so that nobody hears an answer.
    Cancelled,
    /// Its handler broke off.
    Broken,
    /// With this code, before any handler had begun with it: its message could not be read.
    Unread(&'static str),
}

impl<'a> End<'a> {
    /// The word in the call's line: `OK`, a reason, or what else it was.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Answered(_) => "OK",
            Self::Failed(error) => error.reason().as_str(),
            Self::Cancelled => "CANCELLED",
            Self::Broken => "INTERNAL",
            Self::Unread(code) => code,
        }
    }

    /// The error, where it is one.
    pub(super) fn error(self) -> Option<&'a Error> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Answered(_) | Self::Cancelled | Self::Broken | Self::Unread(_) => None,
        }
    }
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
    pub(super) fn read(status: &'static str, provider_request_id: Option<ProviderText>) -> Self {
        Self { status: Some(status), provider_request_id, ..Self::default() }
    }

    /// Of a page.
    pub(super) fn page(provider_request_id: Option<ProviderText>) -> Self {
        Self { provider_request_id, ..Self::default() }
    }

    /// With the message.
    pub(super) fn with<T>(self, message: T) -> Answered<T> {
        Answered { message, told: self }
    }
}
