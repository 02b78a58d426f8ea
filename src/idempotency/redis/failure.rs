//! What a Redis error means for the step that met it.

use redis::RedisError;

use crate::idempotency::store::{Refusal, StoreError};

/// What to do about an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The server does not know the script: send its text. Nothing was applied.
    SendText,
    /// Another server has the data: find it. Nothing was applied.
    Locate(Refusal),
    /// The data is on its way between servers: try again. Nothing was applied. (Asking at the
    /// other end helps nobody: of a step's keys one is always missing there.)
    TryAgain(Refusal),
    /// The connection broke: connect anew and repeat; it may have been applied.
    Reconnect(String),
    /// Nothing helps now. Nothing was applied.
    Refuse(Refusal),
    /// The answer cannot be understood; it may have been applied.
    Unreadable(String),
}

impl Remedy {
    /// Reads an error. Server errors come before anything is written: scripts write the record
    /// before all else.
    pub(super) fn of(error: &RedisError) -> Self {
        let text = error.to_string();
        let refusal = Refusal::by_server(error.code(), &text);
        match error.code() {
            Some("NOSCRIPT") => Self::SendText,
            Some("READONLY" | "MOVED" | "MASTERDOWN") => Self::Locate(refusal),
            Some("ASK" | "TRYAGAIN" | "CLUSTERDOWN") => Self::TryAgain(refusal),
            // A script that failed half-way.
            Some("ERR") => Self::Unreadable(text),
            Some(_) => Self::Refuse(refusal),
            None if error.is_io_error() || error.is_connection_dropped() => Self::Reconnect(text),
            None => Self::Unreadable(text),
        }
    }
}

/// An error outside of a step: while connecting or locating.
pub(super) fn unreachable(error: &RedisError) -> StoreError {
    match error.code() {
        Some(code) => {
            StoreError::Refused(Refusal::by_server(Some(code), &format!("{code}: {error}")))
        }
        None => StoreError::Unreachable(error.to_string()),
    }
}
