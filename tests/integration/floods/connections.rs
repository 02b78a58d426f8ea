//! Floods of connections, and connections that do nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::Town;
use crate::support::http2::Attacker;
use crate::support::pki::{Authority, CHECKOUT, DOMAIN, client_config, shake_hands};
use crate::support::process::{Serving, get};
use crate::support::requests;
use crate::support::soon;
use crate::support::stub::{Reply, Stub};

/// Waits until the other side hangs up, whatever it says before.
async fn hung_up(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end too.
    drop(soon(stream.read_to_end(&mut rest)).await);
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

/// Strangers who never shake hands take no place from those who have.
#[tokio::test]
async fn handshakes_without_end_keep_no_caller_out() {
    let mesh = super::super::identity::Mesh::new();
    let stub = Stub::always(Reply::new(500, "")).await;
    let serving = mesh.serve(&stub.url).await;
    let address = serving.grpc.strip_prefix("tls://").unwrap();
    let mut client = mesh.client(&serving.grpc, CHECKOUT).await;
    let mut silent = Vec::new();
    // One more than there are places. Which of them is refused is chance.
    for _ in 0..=256 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let any = select_all(silent.iter_mut().map(|stream| Box::pin(hung_up(stream))));
    // Before the others' time for a handshake is over.
    let refused = timeout(Duration::from_secs(5), any).await;
    assert!(refused.is_ok(), "all of them may wait");
    drop(refused);
    client.get_charge(requests::get_charge("order-1")).await.unwrap_err();
    assert!(!stub.seen().is_empty(), "who is there goes on being served");
    silent.clear();
    let shown = Authority::service(&mesh.authority, &format!("spiffe://{DOMAIN}/ns/shop/sa/new"));
    let mut other = mesh.client_with(&serving.grpc, &shown).await;
    other.get_charge(requests::get_charge("order-2")).await.unwrap_err();
    assert_eq!(stub.seen().last().unwrap().path, "/api/v1/payments/charges/order-2");
}
