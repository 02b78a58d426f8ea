//! Where connections lead, and how long they may take to come about.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tower::ServiceExt as _;

use super::*;

/// A name service whose one entry can be moved, and which counts how often it is asked.
#[derive(Clone)]
struct Names {
    entry: Arc<Mutex<SocketAddr>>,
    asked: Arc<AtomicUsize>,
}

impl Resolve for Names {
    fn resolve(&self, _: Name) -> Resolving {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let addresses: Addrs = Box::new(std::iter::once(*self.entry.lock().unwrap()));
        Box::pin(async { Ok(addresses) })
    }
}

/// A Zentra that answers each request with its own name.
async fn zentra(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(move || async move { name });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The transport of production, which asks these names.
fn transport(names: &Names, connections_live: Duration) -> Upstream {
    let limits = Limits { connections_live, ..Limits::default() };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let names = names.clone();
    let make = move || client(limits, None)?.dns_resolver(names.clone()).build();
    over(limits, Box::new(make)).unwrap()
}

async fn get(upstream: &Upstream) -> Bytes {
    let request = Request::get("http://zentra.test/").body(Bytes::new()).unwrap();
    upstream.clone().oneshot(request).await.unwrap().into_body()
}

/// A connection that is never idle would go on leading to the old place for as long as that lives.
#[tokio::test]
async fn a_name_that_moves_is_followed_while_its_old_place_still_answers() {
    let (old, new) = (zentra("old").await, zentra("new").await);
    let names = Names { entry: Arc::new(Mutex::new(old)), asked: Arc::default() };
    let stays = transport(&names, Duration::from_secs(3600));
    let moves = transport(&names, Duration::ZERO);
    assert_eq!((get(&stays).await, get(&moves).await), ("old".into(), "old".into()));
    *names.entry.lock().unwrap() = new;
    let followed = async { while get(&moves).await != "new" {} };
    timeout(Duration::from_secs(30), followed).await.expect("the new place is found");
    // Not because each request has a connection of its own.
    let asked = names.asked.load(Ordering::Relaxed);
    for _ in 0..20 {
        assert_eq!(get(&stays).await, "old");
    }
    assert_eq!(names.asked.load(Ordering::Relaxed), asked);
}

/// A place that takes connections and then says nothing holds nobody up: no TLS, nothing sent.
#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_come_about_is_given_up_in_time_and_nothing_was_sent() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let limits = Limits { connect_timeout: Duration::from_secs(3), ..Limits::default() };
    let upstream = over_reqwest(limits, None).unwrap();
    let request = Request::get(url).body(Bytes::new()).unwrap();
    let began = Instant::now();
    let answer = timeout(Duration::from_secs(60), upstream.oneshot(request)).await;
    assert_eq!(answer.expect("it is given up").unwrap_err(), TransportError::NotSent);
    assert_eq!(began.elapsed().as_secs(), 3);
}
