//! Each call has its line, its time and its span, also one that its caller has left.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use opentelemetry::Value as AttributeValue;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::sleep;
use tower::util::BoxCloneSyncService;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::{TransportError, Upstream};

use super::{Lines, kept};

use crate::support::logs::Logs;
use crate::support::raw::send;
use crate::support::requests::{self, GOOD_CARD};
use crate::support::rig::Rig;
use crate::support::sidecar::Sidecar;
use crate::support::soon;
use crate::support::tap::{Tap, tapped};

/// Takes a payment once it is let go, and never answers a read.
fn slow_zentra(go: Arc<Notify>) -> Upstream {
    let charge = json!({"success": true, "data": {
        "id": "chg_1", "reference": "order-1", "status": "successful", "amount_minor": 50_000,
        "currency": "NGN", "customer_id": "cus_1", "payment_token_id": "tok_1",
    }});
    let body = Bytes::from(charge.to_string());
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let (go, body) = (go.clone(), body.clone());
        async move {
            if request.method() == Method::GET {
                std::future::pending::<()>().await;
            }
            go.notified().await;
            Ok::<_, TransportError>(Response::builder().status(201).body(body).unwrap())
        }
    }))
}

struct Watched {
    logs: Logs,
    telemetry: Telemetry,
    spans: InMemorySpanExporter,
    lines: Lines,
    sidecar: Sidecar,
    tap: Tap,
    go: Arc<Notify>,
}

impl Watched {
    async fn start() -> Self {
        let logs = Logs::capture_own();
        let (telemetry, spans, lines) = kept();
        let go = Arc::<Notify>::default();
        let (upstream, tap) = tapped(slow_zentra(go.clone()));
        let url = "http://127.0.0.1:1";
        let sidecar = Sidecar::telling(url, &[], upstream, telemetry.clone()).await;
        Self { logs, telemetry, spans, lines, sidecar, tap, go }
    }

    /// Ends the sidecar, which waits for every call and all work, and gives the call's log line.
    async fn ended(self) -> (Value, Vec<SpanData>, Vec<Value>, String) {
        self.sidecar.shut_down().await;
        let text = self.logs.text();
        let mut calls = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["fields"]["message"] == "call");
        let call = calls.next().unwrap();
        assert!(calls.next().is_none(), "{text}");
        let spans = self.spans.get_finished_spans().unwrap();
        (call["fields"].clone(), spans, self.lines.all(), self.telemetry.prometheus_text())
    }
}

fn server_span(spans: &[SpanData]) -> &SpanData {
    let mut servers = spans.iter().filter(|span| span.span_kind == SpanKind::Server);
    let server = servers.next().unwrap();
    assert!(servers.next().is_none(), "{spans:#?}");
    server
}

fn says(span: &SpanData, name: &str) -> Option<AttributeValue> {
    span.attributes.iter().find(|it| it.key.as_str() == name).map(|it| it.value.clone())
}

const CANCELLED_CALLS: &str = "rpc_server_call_duration_seconds_count{";

#[tokio::test]
async fn a_read_whose_caller_hangs_up_ends_as_cancelled() {
    let mut watched = Watched::start().await;
    let mut client = watched.sidecar.client();
    let call =
        tokio::spawn(async move { client.get_charge(requests::get_charge("order-1")).await });
    watched.tap.began("GET /charges/order-1").await;
    call.abort();
    let (line, spans, audit, metrics) = watched.ended().await;
    assert_eq!((&line["outcome"], &line["reference"]), (&json!("CANCELLED"), &json!("order-1")));
    assert_eq!(line["request_id"].as_str().unwrap().len(), 32);
    let span = server_span(&spans);
    assert_eq!(says(span, "rpc.response.status_code"), Some("CANCELLED".into()));
    assert_eq!(says(span, "zentra_sidecar.payment.reference"), Some("order-1".into()));
    let counted = metrics
        .lines()
        .find(|line| line.starts_with(CANCELLED_CALLS))
        .unwrap_or_else(|| panic!("{metrics}"));
    assert!(counted.contains("rpc_response_status_code=\"CANCELLED\""), "{counted}");
    assert!(counted.ends_with(" 1"), "{counted}");
    assert_eq!(audit, Vec::<Value>::new());
}

