//! `/metrics`: the instruments in Prometheus' text form.

use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Registry, TextEncoder};

/// A registry that one meter provider is read through.
pub(super) struct Scrape(Registry);

impl Scrape {
    /// The registry, and the reader to give to the meter provider; none where the exporter could
    /// not be registered, which an empty registry never refuses.
    pub(super) fn new() -> Option<(Self, PrometheusExporter)> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .ok()?;
        Some((Self(registry), reader))
    }

    /// Everything as of now.
    pub(super) fn text(&self) -> String {
        let mut families = self.0.gather();
        families.sort_by(|one, other| one.name().cmp(other.name()));
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }
}
