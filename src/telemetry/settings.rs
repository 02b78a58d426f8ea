//! OpenTelemetry's own variables, `OTEL_*`, read and checked with all other settings.
//!
//! Most are read here. The sampler and the limits of spans are read by the SDK: those are checked here
//! all the same, as it passes over what it cannot read.

mod reader;

use std::fmt;
use std::time::Duration;

use opentelemetry_sdk::metrics::Temporality;

use super::export::QueueSettings;
use super::headers::Headers;
use reader::Reader;

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`
    Grpc,
    /// `http/protobuf`
    Http,
}

/// Where a signal goes over OTLP, and how. Its `Debug` has no address, which may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination {
    /// What is spoken there.
    pub protocol: Protocol,
    /// The collector's address; over HTTP the whole one, the signal's path included.
    pub endpoint: String,
    /// Whether what is sent is compressed.
    pub gzip: bool,
    /// How long one sending may take, whatever the queue or the interval allows.
    pub timeout: Duration,
    /// What the collector wants to be told.
    pub headers: Headers,
}

impl fmt::Debug for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Destination");
        shown.field("protocol", &self.protocol).field("is_tls", &self.is_tls());
        shown.field("gzip", &self.gzip).field("timeout", &self.timeout);
        shown.field("headers", &self.headers).finish_non_exhaustive()
    }
}

impl Destination {
    /// Whether the connection is over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        // Schemes are of any case.
        self.endpoint.get(..8).is_some_and(|it| it.eq_ignore_ascii_case("https://"))
    }

    /// Whether the collector may be told something that nobody else may know, and may repeat it: by a
    /// header, or by an address that has more than a host and the path of OTLP.
    #[must_use]
    pub fn may_hold_secret(&self) -> bool {
        let Ok(address) = self.endpoint.parse::<http::Uri>() else { return true };
        let has_user = address.authority().is_none_or(|it| it.as_str().contains('@'));
        let is_usual =
            matches!(address.path().trim_end_matches('/'), "" | "/v1/traces" | "/v1/metrics");
        !self.headers.is_empty() || has_user || !is_usual || address.query().is_some()
    }
}

/// What is exported, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtelSettings {
    /// Where spans go.
    pub traces: Option<Destination>,
    /// Where metrics go; `/metrics` is served in any case.
    pub metrics: Option<Destination>,
    /// How spans wait and leave.
    pub queue: QueueSettings,
    /// How metrics leave.
    pub push: PushSettings,
    /// Whether a variable holds headers for the collectors.
    pub has_headers: bool,
}

/// How metrics leave; OpenTelemetry's `OTEL_METRIC_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushSettings {
    /// The time between two sendings.
    pub interval: Duration,
    /// How long one sending may take.
    pub timeout: Duration,
    /// Whether sums are since the start, or since the last sending.
    pub temporality: Temporality,
}

impl Default for PushSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(30),
            temporality: Temporality::Cumulative,
        }
    }
}

impl OtelSettings {
    /// Reads the variables through `variable`; empty ones are as if they were not set.
    ///
    /// # Errors
    /// Every fault there is, each naming its variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut reader = Reader::new(&variable);
        let settings = reader.all();
        let faults = reader.faults();
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }

    /// Reads the process's own variables.
    ///
    /// # Errors
    /// As [`OtelSettings::read`].
    pub fn of_process() -> Result<Self, Vec<String>> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Has all collectors told these headers, in place of those of the variables.
    #[must_use]
    pub fn with_headers(mut self, headers: &Headers) -> Self {
        for destination in self.traces.iter_mut().chain(&mut self.metrics) {
            destination.headers = headers.clone();
        }
        self
    }
}

#[cfg(test)]
mod tests;