#[tokio::test]
async fn a_payment_whose_caller_hangs_up_ends_twice_and_has_one_line_of_the_audit_log() {
    let mut watched = Watched::start().await;
    let mut client = watched.sidecar.client();
    let call = tokio::spawn(async move { client.charge(requests::charge("order-1")).await });
    watched.tap.began("POST /charges").await;
    call.abort();
    // Only then may it end: an answer that is faster than the news would end the call as usual.
    let is_told = async {
        while !watched.logs.text().contains("CANCELLED") {
            tokio::task::yield_now().await;
        }
    };
    soon(is_told).await;
    watched.go.notify_one();
    let (line, spans, audit, _) = watched.ended().await;
    assert_eq!(line["outcome"], json!("CANCELLED"));
    assert_eq!(says(server_span(&spans), "rpc.response.status_code"), Some("CANCELLED".into()));
    let [audit] = &audit[..] else { panic!("{audit:#?}") };
    assert_eq!((&audit["outcome"], &audit["money_moved"]), (&json!("SUCCEEDED"), &json!("yes")));
    assert_eq!(audit["request_id"], line["request_id"]);
}

/// A refund reads its charge first, and until that is there nothing is decided.
#[tokio::test]
async fn a_write_that_was_left_before_it_was_decided_has_its_line_too() {
    let mut watched = Watched::start().await;
    let mut client = watched.sidecar.client();
    let mut request = requests::refund("refund-1", "order-1", Some(100));
    request.actor = "ada".to_owned();
    let call = tokio::spawn(async move { client.refund(request).await });
    watched.tap.began("GET /charges/order-1").await;
    call.abort();
    let (line, _, audit, _) = watched.ended().await;
    assert_eq!(line["outcome"], json!("CANCELLED"));
    let [audit] = &audit[..] else { panic!("{audit:#?}") };
    for (field, value) in [
        ("audit", json!("payment")),
        ("operation", json!("refund")),
        ("reference", json!("refund-1")),
        ("charge_reference", json!("order-1")),
        ("actor", json!("ada")),
        ("amount_minor", json!(100)),
        ("outcome", json!("CANCELLED")),
        ("money_moved", json!("unknown")),
        ("sent", json!(false)),
        ("decision", Value::Null),
    ] {
        assert_eq!(audit[field], value, "{field}: {audit:#}");
    }
}

