//! Stories of one connection, on a paused clock.

use std::time::Duration;

use http_body_util::{Empty, Full};
use hyper::client::conn::http2;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::service_fn;

use super::*;
use crate::domain::Caller;
use crate::listen::AGE_GRACE;
use crate::listen::limits::{HANDSHAKE, IDLE, MAX_ASKED, MAX_UNWELCOME_CALLS};

const AGE: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Longer than any connection here lives, on the paused clock.
const FOR_EVER: Duration = Duration::from_secs(86_400);

/// Waits for the end of one side.
async fn end(side: JoinHandle<()>) {
    timeout(FOR_EVER, side).await.expect("the connection lives for ever").unwrap();
}

type Sender = http2::SendRequest<Empty<Bytes>>;

/// A connection to a service that answers after as many seconds as the path says.
fn serving(age: Duration) -> (DuplexStream, JoinHandle<()>, CancellationToken) {
    serving_peer(age, true)
}

fn serving_peer(
    age: Duration,
    is_allowed: bool,
) -> (DuplexStream, JoinHandle<()>, CancellationToken) {
    let (ours, theirs) = duplex(64 * 1024);
    let peer = Peer::new(Caller::new("shop/checkout").unwrap(), is_allowed);
    let service = service_fn(|request: Request<Incoming>| async move {
        let caller = request.extensions().get::<Peer>().unwrap().caller().to_string();
        let seconds = request.uri().path().trim_start_matches('/').parse().unwrap();
        sleep(Duration::from_secs(seconds)).await;
        Ok(Response::new(Full::new(Bytes::from(caller))))
    });
    let closing = CancellationToken::new();
    let stay = Stay { accepted: Instant::now(), age, grace: AGE_GRACE };
    let served = tokio::spawn(serve(ours, peer, service, stay, closing.clone()));
    (theirs, served, closing)
}

/// A stock client, which pings this often, also without a call.
async fn client(io: DuplexStream, ping: Option<Duration>) -> (Sender, JoinHandle<()>) {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(ping).keep_alive_while_idle(true);
    let (sender, connection) = builder.handshake(TokioIo::new(io)).await.unwrap();
    (sender, tokio::spawn(async move { drop(connection.await) }))
}

