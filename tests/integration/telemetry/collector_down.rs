//! Row 29: a collector that is down for ten minutes changes no call, and memory stays flat.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::ManualReader;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;
use zentra_sidecar::grpc::proto::ChargeStatus;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::telemetry::audit::Audit;
use zentra_sidecar::telemetry::export::{Dropped, QueueSettings, queue};
use zentra_sidecar::telemetry::otlp::{Again, Batch, Deliver, Refused, Taken};
use zentra_sidecar::telemetry::trace::Tracer;
use zentra_sidecar::upstream::{TransportError, Upstream};

use crate::support::requests;
use crate::support::sidecar::Sidecar;

/// A collector that hangs, then answers: as each minute has it.
#[derive(Clone, Debug)]
struct Collector {
    down_until: Instant,
    /// Spans that it holds at this moment, and those that it took.
    held: Arc<AtomicUsize>,
    most_held: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
}

impl Collector {
    fn down_for(time: Duration) -> Self {
        Self {
            down_until: Instant::now() + time,
            held: Arc::default(),
            most_held: Arc::default(),
            taken: Arc::default(),
        }
    }
}

/// Spans that are on their way, until they have come or are given up.
struct Held(Collector, usize);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl Deliver for Collector {
    fn deliver(&self, batch: Batch) -> impl Future<Output = Result<Taken, Refused>> + Send {
        let (collector, spans) = (self.clone(), batch.spans);
        async move {
            let held = collector.held.fetch_add(spans, Ordering::Relaxed) + spans;
            let _held = Held(collector.clone(), spans);
            collector.most_held.fetch_max(held, Ordering::Relaxed);
            if Instant::now() < collector.down_until {
                // As a connection that nobody answers on.
                sleep(Duration::from_secs(10)).await;
                return Err(Refused { fault: "down".to_owned(), again: Again::Later });
            }
            collector.taken.fetch_add(spans, Ordering::Relaxed);
            Ok(Taken::default())
        }
    }
}

/// Counts every span that ends, whatever becomes of it.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<AtomicUsize>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Takes every payment, and shows the one that is asked for.
fn zentra() -> Upstream {
    BoxCloneSyncService::new(tower::service_fn(|request: Request<Bytes>| {
        let sent: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let asked = request.uri().path().rsplit('/').next().unwrap_or_default();
        let reference = sent["reference"].as_str().unwrap_or(asked).to_owned();
        let charge = json!({"success": true, "data": {
            "id": format!("chg_{reference}"), "reference": reference, "status": "successful",
            "amount_minor": 50_000, "currency": "NGN", "customer_id": "cus_1",
            "payment_token_id": "tok_1",
        }});
        let status = if request.method() == Method::GET { 200 } else { 201 };
        let body = Bytes::from(charge.to_string());
        async move { Ok::<_, TransportError>(Response::builder().status(status).body(body).unwrap()) }
    }))
}

/// The memory that this process holds, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Real calls through the whole sidecar, five a second for eleven minutes; for the last of them
/// the collector is back.
#[tokio::test(start_paused = true)]
async fn ten_minutes_without_a_collector_cost_spans_and_nothing_else() {
    const PAUSE: Duration = Duration::from_millis(200);
    const CALLS: u32 = 3300;
    let settings = QueueSettings { spans: 100, batch: 50, ..QueueSettings::default() };
    let (dropped, spans_ended) = (Dropped::default(), Ended::default());
    let collector = Collector::down_for(Duration::from_secs(600));
    let (near, far) = queue(collector.clone(), settings, dropped.clone());
    let end = CancellationToken::new();
    let sending = tokio::spawn(far.run(end.clone()));
    let provider = SdkTracerProvider::builder()
        .with_span_processor(spans_ended.clone())
        .with_span_processor(near)
        .build();
    let (tracer, audit) = (Tracer::of(&provider), Audit::off());
    let telemetry = Telemetry::new(tracer, audit, Vec::<ManualReader>::new());
    let url = "http://127.0.0.1:1";
    let sidecar = Sidecar::telling(url, &[], zentra(), telemetry).await;

    let mut client = sidecar.client();
    let mut resident = Vec::new();
    for number in 0..CALLS {
        let began = Instant::now();
        // A payment now and then: each is kept in this process, as it should be.
        match number % 30 {
            0 => {
                let request = requests::charge(&format!("order-{number}"));
                let charge = client.charge(request).await.unwrap().into_inner().charge.unwrap();
                assert_eq!(charge.status(), ChargeStatus::Succeeded);
            }
            _ => {
                client.get_charge(requests::get_charge("order-0")).await.unwrap();
            }
        }
        assert!(began.elapsed() < PAUSE, "no call waits for a collector: {:?}", began.elapsed());
        if number % 300 == 299 {
            resident.push(resident_kib());
        }
        sleep(PAUSE).await;
    }
    sidecar.shut_down().await;
    end.cancel();
    sending.await.unwrap();

    let ended = spans_ended.0.load(Ordering::Relaxed);
    assert!(ended >= 2 * CALLS as usize, "the call's span, and that of its request: {ended}");
    let taken = collector.taken.load(Ordering::Relaxed);
    let lost = usize::try_from(dropped.queue_full() + dropped.export_failed()).unwrap();
    assert_eq!(taken + lost, ended, "every span was sent or counted as lost");
    assert!(taken >= 500, "the last minute's spans arrived: {taken}");
    assert!(lost >= 5000, "ten minutes' spans were not kept: {lost}");
    // The queue, and one batch that is being sent.
    assert!(collector.most_held.load(Ordering::Relaxed) <= settings.batch);
    // From the second minute, when all is warm, to the tenth.
    let (warm, after) = (resident[1], resident[9]);
    assert!(after < warm + 3 * 1024, "memory stays flat: {resident:?} KiB");
}
