//! What operators see: traces, metrics, log lines and the audit log.
//!
//! A leaf of the crate: whoever has something to tell holds a [`Telemetry`]. Spans find their
//! parent in OpenTelemetry's current context, which `grpc` sets for each call and
//! which detached work takes along.

mod asked;
pub mod audit;
pub mod export;
pub mod headers;
pub mod lines;
pub mod logs;
pub mod measure;
pub mod names;
pub mod otlp;
mod prometheus;
mod push;
pub mod resource;
pub mod seldom;
mod series;
pub mod settings;
pub mod start;
mod target;
pub mod trace;
pub mod trace_context;

use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::metrics::reader::MetricReader;

pub use asked::{Asked, Beginning, Came, PolicyNote};
pub use measure::{Measures, Pending};
pub use target::AuditTarget;

use audit::Audit;
use prometheus::Scrape;
use push::SharedReader;
use trace::Tracer;

/// The name of the product's own instruments and spans, as OpenTelemetry calls it the scope.
const SCOPE: &str = "zentra-sidecar";

/// Where everything that operators see is told. Clones share everything.
#[derive(Clone)]
pub struct Telemetry {
    shared: Arc<Shared>,
}

struct Shared {
    tracer: Tracer,
    measures: Measures,
    audit: Audit,
    meter: Meter,
    scrape: Option<Scrape>,
    /// Keeps the instruments alive.
    _provider: SdkMeterProvider,
}

impl Telemetry {
    /// Nothing is exported; states and counts can be read at `/metrics`.
    #[must_use]
    pub fn quiet() -> Self {
        Self::with_audit(Audit::off())
    }

    /// Nothing but `audit` is written.
    #[must_use]
    pub fn with_audit(audit: Audit) -> Self {
        Self::new(Tracer::off(), audit, Vec::<SharedReader>::new())
    }

    /// Tells spans to `tracer`, writes to `audit`, and lets `readers` read the instruments beside
    /// `/metrics`.
    #[must_use]
    pub fn new<R: MetricReader>(tracer: Tracer, audit: Audit, readers: Vec<R>) -> Self {
        let scrape = Scrape::new();
        let mut builder = SdkMeterProvider::builder().with_resource(resource::resource());
        if let Some(scrape) = &scrape {
            builder = builder.with_reader(scrape.reader());
        }
        for reader in readers {
            builder = builder.with_reader(reader);
        }
        let provider = builder.build();
        let meter = provider.meter_with_scope(scope());
        let measures = Measures::new(&meter);
        let shared = Shared { tracer, measures, audit, meter, scrape, _provider: provider };
        Self { shared: Arc::new(shared) }
    }

    /// Makes spans.
    #[must_use]
    pub fn tracer(&self) -> &Tracer {
        &self.shared.tracer
    }

    /// Counts and times.
    #[must_use]
    pub fn measures(&self) -> &Measures {
        &self.shared.measures
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.shared.audit
    }

    /// For states that somebody else holds, read at each scrape.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    /// What reads the instruments for `/metrics`, for whoever wants sums from the start on too: each
    /// reader more would count each event once more.
    fn cumulative(&self) -> Option<SharedReader> {
        self.shared.scrape.as_ref().map(Scrape::reader)
    }

    /// All instruments in Prometheus' text form.
    #[must_use]
    pub fn prometheus_text(&self) -> String {
        self.shared.scrape.as_ref().map(Scrape::text).unwrap_or_default()
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::quiet()
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(names::SCHEMA_URL)
        .build()
}