async fn call(sender: &mut Sender, seconds: u64) -> hyper::Result<Response<Incoming>> {
    sender.ready().await?;
    let request = Request::get(format!("http://sidecar/{seconds}"));
    sender.send_request(request.body(Empty::new()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn every_request_carries_its_peer() {
    use http_body_util::BodyExt as _;
    let (io, ..) = serving(AGE);
    let (mut sender, _connection) = client(io, None).await;
    let body = call(&mut sender, 0).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "shop/checkout");
}

/// Row 6 of the attack table: HTTP/2 itself refuses it, and the connection goes on.
#[tokio::test(start_paused = true)]
async fn metadata_beyond_16_kib_is_refused_and_nothing_else() {
    let (io, ..) = serving(AGE);
    let (mut sender, _connection) = client(io, None).await;
    // Beside a name, a value and 32 bytes of each field, as RFC 9113 counts, there are a few more.
    for (size, status) in [(15 * 1024, 200), (17 * 1024, 431), (15 * 1024, 200)] {
        sender.ready().await.unwrap();
        let request = Request::get("http://sidecar/0").header("x-large", "a".repeat(size));
        let answer = sender.send_request(request.body(Empty::new()).unwrap()).await;
        assert_eq!(answer.unwrap().status(), status, "{size} bytes");
    }
}

/// Whoever may not call is told so, and not without end.
#[tokio::test(start_paused = true)]
async fn one_who_may_not_call_is_said_goodbye_to_after_a_hundred_calls() {
    let (io, served, _closing) = serving_peer(AGE, false);
    let (mut sender, _connection) = client(io, None).await;
    let mut answered = 0;
    while answered < MAX_UNWELCOME_CALLS * 3 && call(&mut sender, 0).await.is_ok() {
        answered += 1;
    }
    assert!((MAX_UNWELCOME_CALLS..=MAX_UNWELCOME_CALLS + 1).contains(&answered), "{answered}");
    end(served).await;
    let (io, _served, _closing) = serving_peer(AGE, true);
    let (mut sender, _connection) = client(io, None).await;
    for _ in 0..MAX_UNWELCOME_CALLS * 3 {
        call(&mut sender, 0).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_lets_its_calls_end_and_then_closes() {
    let (io, served, _closing) = serving(MINUTE);
    let (mut sender, connection) = client(io, None).await;
    let mut long = sender.clone();
    let long = tokio::spawn(async move { call(&mut long, 600).await });
    sleep(MINUTE * 2).await;
    assert!(call(&mut sender, 0).await.is_err(), "it takes no more calls");
    assert!(long.await.unwrap().is_ok(), "the one under way ends well");
    end(served).await;
    end(connection).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_without_end_keeps_no_old_connection() {
    let (io, served, _closing) = serving(MINUTE);
    let (mut sender, _connection) = client(io, None).await;
    let began = Instant::now();
    let endless = tokio::spawn(async move { call(&mut sender, 1_000_000).await.map(drop) });
    end(served).await;
    assert_eq!(began.elapsed(), MINUTE + AGE_GRACE);
    assert!(endless.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_a_used_one_is_not() {
    let (io, served, _closing) = serving(AGE);
    let (mut sender, connection) = client(io, None).await;
    let began = Instant::now();
    call(&mut sender, 1200).await.unwrap();
    assert!(IDLE < Duration::from_secs(1200) && !served.is_finished());
    end(connection).await;
    end(served).await;
    let idle = began.elapsed() - Duration::from_secs(1200);
    assert!((IDLE..IDLE + Duration::from_secs(1)).contains(&idle), "{idle:?}");
}

/// A call that is on its way when the idle connection is told goodbye has the time that calls have.
#[tokio::test(start_paused = true)]
async fn a_call_that_crosses_the_goodbye_of_an_idle_connection_is_answered() {
    let (mut io, served, _closing) = serving(AGE);
    io.write_all(OPENING).await.unwrap();
    let mut answer = None;
    while answer.is_none() {
        let (kind, flags, payload) = frame(&mut io).await;
        match (kind, flags) {
            // It was sent before the goodbye arrived; what asks whether it did is answered later.
            (GOAWAY, _) if payload.starts_with(&NO_LAST_STREAM) => {
                io.write_all(&get(1, "/15")).await.unwrap();
            }
            (PING, 0) => {
                let mut pong = vec![0, 0, 8, PING, 1, 0, 0, 0, 0];
                pong.extend(payload);
                io.write_all(&pong).await.unwrap();
            }
            (DATA, _) => answer = Some(payload),
            _ => {}
        }
    }
    assert_eq!(answer.unwrap(), b"shop/checkout");
    drop(io);
    end(served).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_begin_to_speak_is_closed() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for piece in [0, 2] {
        let (mut io, served, _closing) = serving(AGE);
        let began = Instant::now();
        // A byte every second: 24 would take too long.
        for byte in preface.iter().take(piece) {
            io.write_all(&[*byte]).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        end(served).await;
        assert_eq!(began.elapsed(), HANDSHAKE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_without_a_word_is_noticed() {
    let (mut io, served, _closing) = serving(AGE);
    io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let began = Instant::now();
    // It reads and never answers.
    let mut rest = Vec::new();
    timeout(FOR_EVER, io.read_to_end(&mut rest)).await.unwrap().unwrap();
    end(served).await;
    let limit = KEEPALIVE_INTERVAL + KEEPALIVE_TIMEOUT;
    assert!((limit..limit + Duration::from_secs(1)).contains(&began.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_closed_long_before_it_is_asked_whether_it_lives() {
    let (ours, mut io) = duplex(1024);
    let peer = Peer::new(Caller::new("shop/checkout").unwrap(), true);
    let stay = Stay { accepted: Instant::now(), age: AGE, grace: AGE_GRACE };
    let service = service_fn(|_| async { Ok(Response::new(Empty::<Bytes>::new())) });
    let served = tokio::spawn(serve(ours, peer, service, stay, CancellationToken::new()));
    let began = Instant::now();
    io.write_all(OPENING).await.unwrap();
    for number in 0..100 {
        // Far more answers than there is room for; at some point nothing more is read either.
        let request = get(number * 2 + 1, "/");
        drop(timeout(Duration::from_millis(1), io.write_all(&request)).await);
    }
    end(served).await;
    let elapsed = began.elapsed();
    assert!((TAKING_TURN * 2..TAKING_TURN * 2 + MINUTE / 60).contains(&elapsed), "{elapsed:?}");
}

const DATA: u8 = 0;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
/// What the first goodbye says: calls that are on their way are taken.
const NO_LAST_STREAM: [u8; 4] = [0x7f, 0xff, 0xff, 0xff];

/// The next frame: its type, its flags and what it holds.
async fn frame(io: &mut DuplexStream) -> (u8, u8, Vec<u8>) {
    let mut head = [0; 9];
    let read = timeout(FOR_EVER, io.read_exact(&mut head)).await;
    read.expect("it goes on").expect("it is not cut off");
    let [_, high, low, kind, flags, ..] = head;
    let mut payload = vec![0; usize::from(u16::from_be_bytes([high, low]))];
    io.read_exact(&mut payload).await.unwrap();
    (kind, flags, payload)
}

/// How a client opens, by hand.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A whole request.
fn get(stream: u8, path: &str) -> Vec<u8> {
    let mut head = b"\x82\x86\x41\x09localhost\x04".to_vec();
    head.push(u8::try_from(path.len()).unwrap());
    head.extend(path.as_bytes());
    let mut frame = vec![0, 0, u8::try_from(head.len()).unwrap(), 1, 5, 0, 0, 0, stream];
    frame.extend(head);
    frame
}

/// A peer whose answers' bodies take no place, and one that leaves an answer.
#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_an_answer_is_closed() {
    let (ours, io) = duplex(64 * 1024);
    let peer = Peer::new(Caller::new("shop/checkout").unwrap(), true);
    let stay = Stay { accepted: Instant::now(), age: AGE, grace: AGE_GRACE };
    let service = service_fn(|_| async { Ok(Response::new(Empty::<Bytes>::new())) });
    let served = tokio::spawn(serve(ours, peer.clone(), service, stay, CancellationToken::new()));
    let (_sender, _connection) = client(io, None).await;
    let began = Instant::now();
    sleep(TAKING_TURN / 2).await;
    drop(peer.answer());
    let _left = peer.answer();
    end(served).await;
    assert_eq!(began.elapsed(), TAKING_TURN * 2);
}

#[tokio::test(start_paused = true)]
async fn a_flood_after_the_goodbye_is_ended_at_once() {
    let (mut io, served, _closing) = serving(MINUTE);
    io.write_all(OPENING).await.unwrap();
    // A call that does not end: the goodbye on the old connection lets it be.
    io.write_all(&get(1, "/1000000")).await.unwrap();
    let (mut read, mut write) = tokio::io::split(io);
    let reader = tokio::spawn(async move {
        let mut rest = Vec::new();
        drop(read.read_to_end(&mut rest).await);
    });
    // Soon after the goodbye, and before a peer that answers no PING is taken for gone.
    let moment = Duration::from_secs(10);
    sleep(MINUTE + moment).await;
    assert!(!served.is_finished(), "its call has time");
    let flooded = Instant::now();
    for _ in 0..100 {
        // It may be closed by now.
        drop(write.write_all(b"\0\0\x08\x06\0\0\0\0\0pingping").await);
    }
    end(served).await;
    assert!(flooded.elapsed() < moment / 2, "{:?}", flooded.elapsed());
    end(reader).await;
}

/// What docs/CLIENTS.md promises.
#[tokio::test(start_paused = true)]
async fn a_client_may_ping_every_second_also_without_calls() {
    let (io, served, _closing) = serving(AGE);
    let (mut sender, _connection) = client(io, Some(Duration::from_secs(1))).await;
    for _ in 0..3 {
        sleep(MINUTE * 10).await;
        call(&mut sender, 0).await.unwrap();
    }
    assert!(!served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_pings_without_measure_is_let_go() {
    let (io, served, _closing) = serving(AGE);
    let (mut sender, connection) = client(io, Some(Duration::from_millis(100))).await;
    call(&mut sender, 0).await.unwrap();
    let began = Instant::now();
    end(connection).await;
    end(served).await;
    let pings = began.elapsed().as_millis() / 100;
    assert!(pings > u128::from(MAX_ASKED), "after {pings} pings");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_of_the_process_calls_end_and_the_connection_closes() {
    let (io, served, closing) = serving(AGE);
    let (mut sender, _connection) = client(io, None).await;
    let under_way = tokio::spawn(async move { call(&mut sender, 30).await.map(drop) });
    sleep(Duration::from_secs(1)).await;
    closing.cancel();
    under_way.await.unwrap().unwrap();
    end(served).await;
}
