//! Row 29: a collector that is down for ten minutes changes no call, and memory stays flat.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::ManualReader;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::telemetry::audit::Audit;
use zentra_sidecar::telemetry::export::{Dropped, QueueSettings, queue};
use zentra_sidecar::telemetry::trace::Tracer;

/// A collector that hangs, then answers: as each minute has it.
#[derive(Clone, Debug)]
struct Collector {
    down_until: Instant,
    /// Spans that it holds at this moment, and those that it took.
    held: Arc<AtomicUsize>,
    most_held: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
}

impl SpanExporter for Collector {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let collector = self.clone();
        async move {
            let held = collector.held.fetch_add(batch.len(), Ordering::Relaxed) + batch.len();
            collector.most_held.fetch_max(held, Ordering::Relaxed);
            let is_down = Instant::now() < collector.down_until;
            if is_down {
                // As a connection that nobody answers on.
                sleep(Duration::from_secs(10)).await;
            }
            collector.held.fetch_sub(batch.len(), Ordering::Relaxed);
            if is_down {
                return Err(OTelSdkError::InternalFailure("down".to_owned()));
            }
            collector.taken.fetch_add(batch.len(), Ordering::Relaxed);
            Ok(())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_without_a_collector_cost_spans_and_nothing_else() {
    let settings = QueueSettings { spans: 100, batch: 50, ..QueueSettings::default() };
    let dropped = Dropped::default();
    let collector = Collector {
        down_until: Instant::now() + Duration::from_secs(600),
        held: Arc::default(),
        most_held: Arc::default(),
        taken: Arc::default(),
    };
    let (near, far) = queue(collector.clone(), settings, dropped.clone());
    let end = CancellationToken::new();
    let sending = tokio::spawn(far.run(end.clone(), Duration::from_secs(3)));
    let provider = SdkTracerProvider::builder().with_span_processor(near).build();
    let (tracer, audit) = (Tracer::of(&provider), Audit::off());
    let telemetry = Telemetry::new(tracer, audit, Vec::<ManualReader>::new());

    let calls: usize = 6600;
    for _ in 0..calls {
        let began = Instant::now();
        let context = telemetry.tracer().server(None, "a call");
        opentelemetry::trace::TraceContextExt::span(&context).end();
        assert_eq!(began.elapsed(), Duration::ZERO, "no call waits for a collector");
        // Eleven minutes in all: the last of them with the collector back.
        sleep(Duration::from_millis(100)).await;
    }
    end.cancel();
    sending.await.unwrap();

    let taken = collector.taken.load(Ordering::Relaxed);
    let lost = usize::try_from(dropped.queue_full() + dropped.export_failed()).unwrap();
    assert_eq!(taken + lost, calls, "every span was sent or counted as lost");
    assert!(taken >= 500, "the last minute's spans arrived: {taken}");
    assert!(lost >= 5500, "ten minutes' spans were not kept: {lost}");
    // The queue, and one batch that is being sent.
    assert!(collector.most_held.load(Ordering::Relaxed) <= settings.batch);
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_a_collector_that_hangs_no_longer_than_it_may() {
    let collector = Collector {
        down_until: Instant::now() + Duration::from_secs(600),
        held: Arc::default(),
        most_held: Arc::default(),
        taken: Arc::default(),
    };
    let dropped = Dropped::default();
    let (near, far) = queue(collector, QueueSettings::default(), dropped.clone());
    let end = CancellationToken::new();
    let sending = tokio::spawn(far.run(end.clone(), Duration::from_secs(3)));
    let provider = SdkTracerProvider::builder().with_span_processor(near).build();
    let context = Tracer::of(&provider).server(None, "a call");
    opentelemetry::trace::TraceContextExt::span(&context).end();
    let began = Instant::now();
    end.cancel();
    sending.await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert_eq!(dropped.export_failed(), 1);
}
