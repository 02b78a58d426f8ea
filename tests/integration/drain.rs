//! The end of the process: not ready, payments under way end and are answered, exit code 0.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Request;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use zentra_sidecar::app::End;
use zentra_sidecar::grpc::proto::{ChargeRequest, ChargeStatus, ListTokensRequest};
use zentra_sidecar::simulator::{self, Options};

use crate::support::process::Serving;
use crate::support::requests;
use crate::support::rig::Rig;
use crate::support::sidecar::StandingClock;
use crate::support::soon;
use crate::support::stub::{Reply, Stub};
use crate::support::told::refused;

/// A Zentra that tells when a charge has arrived, and answers when it is told to.
async fn slow_zentra() -> (Stub, mpsc::UnboundedReceiver<()>, Arc<Notify>) {
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let answer = Arc::new(Notify::new());
    let go = answer.clone();
    let stub = Stub::slowly(move |seen| {
        let (arrived, go) = (arrived.clone(), go.clone());
        async move {
            // A process whose memory is new looks before it sends.
            if seen.method == "GET" {
                return Reply::json(404, &json!({"error": {"code": "not_found"}}));
            }
            arrived.send(()).unwrap();
            go.notified().await;
            let data = json!({
                "id": "chg_1", "reference": "order-1", "status": "successful",
                "amount_minor": 50_000, "currency": "NGN",
            });
            Reply::json(201, &json!({"success": true, "data": data}))
        }
    })
    .await;
    (stub, arrivals, answer)
}

fn posts(zentra: &Stub) -> usize {
    zentra.seen().iter().filter(|seen| seen.method == "POST").count()
}

/// Watches the health of the whole.
async fn watch(serving: &Serving) -> tonic::Streaming<HealthCheckResponse> {
    let mut health = HealthClient::new(serving.channel().await);
    let request = HealthCheckRequest { service: String::new() };
    health.watch(request).await.unwrap().into_inner()
}

async fn readyz(serving: &Serving) -> (u16, String) {
    // reqwest, here for plain http only, wants a provider all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{}/readyz", serving.admin)).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_signal_lets_the_payment_under_way_end_and_answers_its_caller() {
    for signal in ["TERM", "INT"] {
        let (zentra, mut arrivals, answer) = slow_zentra().await;
        let mut serving = Serving::start(&zentra.url, &[]).await;
        let mut watch = watch(&serving).await;
        let first = soon(watch.message()).await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::Serving);

        let mut client = serving.client().await;
        let call = tokio::spawn(async move { client.charge(requests::charge("order-1")).await });
        soon(arrivals.recv()).await.unwrap();
        serving.signal(signal).await;
        serving.logged("draining").await;
        let told = soon(watch.message()).await.unwrap().unwrap();
        assert_eq!(told.status(), ServingStatus::NotServing);
        assert_eq!(readyz(&serving).await, (503, "not ready: draining\n".to_owned()));

        answer.notify_one();
        let charge = soon(call).await.unwrap().unwrap().into_inner().charge.unwrap();
        assert_eq!(charge.status(), ChargeStatus::Succeeded);
        assert_eq!(soon(watch.message()).await.unwrap(), None, "there is nothing more to tell");
        let (status, log) = serving.end().await;
        assert_eq!(status.code(), Some(0), "{signal}: {log}");
        assert!(log.contains("\"message\":\"ended\""), "{log}");
        assert_eq!(posts(&zentra), 1);
    }
}

