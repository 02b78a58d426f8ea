//! What a Redis error means for the step that met it.

use redis::RedisError;

use crate::idempotency::store::StoreError;

/// What to do about an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The server does not know the script: send its text. Nothing was applied.
    SendText,
    /// Another server has the data: find it. Nothing was applied.
    Locate(String),
    /// This other server has it for now: ask there. Nothing was applied.
    Ask(String, u16),
    /// The data is on its way between servers: try again. Nothing was applied.
    TryAgain(String),
    /// The connection broke: connect anew and repeat; it may have been applied.
    Reconnect(String),
    /// Nothing helps now. Nothing was applied.
    Refuse(String),
    /// The answer cannot be understood; it may have been applied.
    Unreadable(String),
}

impl Remedy {
    /// Reads an error. Server errors come before anything is written: scripts write the record
    /// before all else.
    pub(super) fn of(error: &RedisError) -> Self {
        if let Some((host, port)) = error.redirect_node().map(split_address) {
            if error.code() == Some("ASK") {
                return Self::Ask(host, port);
            }
            return Self::Locate(format!("moved to {host}:{port}"));
        }
        let text = error.to_string();
        match error.code() {
            Some("NOSCRIPT") => Self::SendText,
            Some("READONLY" | "MOVED" | "MASTERDOWN") => Self::Locate(text),
            Some("TRYAGAIN" | "CLUSTERDOWN") => Self::TryAgain(text),
            // A script that failed half-way.
            Some("ERR") => Self::Unreadable(text),
            Some(_) => Self::Refuse(text),
            None if error.is_io_error() || error.is_connection_dropped() => Self::Reconnect(text),
            None => Self::Unreadable(text),
        }
    }
}

fn split_address((address, _slot): (&str, u16)) -> (String, u16) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "0"));
    (host.to_owned(), port.parse().unwrap_or(0))
}

/// An error outside of a step: while connecting or locating.
pub(super) fn unreachable(error: &RedisError) -> StoreError {
    match error.code() {
        Some(code) => StoreError::Refused(format!("{code}: {error}")),
        None => StoreError::Unreachable(error.to_string()),
    }
}
