//! HTTP/2 towards Zentra, which its TLS offers: what a refused stream and a goodbye prove.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::{Method, Response};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zentra_sidecar::grpc::proto::{ChargeResponse, ExecutionPath};
use zentra_sidecar::idempotency::Store as _;

use crate::store_tls::Authority;
use crate::support::payment::key_line;
use crate::support::process::{Serving, command, get};
use crate::support::redis::{Program, Server, open};
use crate::support::requests;
use crate::support::sidecar::KEY;
use crate::support::soon;
use crate::support::told::refused;

/// What becomes of a POST.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Its stream is refused: Zentra did not begin with it.
    Refuse,
    /// The connection ends with a goodbye (GOAWAY) that covers no request.
    Goodbye,
    /// It is a charge.
    Pay,
    /// It is a charge, once the story lets it be.
    Hold,
}

/// A Zentra that speaks HTTP/2 only, and finds nothing.
struct Zentra {
    steps: Mutex<VecDeque<Step>>,
    seen: Mutex<Vec<Method>>,
    goodbyes: AtomicUsize,
    /// POSTs whose body came whole.
    whole: AtomicUsize,
    /// Lets what is held go on.
    go: Notify,
}

impl Zentra {
    fn seen(&self) -> Vec<Method> {
        self.seen.lock().unwrap().clone()
    }

    /// The next POST's; the last one from then on.
    fn step(&self) -> Step {
        let mut steps = self.steps.lock().unwrap();
        if steps.len() > 1 { steps.pop_front().unwrap() } else { steps[0] }
    }

    async fn serve(self: Arc<Self>, acceptor: TlsAcceptor, stream: TcpStream) {
        let stream = acceptor.accept(stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(self.clone().pass(stream, far));
        let mut connection = h2::server::Builder::new()
            .max_concurrent_streams(1)
            .handshake::<_, Bytes>(near)
            .await
            .unwrap();
        while let Some(Ok((request, mut answer))) = connection.accept().await {
            self.seen.lock().unwrap().push(request.method().clone());
            if request.method() == Method::GET {
                send(&mut answer, 404, r#"{"error":{"code":"not_found"}}"#);
                continue;
            }
            match self.step() {
                Step::Refuse => answer.send_reset(Reason::REFUSED_STREAM),
                Step::Goodbye => connection.abrupt_shutdown(Reason::NO_ERROR),
                step => {
                    let paid = self.clone().pay(request.into_body(), answer, step);
                    tokio::spawn(paid);
                }
            }
        }
    }

    async fn pay(
        self: Arc<Self>,
        mut body: h2::RecvStream,
        mut answer: SendResponse<Bytes>,
        step: Step,
    ) {
        while let Some(part) = body.data().await {
            // A payment whose body did not come is none.
            let Ok(part) = part else { return };
            let _ = body.flow_control().release_capacity(part.len());
        }
        self.whole.fetch_add(1, Ordering::Relaxed);
        if matches!(step, Step::Hold) {
            self.go.notified().await;
        }
        send(&mut answer, 201, PAID);
    }
}

impl Zentra {
    /// Passes all bytes on, and makes each goodbye one that covers no request: the last stream
    /// that it names is none. So does a server that ended before it looked at the request.
    async fn pass(self: Arc<Self>, client: TlsStream<TcpStream>, server: DuplexStream) {
        // The frame's length, type and flags, and the stream that it is of: the connection.
        const GOAWAY: [u8; 9] = [0, 0, 8, 7, 0, 0, 0, 0, 0];
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_server, mut to_server) = tokio::io::split(server);
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
            if let Some(at) = bytes[..length].windows(9).position(|it| it == GOAWAY) {
                bytes[at + 9..at + 13].fill(0);
                self.goodbyes.fetch_add(1, Ordering::Relaxed);
            }
            to_client.write_all(&bytes[..length]).await.unwrap();
        }
        let _ = to_client.shutdown().await;
    }
}

const PAID: &str = r#"{"data":{"id":"chg_1","reference":"order-1","status":"successful",
    "amount_minor":50000,"currency":"NGN"}}"#;

fn send(answer: &mut SendResponse<Bytes>, status: u16, body: &'static str) {
    let head = Response::builder().status(status).header("content-type", "application/json");
    let mut stream = answer.send_response(head.body(()).unwrap(), false).unwrap();
    stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
}

/// The real binary before such a Zentra.
async fn start(steps: &[Step]) -> (Arc<Zentra>, Serving) {
    start_with(steps, &[]).await
}

