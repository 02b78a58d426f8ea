//! Spans on their way to a collector, as OTLP has them.
//!
//! Not by the library's exporter, by which metrics go: that copies each batch, makes some twenty
//! allocations of each span in it and throws them away again, which together cost more than all else
//! that telemetry does in a call. Here a span is written as OTLP has it where it ends, into one buffer,
//! and waits in that form; the library's own types read it in the tests. The library also hides it
//! where a collector took only a part of what it was sent.

mod answer;
mod grpc;
mod http;
pub(super) mod spans;
mod wire;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

pub use grpc::{Grpc, channel};
pub use http::Http;

/// Spans that leave together: an `ExportTraceServiceRequest` in two parts. Clones share them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// How many there are.
    pub spans: usize,
    pub(super) head: Bytes,
    pub(super) encoded: Bytes,
}

impl Batch {
    /// The whole message.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        [&self.head[..], &self.encoded].concat()
    }
}

/// What a collector took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Spans of the batch that it did not take, and will not: sent again, it would say the same.
    pub rejected: u64,
    /// Why, in the collector's words; empty where it has none, or may repeat what it was told.
    pub why: String,
}

/// A batch that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What went wrong, for operators.
    pub fault: String,
    /// Whether it may be taken later.
    pub again: Again,
}

/// Whether a batch is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The collector will not take it.
    Never,
    /// It may take it later.
    Later,
    /// It asks for so much time.
    After(Duration),
}

/// Takes batches to a collector.
pub trait Deliver: Send + Sync + 'static {
    /// Sends a batch once.
    ///
    /// # Errors
    /// What the collector said, or that it cannot be reached.
    fn deliver(&self, batch: Batch) -> impl Future<Output = Result<Taken, Refused>> + Send;
}
