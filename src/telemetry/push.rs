//! The same instruments over OTLP, where a collector is named.

use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::settings::PushSettings;

/// A reader that can be given to a meter provider and read from here.
#[derive(Clone, Debug)]
pub(super) struct SharedReader(Arc<ManualReader>);

impl SharedReader {
    /// Sums are as `temporality` says.
    pub(super) fn new(temporality: Temporality) -> Self {
        Self(Arc::new(ManualReader::builder().with_temporality(temporality).build()))
    }
}

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, time: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(time)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// Sends everything to `exporter` as `settings` say, and once more at the end, for as long as `flush`.
/// Unlike the SDK's periodic reader it needs no thread of its own.
pub(super) async fn run<E: PushMetricExporter>(
    reader: SharedReader,
    exporter: E,
    settings: PushSettings,
    end: CancellationToken,
    flush: Duration,
) {
    let mut ticks = interval(settings.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut failing = false;
    loop {
        let ended = tokio::select! {
            () = end.cancelled() => true,
            _ = ticks.tick() => false,
        };
        let mut metrics = ResourceMetrics::default();
        let time = if ended { flush } else { settings.timeout };
        let sent = match reader.collect(&mut metrics) {
            Ok(()) => timeout(time, exporter.export(&metrics)).await,
            Err(fault) => Ok(Err(fault)),
        };
        let is_sent = matches!(sent, Ok(Ok(())));
        if !is_sent && !failing {
            tracing::warn!("metrics could not be sent; calls go on without them");
        }
        failing = !is_sent;
        if ended {
            return;
        }
    }
}
