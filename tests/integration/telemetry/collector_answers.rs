//! What collectors answer: batches are sent again where that may help, and what is lost is counted.

use std::collections::VecDeque;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::post;
use flate2::read::GzDecoder;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prost::Message as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use zentra_sidecar::telemetry::export::{Dropped, QueueSettings, queue};
use zentra_sidecar::telemetry::headers::Headers;
use zentra_sidecar::telemetry::otlp::{Again, Batch, Deliver, Grpc, Http, Refused, Taken};
use zentra_sidecar::telemetry::settings::{Destination, Protocol};
use zentra_sidecar::telemetry::trace::Tracer;

use crate::support::logs::Logs;

/// What a collector is told by whoever sends to it, and says again.
const TOKEN: &str = "token-4711";

const SECOND: Duration = Duration::from_secs(1);

/// Sends five spans as one batch; gives what was counted as lost on the way, and the log.
async fn send<D: Deliver>(collector: D) -> (u64, String) {
    let logs = Logs::capture_own();
    let dropped = Dropped::default();
    let (near, far) = queue(collector, QueueSettings::default(), dropped.clone());
    let provider = SdkTracerProvider::builder().with_span_processor(near).build();
    for _ in 0..5 {
        Tracer::of(&provider).server(None, "a call", Duration::ZERO).span().end();
    }
    let end = CancellationToken::new();
    end.cancel();
    far.run(end).await;
    assert_eq!(dropped.left(), 0);
    (dropped.export_failed(), logs.take())
}

/// Gives one answer after the other, and notes when it was asked and for what.
#[derive(Clone)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<Said>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Said = Result<Taken, Refused>;
/// When, and the message.
type Asked = (Instant, Vec<u8>);

impl Scripted {
    fn new(answers: impl Into<VecDeque<Said>>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into())), asked: Arc::default() }
    }

    /// The pauses between what it was asked, which was the same each time.
    fn pauses(&self) -> Vec<Duration> {
        let asked = self.asked.lock().unwrap();
        assert!(asked.iter().all(|(_, message)| *message == asked[0].1));
        asked.windows(2).map(|two| two[1].0 - two[0].0).collect()
    }
}

impl Deliver for Scripted {
    async fn deliver(&self, batch: Batch) -> Said {
        self.asked.lock().unwrap().push((Instant::now(), batch.message()));
        let next = self.answers.lock().unwrap().pop_front();
        next.unwrap_or_else(|| refuses(Again::Later))
    }
}

fn refuses(again: Again) -> Said {
    Err(Refused { fault: "busy".to_owned(), again })
}