async fn start_with(steps: &[Step], flags: &[&str]) -> (Arc<Zentra>, Serving) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "zentra");
    let chain = CertificateDer::from_pem_file(authority.file("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(authority.file("key.pem")).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = rustls::ServerConfig::builder().with_no_client_auth();
    let mut tls = tls.with_single_cert(vec![chain], key).unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let steps = Mutex::new(VecDeque::from(steps.to_vec()));
    let (seen, goodbyes, whole) = (Mutex::default(), AtomicUsize::new(0), AtomicUsize::new(0));
    let go = Notify::new();
    let zentra = Arc::new(Zentra { steps, seen, goodbyes, whole, go });
    let serving = zentra.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serving.clone().serve(acceptor.clone(), stream));
        }
    });
    let mut command = command(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    command.args(["--zentra-url", &url]).args(flags).env("ZENTRA_SECRET_KEY", KEY);
    // The authorities that the sidecar trusts.
    command.env("SSL_CERT_FILE", authority.file("ca.pem"));
    (zentra, Serving::of(command).await)
}

async fn charge(serving: &Serving) -> ChargeResponse {
    let mut client = serving.client().await;
    client.charge(requests::charge("order-1")).await.unwrap().into_inner()
}

/// It is sent again at once, without a look-up between, and was no POST.
#[tokio::test]
async fn a_refused_stream_is_proof_that_nothing_was_done() {
    let (zentra, serving) = start(&[Step::Refuse, Step::Pay]).await;
    let execution = charge(&serving).await.execution.unwrap();
    assert_eq!((execution.path(), execution.attempts), (ExecutionPath::Direct, 1));
    // The first look-up is that of a store in memory, which is new.
    assert_eq!(zentra.seen(), [Method::GET, Method::POST, Method::POST]);
}

/// The stack decides on repeats, and the HTTP client adds none of its own.
#[tokio::test]
async fn refused_streams_are_tried_three_times_and_no_more() {
    let (zentra, serving) = start(&[Step::Refuse]).await;
    let told = refused(serving.client().await.charge(requests::charge("order-1")).await);
    assert!(told.starts_with("Unavailable OUTCOME_UNKNOWN"), "{told}");
    let posts = zentra.seen().into_iter().filter(|method| method == Method::POST).count();
    assert_eq!(posts, 3);
}

/// Which requests it covers is not told beside the error: looked up before it is sent again.
#[tokio::test]
async fn a_goodbye_is_doubt() {
    let (zentra, serving) = start(&[Step::Goodbye, Step::Pay]).await;
    let execution = charge(&serving).await.execution.unwrap();
    assert_eq!((execution.path(), execution.attempts), (ExecutionPath::Direct, 2));
    assert_eq!(zentra.seen(), [Method::GET, Method::POST, Method::GET, Method::POST]);
    assert_eq!(zentra.goodbyes.load(Ordering::Relaxed), 1);
}

/// A request that waits for a stream of its connection has passed the lease check already. Its
/// body looks once more.
#[tokio::test]
async fn a_payment_that_waits_for_a_stream_until_its_lease_is_over_does_not_leave() {
    let redis = Server::start(Program::Redis, &[]).await;
    open(&redis.url(), "default").init().await.unwrap();
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), key_line(1)).unwrap();
    let (store, keys) = (redis.url(), keys.path().to_str().unwrap().to_owned());
    let flags = ["--store", &store, "--fingerprint-key-file", &keys, "--lease-seconds=1"];
    let flags = [&flags[..], &["--connect-timeout-ms=300"]].concat();
    let (zentra, serving) = start_with(&[Step::Hold, Step::Pay], &flags).await;
    let (mut one, mut two) = (serving.client().await, serving.client().await);
    let first = tokio::spawn(async move { one.charge(requests::charge("order-1")).await });
    soon(async {
        while zentra.whole.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let second = tokio::spawn(async move { two.charge(requests::charge("order-2")).await });
    soon(async {
        while !get(&serving.admin, "/metrics").await.1.contains("zentra_places_free 254") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // From now on no lease is renewed; by its own clock each is over after a second.
    redis.signal("STOP").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    zentra.go.notify_one();
    let told = refused(soon(second).await.unwrap());
    assert!(told.starts_with("Unavailable OUTCOME_UNKNOWN"), "{told}");
    assert_eq!(soon(first).await.unwrap().unwrap().into_inner().charge.unwrap().id, "chg_1");
    assert_eq!(zentra.whole.load(Ordering::Relaxed), 1, "the second never left whole");
    redis.signal("CONT").await;
}
