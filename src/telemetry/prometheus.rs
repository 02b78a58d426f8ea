//! `/metrics`: the instruments in Prometheus' text form.

use prometheus::{Registry, TextEncoder};

use super::push::SharedReader;

/// A registry that one meter provider is read through.
pub(super) struct Scrape {
    registry: Registry,
    reader: SharedReader,
}

impl Scrape {
    /// A registry and its reader; none where the exporter could not be registered, which an empty
    /// registry never refuses.
    pub(super) fn new() -> Option<Self> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .ok()?;
        Some(Self { registry, reader: SharedReader::of(reader) })
    }

    /// What to give to the meter provider. Its sums are cumulative, so that others may read them too.
    pub(super) fn reader(&self) -> SharedReader {
        self.reader.clone()
    }

    /// Everything as of now.
    pub(super) fn text(&self) -> String {
        let mut families = self.registry.gather();
        families.sort_by(|one, other| one.name().cmp(other.name()));
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }
}