#[tokio::test]
async fn new_calls_are_told_of_the_end_while_old_ones_end() {
    let (zentra, mut arrivals, answer) = slow_zentra().await;
    let mut serving = Serving::start(&zentra.url, &[]).await;
    let mut client = serving.client().await;
    let call = tokio::spawn(async move { client.charge(requests::charge("order-1")).await });
    soon(arrivals.recv()).await.unwrap();
    serving.signal("TERM").await;
    serving.logged("draining").await;
    for _ in 0..2 {
        let mut client = serving.client().await;
        let told = refused(client.charge(requests::charge("order-2")).await);
        let expected = "Unavailable SHUTTING_DOWN money_moved=unknown reference=order-2 \
                        sent=false; again in ";
        let wait_ms = told.strip_prefix(expected).unwrap_or_else(|| panic!("{told}"));
        let wait_ms: u64 = wait_ms.strip_suffix(" ms").unwrap().parse().unwrap();
        assert!((100..250).contains(&wait_ms), "{wait_ms}");
    }
    answer.notify_one();
    soon(call).await.unwrap().unwrap();
    assert_eq!(serving.end().await.0.code(), Some(0));
    assert_eq!(posts(&zentra), 1, "nothing of the second payment");
}

/// Reads move no money, and are answered all the same.
#[tokio::test]
async fn a_read_under_way_is_answered() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let answer = go.clone();
    let zentra = Stub::slowly(move |_| {
        let (arrived, go) = (arrived.clone(), go.clone());
        async move {
            arrived.send(()).unwrap();
            go.notified().await;
            Reply::json(404, &json!({"error": {"code": "not_found"}}))
        }
    })
    .await;
    let serving = Serving::start(&zentra.url, &[]).await;
    let mut client = serving.client().await;
    let call =
        tokio::spawn(async move { client.get_charge(requests::get_charge("order-1")).await });
    soon(arrivals.recv()).await.unwrap();
    serving.signal("TERM").await;
    // Longer than connections without a call are given.
    sleep(Duration::from_millis(600)).await;
    answer.notify_one();
    let told = refused(soon(call).await.unwrap());
    assert!(told.starts_with("NotFound NOT_FOUND"), "{told}");
    assert_eq!(serving.end().await.0.code(), Some(0));
}

/// A connection below gRPC, which shows a goodbye (GOAWAY).
async fn connection(serving: &Serving) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(&serving.grpc).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    requests
}

