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
pub(super) struct SharedReader(Arc<dyn MetricReader>);

impl SharedReader {
    /// Sums are as `temporality` says.
    pub(super) fn new(temporality: Temporality) -> Self {
        Self::of(ManualReader::builder().with_temporality(temporality).build())
    }

    /// Shares this one.
    pub(super) fn of(reader: impl MetricReader) -> Self {
        Self(Arc::new(reader))
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

/// Sends everything to `exporter` as `settings` say, and once more at the end. Unlike the SDK's
/// periodic reader it needs no thread of its own.
pub(super) async fn run<E: PushMetricExporter>(
    reader: SharedReader,
    exporter: E,
    settings: PushSettings,
    end: CancellationToken,
) {
    let mut ticks = interval(settings.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut failing = false;
    loop {
        let ended = tokio::select! {
            // First: a sending that is due at the end too would be one more before the last.
            biased;
            () = end.cancelled() => true,
            _ = ticks.tick() => false,
        };
        let mut metrics = ResourceMetrics::default();
        let sent = match reader.collect(&mut metrics) {
            Ok(()) => timeout(settings.timeout, exporter.export(&metrics)).await,
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

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Mutex;

    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use tokio::time::{Instant, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A collector that takes connections and never answers.
    #[derive(Clone, Default)]
    struct Hangs(Arc<Mutex<Vec<Instant>>>);

    impl PushMetricExporter for Hangs {
        async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
            self.0.lock().unwrap().push(Instant::now());
            pending().await
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }

        fn temporality(&self) -> Temporality {
            Temporality::Cumulative
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_sending_takes_longer_than_it_may_nor_does_the_last_one() {
        let (exporter, end) = (Hangs::default(), CancellationToken::new());
        let reader = SharedReader::new(Temporality::Cumulative);
        let _provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
        let push =
            PushSettings { interval: 5 * SECOND, timeout: 12 * SECOND, ..Default::default() };
        let began = Instant::now();
        let running = tokio::spawn(run(reader, exporter.clone(), push, end.clone()));
        sleep(30 * SECOND).await;
        let seconds = |times: &[Instant]| -> Vec<u64> {
            times.iter().map(|at| (*at - began).as_secs()).collect()
        };
        // The next is due while the one before is given up.
        assert_eq!(seconds(&exporter.0.lock().unwrap()), [5, 17, 29]);
        end.cancel();
        running.await.unwrap();
        assert_eq!(seconds(&exporter.0.lock().unwrap()), [5, 17, 29, 41]);
        assert_eq!(began.elapsed(), 53 * SECOND);
    }
}
