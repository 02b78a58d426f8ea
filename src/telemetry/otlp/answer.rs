//! What collectors answer, over gRPC and HTTP alike.

use std::time::Duration;

use super::{Again, Refused, Taken};

/// The longest text of a collector's that is told to operators, in characters.
const TEXT: usize = 200;

/// `ExportTraceServiceResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Answer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`
#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

impl Answer {
    /// What it says; without its words where it may repeat a secret.
    pub(super) fn taken(self, may_repeat: bool) -> Taken {
        let PartialSuccess { rejected_spans, error_message } =
            self.partial_success.unwrap_or_default();
        Taken {
            rejected: u64::try_from(rejected_spans).unwrap_or_default(),
            why: if may_repeat { String::new() } else { shortened(&error_message) },
        }
    }
}

impl Refused {
    pub(super) fn never(fault: impl Into<String>) -> Self {
        Self { fault: fault.into(), again: Again::Never }
    }

    pub(super) fn later(fault: impl Into<String>, asked: Option<Duration>) -> Self {
        let again = asked.map_or(Again::Later, Again::After);
        Self { fault: fault.into(), again }
    }
}

/// An error with what it comes from: the outermost says little.
pub(super) fn told(fault: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(fault), |it| it.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    shortened(&texts.join(": "))
}

/// The beginning of a collector's text.
fn shortened(text: &str) -> String {
    text.chars().take(TEXT).collect()
}