/// Asks for the health of the whole; the answer's head.
async fn ask(connection: &SendRequest<Bytes>, method: &str) -> http::Response<h2::RecvStream> {
    let request = http::Request::post(format!("http://sidecar/grpc.health.v1.Health/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let mut connection = soon(connection.clone().ready()).await.unwrap();
    let (answer, mut body) = connection.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    soon(answer).await.unwrap()
}

async fn goodbye(connection: &SendRequest<Bytes>) {
    soon(async {
        while connection.clone().ready().await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// So that the client's next call goes elsewhere; what is under way on it goes on.
#[tokio::test]
async fn connections_are_told_goodbye_when_the_end_begins() {
    let (zentra, mut arrivals, answer) = slow_zentra().await;
    let mut serving = Serving::start(&zentra.url, &[]).await;
    let old = connection(&serving).await;
    let watching = ask(&old, "Watch").await;
    let mut client = serving.client().await;
    let call = tokio::spawn(async move { client.charge(requests::charge("order-1")).await });
    soon(arrivals.recv()).await.unwrap();
    serving.signal("TERM").await;
    goodbye(&old).await;
    serving.logged("draining").await;
    // One that comes now is greeted later than a client's choice of another sidecar takes, is
    // told of the end, and has to go again.
    let began = Instant::now();
    let new = connection(&serving).await;
    ask(&new, "Check").await;
    assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
    goodbye(&new).await;
    answer.notify_one();
    soon(call).await.unwrap().unwrap();
    drop(watching);
    assert_eq!(serving.end().await.0.code(), Some(0));
}

/// The trace of the callers whose payments are cut off.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A charge in that trace.
fn traced_charge() -> Request<ChargeRequest> {
    let mut request = Request::new(requests::charge("order-1"));
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request
}

/// A folder for the audit log of a process that is cut off, with a policy.
struct Books(tempfile::TempDir);

impl Books {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules = "@id(\"the-shop\")\npermit(principal, action, resource);\n";
        std::fs::create_dir(folder.path().join("policy")).unwrap();
        std::fs::write(folder.path().join("policy/rules.cedar"), rules).unwrap();
        Self(folder)
    }

    /// `serve` with a policy and this audit log.
    fn command(&self, zentra: &Stub, flags: &[&str]) -> Command {
        let path = |name: &str| self.0.path().join(name).display().to_string();
        let mut command = Serving::command(&zentra.url, flags);
        command.arg(format!("--policy={}", path("policy")));
        command.arg(format!("--audit-log={}", path("audit.jsonl")));
        command
    }

    /// What it says of the one payment of a process that has ended: what was decided under which rule,
    /// the reason, whether money moved, whether anything was sent, and how often.
    fn accounted(&self) -> Value {
        let text = std::fs::read_to_string(self.0.path().join("audit.jsonl")).unwrap();
        let lines: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
        let [line] = &lines[..] else { panic!("one line: {text}") };
        assert_eq!((&line["audit"], &line["reference"]), (&json!("payment"), &json!("order-1")));
        for (name, length) in [("policy_hash", 64), ("request_id", 32)] {
            assert_eq!(line[name].as_str().map(str::len), Some(length), "{name}: {line:#}");
        }
        assert_eq!(line["trace_id"], json!(TRACE));
        assert_eq!((&line["policy"], &line["rule_id"]), (&json!("permitted"), &json!("the-shop")));
        json!(["decision", "reason", "money_moved", "sent", "attempts"].map(|it| &line[it]))
    }
}

/// Nobody has been answered, and money may have moved.
#[tokio::test]
async fn a_second_signal_ends_at_once_and_what_it_cuts_off_is_on_record() {
    let (zentra, mut arrivals, _answer) = slow_zentra().await;
    let books = Books::open();
    let mut command = books.command(&zentra, &[]);
    // Nobody is there; what waits for it is lost.
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    command.env("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let mut serving = Serving::of(command).await;
    let mut client = serving.client().await;
    let call = tokio::spawn(async move { client.charge(traced_charge()).await });
    soon(arrivals.recv()).await.unwrap();
    serving.signal("TERM").await;
    serving.logged("draining").await;
    serving.signal("TERM").await;
    let (status, log) = serving.end().await;
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("ended at once by a second signal"), "{log}");
    assert!(soon(call).await.unwrap().is_err());
    assert_eq!(books.accounted(), json!(["allowed", "OUTCOME_UNKNOWN", "unknown", true, 1]));
    assert_eq!(
        log.matches("the last metrics were left when the process ended").count(),
        1,
        "{log}"
    );
    let left = log.lines().find(|line| line.contains("spans were left when the process ended"));
    let left: Value = serde_json::from_str(left.unwrap_or_else(|| panic!("{log}"))).unwrap();
    // The call's own, and those of the policy, the look-up and the POST that was cut off.
    assert_eq!(left["spans"], 4, "{log}");
}

/// Ends a process without time to drain, while Zentra has a request of its call.
async fn cut_off(books: &Books, zentra: &Stub, arrivals: &mut mpsc::UnboundedReceiver<()>) {
    let serving = Serving::of(books.command(zentra, &["--drain-seconds=0"])).await;
    let mut client = serving.client().await;
    let call = tokio::spawn(async move { client.charge(traced_charge()).await });
    soon(arrivals.recv()).await.unwrap();
    serving.signal("TERM").await;
    let (status, log) = serving.end().await;
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("calls under way were cut off"), "{log}");
    assert!(soon(call).await.unwrap().is_err());
}

#[tokio::test]
async fn the_time_to_drain_is_bounded_and_what_was_cut_off_is_told() {
    let (zentra, mut arrivals, _answer) = slow_zentra().await;
    let books = Books::open();
    cut_off(&books, &zentra, &mut arrivals).await;
    assert_eq!(books.accounted(), json!(["allowed", "OUTCOME_UNKNOWN", "unknown", true, 1]));
}

/// A process whose memory is new looks first; where that is cut off, its record says that nothing was
/// sent for it.
#[tokio::test]
async fn what_is_cut_off_before_its_first_post_is_told_as_not_sent() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let zentra = Stub::slowly(move |_| {
        arrived.send(()).unwrap();
        std::future::pending()
    })
    .await;
    let books = Books::open();
    cut_off(&books, &zentra, &mut arrivals).await;
    assert_eq!(posts(&zentra), 0);
    assert_eq!(books.accounted(), json!(["allowed", "OUTCOME_UNKNOWN", "unknown", false, 0]));
}

/// Kubernetes kills what is not over by then, and with it the last spans and metrics.
#[tokio::test]
async fn what_is_cut_off_is_told_before_the_time_to_drain_is_over() {
    const DRAIN: Duration = Duration::from_secs(4);
    let (zentra, mut arrivals, _answer) = slow_zentra().await;
    let serving = Serving::start(&zentra.url, &["--drain-seconds=4"]).await;
    let started = &serving.log;
    assert!(started.contains("the end may cut payments off"), "it is told at once: {started}");
    let mut client = serving.client().await;
    let call = tokio::spawn(async move { client.charge(requests::charge("order-1")).await });
    soon(arrivals.recv()).await.unwrap();
    let began = Instant::now();
    serving.signal("TERM").await;
    let (status, log) = serving.end().await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(began.elapsed() < DRAIN, "{:?}", began.elapsed());
    assert!(began.elapsed() > DRAIN / 2, "calls have most of it: {:?}", began.elapsed());
    assert!(soon(call).await.unwrap().is_err());
}

/// Signals a sidecar without a call under way; it ends well, long before its time to drain.
async fn ends_at_once(serving: Serving) {
    let started = &serving.log;
    assert!(!started.contains("cut payments off"), "the usual times go together: {started}");
    let began = Instant::now();
    serving.signal("TERM").await;
    let (status, log) = serving.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("\"message\":\"ended\""), "{log}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_connection_that_never_said_anything_keeps_no_process() {
    let simulator = simulator::start(Options::default(), Arc::new(StandingClock)).await.unwrap();
    let serving = Serving::start(&simulator.url(), &[]).await;
    let silent = TcpStream::connect(&serving.grpc).await.unwrap();
    // Answered after the silent one was accepted.
    let mut client = serving.client().await;
    client.list_tokens(ListTokensRequest::default()).await.unwrap_err();
    ends_at_once(serving).await;
    drop(silent);
}

#[tokio::test]
async fn an_open_stream_of_reflection_keeps_no_process() {
    let simulator = simulator::start(Options::default(), Arc::new(StandingClock)).await.unwrap();
    let serving = Serving::start(&simulator.url(), &[]).await;
    let mut reflection = ServerReflectionClient::new(serving.channel().await);
    let (ask, asked) = mpsc::unbounded_channel();
    ask.send(ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    })
    .unwrap();
    let asked = UnboundedReceiverStream::new(asked);
    let mut answers = reflection.server_reflection_info(asked).await.unwrap().into_inner();
    soon(answers.message()).await.unwrap().unwrap();
    ends_at_once(serving).await;
    drop(ask);
}

#[tokio::test]
async fn with_a_payment_under_way_idle_peers_change_nothing() {
    let (zentra, mut arrivals, answer) = slow_zentra().await;
    let serving = Serving::start(&zentra.url, &[]).await;
    let _silent = TcpStream::connect(&serving.grpc).await.unwrap();
    let mut client = serving.client().await;
    let call = tokio::spawn(async move { client.charge(requests::charge("order-1")).await });
    soon(arrivals.recv()).await.unwrap();
    serving.signal("TERM").await;
    // Longer than connections without a call are given.
    sleep(Duration::from_millis(600)).await;
    answer.notify_one();
    let charge = soon(call).await.unwrap().unwrap().into_inner().charge.unwrap();
    assert_eq!(charge.status(), ChargeStatus::Succeeded);
    let (status, log) = serving.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(posts(&zentra), 1);
}

#[tokio::test]
async fn a_connection_that_does_nothing_keeps_nobody() {
    let rig = Rig::start().await;
    let idle = rig.sidecar.channel().await;
    assert_eq!(soon(rig.sidecar.shut_down()).await, End::Clean);
    drop(idle);
}
