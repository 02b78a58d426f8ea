//! Floods of connections, and connections that do nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use zentra_sidecar::simulator::{self, Options};

use super::Town;
use crate::support::http2::{
    Attacker, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, call_head, frame,
};
use crate::support::pki::{CHECKOUT, DOMAIN, client_config, shake_hands};
use crate::support::process::{Serving, get};
use crate::support::requests;
use crate::support::sidecar::StandingClock;
use crate::support::soon;
use crate::support::stub::{Reply, Stub};
use crate::support::told::refused;

/// Waits until the other side hangs up, whatever it says before.
async fn hung_up(stream: &mut TcpStream) {
    soon(hung_up_without_limit(stream)).await;
}

async fn hung_up_within(limit: Duration, stream: &mut TcpStream) {
    let hung_up = timeout(limit, hung_up_without_limit(stream)).await;
    hung_up.unwrap_or_else(|_| panic!("it is still there after {limit:?}"));
}

async fn hung_up_without_limit(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end too.
    drop(stream.read_to_end(&mut rest).await);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let town = Town::start(&["--connections=4"]).await;
    let mut held = Vec::new();
    // The honest client has one of the four.
    for _ in 0..3 {
        held.push(Attacker::connect(&town.serving.grpc).await);
    }
    for attacker in &mut held {
        attacker.receive().await.expect("a place");
    }
    for _ in 0..10 {
        let mut refused = TcpStream::connect(&town.serving.grpc).await.unwrap();
        hung_up(&mut refused).await;
    }
    let (_, metrics) = get(&town.serving.admin, "/metrics").await;
    assert!(metrics.contains("\nzentra_sidecar_connections_open 4\n"), "{metrics}");
    assert!(metrics.contains("\nzentra_sidecar_connections_refused_total 10\n"), "{metrics}");
    drop(held);
    // Each look is a round trip, until the sidecar has seen that they are gone.
    let alone = "\nzentra_sidecar_connections_open 1\n";
    soon(async { while !get(&town.serving.admin, "/metrics").await.1.contains(alone) {} }).await;
    town.stands().await;
}

/// Both kinds of listener, at once: it takes the ten seconds that a handshake has.
#[tokio::test]
async fn whoever_does_not_finish_the_handshake_is_closed() {
    let mesh = super::super::identity::Mesh::new();
    let stub = Stub::always(Reply::new(500, "")).await;
    let mut flags = mesh.flags();
    flags.push("--listen=127.0.0.1:0,tls://127.0.0.1:0".to_owned());
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let serving = Serving::start(&stub.url, &flags).await;
    let (plain, tls) = serving.grpc.split_once(',').unwrap();
    let began = Instant::now();
    let mut silent_plain = TcpStream::connect(plain).await.unwrap();
    let mut silent_tls = TcpStream::connect(tls.strip_prefix("tls://").unwrap()).await.unwrap();
    // Through with TLS, and then without a word of HTTP/2.
    let shown = mesh.authority.service(CHECKOUT);
    let config = Arc::new(client_config(&mesh.authority.pem(), Some(&shown)));
    let mut shaken = shake_hands(tls, config).await.unwrap();
    let mut rest = Vec::new();
    let shaken = soon(shaken.read_to_end(&mut rest));
    // Where it is closed without TLS's own goodbye that is an end too.
    drop(tokio::join!(hung_up(&mut silent_plain), hung_up(&mut silent_tls), shaken));
    let seconds = began.elapsed().as_secs();
    assert!((9..=15).contains(&seconds), "after {seconds} s");
}

/// A stranger's connections from an address that is not the callers'.
async fn stranger(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
}

/// Strangers who never shake hands keep nobody out, also where they come again for every one of
/// them that is closed.
#[tokio::test]
async fn handshakes_without_end_keep_no_caller_out() {
    let mesh = super::super::identity::Mesh::new();
    let zentra = simulator::start(Options::default(), Arc::new(StandingClock)).await.unwrap();
    let serving = mesh.serve(&zentra.url()).await;
    let address = serving.grpc.strip_prefix("tls://").unwrap().to_owned();
    let mut client = mesh.client(&serving.grpc, CHECKOUT).await;
    let mut silent = Vec::new();
    // One more than there are places: one has to give way, long before its time is over. They were
    // accepted together, so that it is chance which one.
    for _ in 0..=256 {
        silent.push(stranger(&address).await);
    }
    let any = select_all(silent.iter_mut().map(|stream| Box::pin(hung_up_without_limit(stream))));
    let gave_way = timeout(Duration::from_secs(5), any).await;
    assert!(gave_way.is_ok(), "all of them may wait");
    drop(gave_way);
    let mut strangers = JoinSet::new();
    for mut stream in silent {
        let address = address.clone();
        strangers.spawn(async move {
            loop {
                hung_up_without_limit(&mut stream).await;
                stream = stranger(&address).await;
            }
        });
    }
    for number in 0..10 {
        let id = format!("spiffe://{DOMAIN}/ns/shop/sa/new-{number}");
        let mut other = mesh.client(&serving.grpc, &id).await;
        other.list_charges(requests::list_charges(1, "")).await.unwrap();
        // One more each time, so that the room stays more than full.
        let address = address.clone();
        strangers.spawn(async move { hung_up_without_limit(&mut stranger(&address).await).await });
    }
    client.list_charges(requests::list_charges(1, "")).await.unwrap();
    strangers.shutdown().await;
}

