//! The end of a process whose collector hangs: it comes in time, and what is lost by it is told.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use zentra_sidecar::telemetry::export::QueueSettings;
use zentra_sidecar::telemetry::otlp::{Batch, Deliver, Refused, Taken};
use zentra_sidecar::telemetry::start::{Exports, FLUSH};
use zentra_sidecar::telemetry::trace::Tracer;

use crate::support::logs::Logs;
use crate::support::process::Serving;
use crate::support::requests;

/// Nobody is there; the calls' spans are left to be sent all the same.
const NO_ZENTRA: &str = "http://127.0.0.1:1";
const LEFT: &str = "spans were left when the process ended";
const LAST_METRICS: &str = "the last metrics were left when the process ended";

/// Takes so many batches, and hangs with the next.
#[derive(Clone, Debug)]
struct Collector(Arc<AtomicUsize>);

impl Deliver for Collector {
    async fn deliver(&self, _: Batch) -> Result<Taken, Refused> {
        let takes = |left: usize| left.checked_sub(1);
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, takes) {
            Ok(_) => Ok(Taken::default()),
            Err(_) => pending().await,
        }
    }
}

/// Ends a process with five spans, sent two by two to a collector that takes so many batches; gives
/// how long that took and the numbers of spans that were told to be left.
async fn end(batches: usize, limit: Duration) -> (Duration, Vec<Value>) {
    let logs = Logs::capture_own();
    let mut exports = Exports::default();
    let settings = QueueSettings { batch: 2, ..QueueSettings::default() };
    let queue = exports.send_spans(Collector(Arc::new(AtomicUsize::new(batches))), settings);
    let provider = SdkTracerProvider::builder().with_span_processor(queue).build();
    for _ in 0..5 {
        Tracer::of(&provider).server(None, "a call", Duration::ZERO).span().end();
    }
    let began = Instant::now();
    exports.flush(limit).await;
    drop(exports);
    let took = began.elapsed();
    let lines = logs.take();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = lines.map(|line| line["fields"].clone()).filter(|it| it["message"] == LEFT);
    (took, told.map(|it| it["spans"].clone()).collect())
}

#[tokio::test(start_paused = true)]
async fn spans_that_wait_and_those_on_their_way_are_told_whatever_time_there_was() {
    for limit in [FLUSH, Duration::from_millis(250)] {
        assert_eq!(end(0, limit).await, (limit, vec![5.into()]), "all of them");
        assert_eq!(end(1, limit).await, (limit, vec![3.into()]), "but those that were taken");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_where_all_were_taken() {
    assert_eq!(end(3, FLUSH).await, (Duration::ZERO, vec![]));
}

/// A collector that takes connections and never answers.
async fn hangs() -> (String, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hangs = tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            streams.push(stream);
        }
    });
    (url, hangs.abort_handle())
}

/// The whole way, with a collector that hangs.
async fn of_process(protocol: &str) -> String {
    let (url, hangs) = hangs().await;
    let mut command = Serving::command(NO_ZENTRA, &[]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
    let serving = Serving::of(command).await;
    let mut client = serving.client().await;
    client.get_charge(requests::get_charge("order-1")).await.unwrap_err();
    serving.signal("TERM").await;
    let (status, log) = serving.end().await;
    hangs.abort();
    assert!(status.success(), "{log}");
    log
}

#[tokio::test]
async fn a_process_tells_over_either_protocol_what_it_did_not_get_rid_of() {
    let both = ["grpc", "http/protobuf"].map(of_process);
    for log in futures_util::future::join_all(both).await {
        assert_eq!(log.matches(LEFT).count(), 1, "{log}");
        assert_eq!(log.matches(LAST_METRICS).count(), 1, "{log}");
    }
}

/// A process of which one signal is exported, until it has given one sending up.
async fn gives_up(protocol: &str, signal: &str, other: &str) {
    let (url, hangs) = hangs().await;
    let mut command = Serving::command(NO_ZENTRA, &[]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
    let [exporter, timeout] =
        [format!("OTEL_{other}_EXPORTER"), format!("OTEL_EXPORTER_OTLP_{signal}_TIMEOUT")];
    command.env(exporter, "none").env(timeout, "300").env("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000");
    command.env("OTEL_BSP_SCHEDULE_DELAY", "10").env("OTEL_METRIC_EXPORT_INTERVAL", "10");
    let mut serving = Serving::of(command).await;
    let mut client = serving.client().await;
    client.get_charge(requests::get_charge("order-1")).await.unwrap_err();
    let what = if signal == "TRACES" { "spans" } else { "metrics" };
    let given_up = format!("{what} could not be sent; calls go on without them");
    // Metrics may be so before the sidecar serves.
    if !serving.log.contains(&given_up) {
        serving.logged(&given_up).await;
    }
    hangs.abort();
}

/// A batch, and a reading of metrics, have half a minute each; one sending has less.
#[tokio::test]
async fn one_sending_takes_no_longer_than_it_may_over_either_protocol() {
    for protocol in ["grpc", "http/protobuf"] {
        let traces = gives_up(protocol, "TRACES", "METRICS");
        let metrics = gives_up(protocol, "METRICS", "TRACES");
        futures_util::future::join(traces, metrics).await;
    }
}