#[tokio::test(start_paused = true)]
async fn what_may_help_is_sent_again_after_the_pause_that_the_collector_asks_for() {
    let (later, after) = (refuses(Again::Later), refuses(Again::After(3 * SECOND)));
    let collector = Scripted::new([later.clone(), later, after, Ok(Taken::default())]);
    let (lost, log) = send(collector.clone()).await;
    assert_eq!(
        (lost, log.lines().count()),
        (0, 2),
        "that it was refused, and that it was not: {log}"
    );
    let pauses = collector.pauses();
    let [first, second, third] = pauses[..] else { panic!("{pauses:?}") };
    let millis = Duration::from_millis;
    assert!((millis(50)..=millis(101)).contains(&first), "{pauses:?}");
    assert!((millis(100)..=millis(201)).contains(&second), "{pauses:?}");
    assert!((3 * SECOND..=3 * SECOND + millis(1)).contains(&third), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn what_stays_refused_is_given_up_when_its_time_is_over() {
    let collector = Scripted::new([]);
    let began = Instant::now();
    let (lost, log) = send(collector.clone()).await;
    let time = QueueSettings::default().export_timeout;
    let last_pause = Duration::from_millis(1601);
    assert!((time - last_pause..=time).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(log.contains("spans could not be sent") && log.contains(r#""fault":"busy""#), "{log}");
    let longest = collector.pauses().into_iter().max().unwrap();
    assert_eq!((lost, longest <= last_pause), (5, true), "{longest:?}");
}

/// The next batch is not sent within the pause that was asked for either.
#[tokio::test(start_paused = true)]
async fn a_pause_beyond_a_batchs_time_costs_that_batch_and_is_kept() {
    let (long, millis) = (40 * SECOND, Duration::from_millis(1));
    let collector = Scripted::new([refuses(Again::After(long)), Ok(Taken::default())]);
    let settings = QueueSettings { batch: 3, ..QueueSettings::default() };
    let dropped = Dropped::default();
    let (near, far) = queue(collector.clone(), settings, dropped.clone());
    let provider = SdkTracerProvider::builder().with_span_processor(near).build();
    for _ in 0..6 {
        Tracer::of(&provider).server(None, "a call", Duration::ZERO).span().end();
    }
    let end = CancellationToken::new();
    let sending = tokio::spawn(far.run(end.clone()));
    tokio::time::sleep(long + SECOND).await;
    let times: Vec<_> = collector.asked.lock().unwrap().iter().map(|it| it.0).collect();
    let [first, second] = times[..] else { panic!("{times:?}") };
    assert!((long..=long + 2 * millis).contains(&(second - first)), "{times:?}");
    assert_eq!((dropped.export_failed(), dropped.left()), (3, 0));
    end.cancel();
    sending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_will_not_help_is_not_sent_again() {
    let collector = Scripted::new([refuses(Again::Never)]);
    let (lost, log) = send(collector.clone()).await;
    assert_eq!((lost, collector.pauses()), (5, vec![]));
    assert!(log.contains(r#""fault":"busy""#), "{log}");
}

/// A real collector's side of either protocol, by the library's own types.
#[derive(Clone, Default)]
struct Receiver {
    says: Arc<Mutex<VecDeque<Says>>>,
    got: Arc<Mutex<Vec<Got>>>,
}

/// When, what, and how it was compressed.
type Got = (Instant, ExportTraceServiceRequest, String);

#[derive(Clone, Copy)]
enum Says {
    /// Not now, and for how many seconds it is to be left alone.
    Later(Option<u64>),
    /// Not before a date that is far away.
    InTheFuture,
    Never,
    /// It takes all but so many.
    Takes(i64),
}

impl Receiver {
    fn saying(says: impl Into<VecDeque<Says>>) -> Self {
        Self { says: Arc::new(Mutex::new(says.into())), ..Self::default() }
    }

    fn next(&self, request: ExportTraceServiceRequest, encoding: &str) -> Says {
        self.got.lock().unwrap().push((Instant::now(), request, encoding.to_owned()));
        self.says.lock().unwrap().pop_front().unwrap()
    }

    async fn serve(&self, protocol: Protocol) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Self::endpoint(protocol, listener.local_addr().unwrap());
        self.serve_on(protocol, listener);
        endpoint
    }

    fn endpoint(protocol: Protocol, address: SocketAddr) -> String {
        let path = if protocol == Protocol::Http { "/v1/traces" } else { "" };
        format!("http://{address}{path}")
    }

    fn serve_on(&self, protocol: Protocol, listener: TcpListener) {
        match protocol {
            Protocol::Grpc => {
                let service = TraceServiceServer::new(self.clone())
                    .accept_compressed(CompressionEncoding::Gzip);
                let serving = tonic::transport::Server::builder().add_service(service);
                tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
            }
            Protocol::Http => {
                let router = Router::new().route("/v1/traces", post(over_http));
                let router = router.with_state(self.clone());
                tokio::spawn(async move { axum::serve(listener, router).await });
            }
        }
    }
}

fn answer(rejected_spans: i64) -> ExportTraceServiceResponse {
    let why =
        ExportTracePartialSuccess { rejected_spans, error_message: format!("{TOKEN} is too old") };
    ExportTraceServiceResponse { partial_success: Some(why).filter(|it| it.rejected_spans > 0) }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let encoding = request.metadata().get("grpc-encoding").map(|it| it.to_str().unwrap());
        let encoding = encoding.unwrap_or("identity").to_owned();
        match self.next(request.into_inner(), &encoding) {
            Says::Takes(rejected) => Ok(Response::new(answer(rejected))),
            Says::Never => Err(Status::unauthenticated(format!("no Bearer {TOKEN} is known"))),
            Says::Later(None) => Err(Status::unavailable("busy")),
            Says::InTheFuture => Err(Status::unimplemented("there are no dates over gRPC")),
            Says::Later(Some(seconds)) => {
                let delay = Some(Duration::from_secs(seconds));
                let details = ErrorDetails::with_retry_info(delay);
                Err(Status::with_error_details(Code::ResourceExhausted, "busy", details))
            }
        }
    }
}

async fn over_http(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, Vec<u8>) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let mut message = Vec::new();
    let encoding = headers.get("content-encoding").map_or("identity", |it| it.to_str().unwrap());
    match encoding {
        "gzip" => drop(GzDecoder::new(&body[..]).read_to_end(&mut message).unwrap()),
        _ => message.extend_from_slice(&body),
    }
    let request = ExportTraceServiceRequest::decode(&message[..]).unwrap();
    let mut told = HeaderMap::new();
    match receiver.next(request, encoding) {
        Says::Takes(rejected) => (StatusCode::OK, told, answer(rejected).encode_to_vec()),
        Says::Never => {
            let text = format!("no Bearer {TOKEN} is known");
            (StatusCode::UNAUTHORIZED, told, text.into_bytes())
        }
        Says::InTheFuture => {
            let date = HeaderValue::from_static("Tue, 31 Dec 2999 23:59:59 GMT");
            told.insert("retry-after", date);
            (StatusCode::TOO_MANY_REQUESTS, told, Vec::new())
        }
        Says::Later(seconds) => {
            if let Some(seconds) = seconds {
                told.insert("retry-after", seconds.into());
            }
            (StatusCode::SERVICE_UNAVAILABLE, told, Vec::new())
        }
    }
}

/// Sends five spans to a receiver that says this.
async fn send_to(receiver: &Receiver, protocol: Protocol, gzip: bool) -> (u64, String) {
    let endpoint = receiver.serve(protocol).await;
    send_over(protocol, gzip, endpoint).await
}

async fn send_over(protocol: Protocol, gzip: bool, endpoint: String) -> (u64, String) {
    // Where it is compressed, and else not.
    let headers = match gzip {
        true => Headers::parse(&format!("authorization=Bearer {TOKEN}")).unwrap(),
        false => Headers::default(),
    };
    let to = Destination { protocol, endpoint, gzip, timeout: 10 * SECOND, headers };
    match protocol {
        Protocol::Grpc => send(Grpc::new(&to).unwrap()).await,
        Protocol::Http => {
            // An error means that a provider stands already: the same one.
            let _ = rustls::crypto::ring::default_provider().install_default();
            send(Http::new(reqwest::Client::new(), &to)).await
        }
    }
}

#[tokio::test]
async fn both_protocols_read_what_collectors_answer() {
    for (protocol, gzip) in [
        (Protocol::Grpc, false),
        (Protocol::Grpc, true),
        (Protocol::Http, false),
        (Protocol::Http, true),
    ] {
        let says = [Says::Later(None), Says::Later(Some(1)), Says::Takes(2)];
        let receiver = Receiver::saying(says);
        let (lost, log) = send_to(&receiver, protocol, gzip).await;
        assert_eq!(lost, 2, "{protocol:?}: {log}");
        assert!(log.contains("the collector rejected spans"), "{protocol:?}: {log}");
        // The text that has a token in it is kept back from the one that was sent the token.
        let told = if gzip { r#""fault":"","# } else { r#""fault":"token-4711 is too old""# };
        assert!(log.contains(told), "{protocol:?}: {log}");
        let got = receiver.got.lock().unwrap();
        let [first, second, third] = &got[..] else { panic!("{protocol:?}: {}", got.len()) };
        assert!(third.0 - second.0 >= SECOND, "{protocol:?}");
        assert!(first.1 == second.1 && second.1 == third.1, "{protocol:?}");
        assert_eq!(third.2, if gzip { "gzip" } else { "identity" }, "{protocol:?}");
        let [of_resource] = &third.1.resource_spans[..] else { panic!("{third:?}") };
        assert_eq!(of_resource.scope_spans[0].spans.len(), 5, "{protocol:?}");
    }
}

#[tokio::test]
async fn neither_protocol_sends_again_what_will_not_be_taken() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let receiver = Receiver::saying([Says::Never]);
        let (lost, log) = send_to(&receiver, protocol, true).await;
        assert_eq!((lost, receiver.got.lock().unwrap().len()), (5, 1), "{protocol:?}: {log}");
        assert!(log.contains("spans could not be sent"), "{protocol:?}: {log}");
        assert!(log.contains("answered ") && !log.contains(TOKEN), "{protocol:?}: {log}");
    }
}

#[tokio::test]
async fn the_pause_may_be_a_date_and_one_beyond_a_batchs_time_costs_it_at_once() {
    let receiver = Receiver::saying([Says::InTheFuture]);
    let (lost, log) = send_to(&receiver, Protocol::Http, false).await;
    assert_eq!((lost, receiver.got.lock().unwrap().len()), (5, 1), "{log}");
    assert!(log.contains("answered 429"), "{log}");
}

/// Reads what it is sent, and goes away; then it is there again.
#[tokio::test]
async fn a_batch_whose_connection_is_lost_goes_over_the_next_one() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Receiver::saying([Says::Takes(0)]);
        let goes_away = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut seen = [0; 1024];
            assert!(socket.read(&mut seen).await.unwrap() > 0, "it asks");
            drop(socket);
            receiver.serve_on(protocol, listener);
        };
        let endpoint = Receiver::endpoint(protocol, address);
        let ((lost, log), ()) = tokio::join!(send_over(protocol, false, endpoint), goes_away);
        assert_eq!((lost, receiver.got.lock().unwrap().len()), (0, 1), "{protocol:?}: {log}");
    }
}