/// Half of a request, in far more connections than the admin port has, by a process that may have
/// few files open.
#[tokio::test]
async fn the_admin_port_answers_beside_requests_that_never_end_and_costs_callers_nothing() {
    let stub = Stub::always(Reply::new(500, "")).await;
    let serving = Serving::start_by("ulimit -n 300; exec \"$0\" \"$@\"", &stub.url).await;
    let mut halves = Vec::new();
    for _ in 0..400 {
        let mut stream = TcpStream::connect(&serving.admin).await.unwrap();
        // It may have had to give way by now.
        drop(stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n").await);
        halves.push(stream);
        if halves.len() % 100 == 0 {
            assert_eq!(get(&serving.admin, "/livez").await.0, 200);
        }
    }
    for half in &mut halves[..300] {
        hung_up_within(Duration::from_secs(4), half).await;
    }
    let mut client = serving.client().await;
    client.get_charge(requests::get_charge("order-1")).await.unwrap_err();
    assert!(!stub.seen().is_empty(), "callers are served");
    // The last ones have the time of a head, and no more.
    for half in &mut halves[300..] {
        hung_up_within(Duration::from_secs(8), half).await;
    }
}

/// Who may not call is told so, and takes no place of those who may.
#[tokio::test]
async fn connections_of_those_who_may_not_call_keep_no_caller_out() {
    let mesh = super::super::identity::Mesh::new();
    let stub = Stub::always(Reply::new(500, "")).await;
    let mut flags = mesh.flags();
    flags.extend(["--listen=tls://127.0.0.1:0", "--connections=4"].map(str::to_owned));
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let serving = Serving::start(&stub.url, &flags).await;
    let mut unwelcome = Vec::new();
    for name in 0..20 {
        let shown = mesh.authority.service(&format!("spiffe://{DOMAIN}/ns/bank/sa/s-{name}"));
        let config = Arc::new(client_config(&mesh.authority.pem(), Some(&shown)));
        unwelcome.push(shake_hands(&serving.grpc, config).await.unwrap());
    }
    let mut client = mesh.client(&serving.grpc, CHECKOUT).await;
    client.get_charge(requests::get_charge("order-1")).await.unwrap_err();
    assert!(!stub.seen().is_empty(), "who may call is served");
    // And they do not stay, though they say nothing wrong.
    let mut stay = unwelcome.remove(0);
    let mut rest = Vec::new();
    drop(timeout(Duration::from_secs(15), stay.read_to_end(&mut rest)).await.expect("an end"));
}

/// Who asks and does not take the answer holds places, so that what is kept for him is bounded;
/// not for long, so that others get them.
#[tokio::test]
async fn answers_that_nobody_takes_are_bounded_and_given_up() {
    const PATH: &str = "/zentra.gateway.v1.PaymentService/ListCharges";
    let zentra = simulator::start(Options::default(), Arc::new(StandingClock)).await.unwrap();
    let serving = Serving::start(&zentra.url(), &["--calls-in-flight=8"]).await;
    let mut client = serving.client().await;
    client.list_charges(requests::list_charges(1, "")).await.unwrap();
    let began = Instant::now();
    let mut attackers = Vec::new();
    // One takes nothing, the other begins to take each answer.
    for window in [0, 1] {
        let settings = [(INITIAL_WINDOW_SIZE, window)];
        let mut attacker = Attacker::with_settings(&serving.grpc, &settings).await;
        for number in 0..4 {
            let id = number * 2 + 1;
            let mut bytes = frame(HEADERS, END_HEADERS, id, &call_head(PATH));
            bytes.extend(frame(DATA, END_STREAM, id, &[0; 5]));
            attacker.send(&bytes).await.unwrap();
        }
        let mut heads = 0;
        while heads < 4 {
            heads += u32::from(soon(attacker.receive()).await.unwrap().kind == HEADERS);
        }
        attackers.push(attacker);
    }
    let told = refused(client.list_charges(requests::list_charges(1, "")).await);
    assert!(told.contains("OVERLOADED"), "{told}");
    for attacker in &mut attackers {
        let closed = async { while attacker.receive().await.is_some() {} };
        timeout(Duration::from_secs(30), closed).await.expect("it is kept");
    }
    let seconds = began.elapsed().as_secs();
    assert!((9..=25).contains(&seconds), "closed after {seconds} s");
    client.list_charges(requests::list_charges(1, "")).await.unwrap();
}