/// What Zentra's support asks for is there for reads too.
#[tokio::test]
async fn reads_and_verify_name_zentras_request() {
    let logs = Logs::capture_own();
    let rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    let mut client = rig.client();
    client.refund(requests::refund("refund-1", "order-1", Some(100))).await.unwrap();
    logs.take();
    client.get_charge(requests::get_charge("order-1")).await.unwrap();
    client.get_refund(requests::get_refund("refund-1")).await.unwrap();
    client.verify(requests::verify("order-1")).await.unwrap();
    client.list_charges(requests::list_charges(0, "")).await.unwrap();
    client.list_tokens(requests::list_tokens(0, "")).await.unwrap();
    let text = logs.text();
    let mut told = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let fields = &line["fields"];
        if fields["message"] == "call" {
            assert!(fields["provider_request_id"].is_string(), "{line:#}");
            told.push(fields["operation"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(told, ["get_charge", "get_refund", "verify", "list_charges", "list_tokens"]);
}

/// A client with another contract, or none, is seen: what the stack answers by itself has its line,
/// its time and its span too. What it asked for nobody knows.
#[tokio::test]
async fn a_call_that_no_handler_has_begun_with_is_told_too() {
    let watched = Watched::start().await;
    let channel = watched.sidecar.channel().await;
    let calls = [
        ("Charge", b"hello, world".to_vec(), "INTERNAL"),
        ("Refund", vec![0; 65 * 1024], "OUT_OF_RANGE"),
        ("Chargeback", Vec::new(), "UNIMPLEMENTED"),
    ];
    for (rpc, message, _) in &calls {
        send(channel.clone(), rpc, message.clone()).await.unwrap_err();
    }
    // And one that a handler tells of, once.
    send(channel, "Verify", Vec::new()).await.unwrap_err();
    let Watched { logs, telemetry, spans, lines, sidecar, .. } = watched;
    sidecar.shut_down().await;
    let text = logs.text();
    let fields = |line: &str| serde_json::from_str::<Value>(line).unwrap()["fields"].clone();
    let told: Vec<_> = text.lines().map(fields).filter(|it| it["message"] == "call").collect();
    let words: Vec<_> = told.iter().map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(words, ["INTERNAL", "OUT_OF_RANGE", "UNIMPLEMENTED", "INVALID_REQUEST"]);
    assert!(told.iter().all(|it| it["caller"] == "local"), "{told:#?}");
    let operations = ["charge", "refund"].map(|it| json!(it));
    assert_eq!([&told[0]["operation"], &told[1]["operation"]], operations.each_ref());
    assert_eq!(told[2]["operation"], Value::Null);
    let metrics = telemetry.prometheus_text();
    for ((rpc, _, code), method) in calls.iter().zip(["Charge", "Refund", "_OTHER"]) {
        let counted = metrics.lines().any(|line| {
            line.starts_with(CANCELLED_CALLS)
                && line.contains(&format!("rpc_response_status_code=\"{code}\""))
                && line.contains(&format!("{method}\""))
                && line.ends_with(" 1")
        });
        assert!(counted, "{rpc}: {metrics}");
    }
    let spans = spans.get_finished_spans().unwrap();
    let servers = spans.iter().filter(|span| span.span_kind == SpanKind::Server);
    let codes: Vec<_> =
        servers.map(|span| says(span, "rpc.response.status_code").unwrap().to_string()).collect();
    assert_eq!(codes, ["INTERNAL", "OUT_OF_RANGE", "INVALID_ARGUMENT"]);
    assert_eq!(lines.all(), Vec::<Value>::new(), "nobody knows what it asked for");
}

/// From the head of its request on, whether there is a handler by then or not: here a message takes
/// long to come, and is none or one that is refused.
#[tokio::test]
async fn a_call_whose_message_comes_slowly_is_told_with_the_whole_time() {
    const SLOW: Duration = Duration::from_millis(200);
    for (message, outcome) in [(&[0, 0, 0, 0, 0][..], "INVALID_REQUEST"), (&[7; 5], "INTERNAL")] {
        let watched = Watched::start().await;
        let stream = TcpStream::connect(watched.sidecar.address()).await.unwrap();
        let (requests, mut connection) = h2::client::handshake(stream).await.unwrap();
        let mut pings = connection.ping_pong().unwrap();
        let connection = tokio::spawn(connection);
        let path = "http://sidecar/zentra.gateway.v1.PaymentService/Verify";
        let request = Request::post(path).header("content-type", "application/grpc");
        let request = request.header("te", "trailers").body(()).unwrap();
        let mut requests = requests.ready().await.unwrap();
        let (answer, mut body) = requests.send_request(request, false).unwrap();
        // Answered once the head has come, which is before it on the same connection.
        soon(pings.ping(h2::Ping::opaque())).await.unwrap();
        sleep(SLOW).await;
        body.send_data(Bytes::copy_from_slice(message), true).unwrap();
        soon(answer).await.unwrap();
        drop((requests, body));
        soon(connection).await.unwrap().unwrap();
        let (line, spans, _, metrics) = watched.ended().await;
        assert_eq!(line["outcome"], json!(outcome));
        // The pong may have overtaken the call by a moment.
        let least = SLOW / 2;
        assert!(line["duration_ms"].as_f64().unwrap() >= 1000.0 * least.as_secs_f64(), "{line}");
        let span = server_span(&spans);
        assert!(span.end_time.duration_since(span.start_time).unwrap() >= least, "{span:#?}");
        let sum = metrics.lines().find(|it| it.starts_with("rpc_server_call_duration_seconds_sum"));
        let sum: f64 = sum.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(sum >= least.as_secs_f64(), "{metrics}");
    }
}
