//! Connections to Zentra are kept, and not for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tower::ServiceExt as _;
use zentra_sidecar::upstream::{Limits, TransportError, Upstream, over_reqwest};

use crate::support::soon;

/// A server that counts its connections. It answers `/held` when it is told to, and all else at
/// once.
#[derive(Default)]
struct Server {
    connections: AtomicUsize,
    arrived: Notify,
    go: Notify,
}

impl Server {
    async fn start() -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(Self::default());
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        (server, url)
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
            let is_held = line.starts_with("GET /held");
            while line != "\r\n" {
                line.clear();
                stream.read_line(&mut line).await.unwrap();
            }
            line.clear();
            if is_held {
                self.arrived.notify_one();
                self.go.notified().await;
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer).await.unwrap();
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn get(upstream: &Upstream, url: &str) -> Result<u16, TransportError> {
    let request = Request::get(url).body(Bytes::new()).unwrap();
    upstream.clone().oneshot(request).await.map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn a_young_connection_is_used_again() {
    let (server, url) = Server::start().await;
    let upstream = over_reqwest(Limits::default(), None).unwrap();
    for _ in 0..20 {
        assert_eq!(get(&upstream, &url).await, Ok(200));
    }
    assert_eq!(server.connections(), 1);
}

/// Under load without a pause, which would end idle connections anyhow.
#[tokio::test]
async fn an_old_connection_is_replaced_and_whoever_is_on_it_is_not_cut_off() {
    let (server, url) = Server::start().await;
    let connections_live = Duration::from_millis(50);
    let upstream = over_reqwest(Limits { connections_live, ..Limits::default() }, None).unwrap();
    let (slow, held) = (upstream.clone(), format!("{url}/held"));
    let slow = tokio::spawn(async move { get(&slow, &held).await });
    soon(server.arrived.notified()).await;
    soon(async {
        // The held one has a connection; these would do with one more.
        while server.connections() < 4 {
            assert_eq!(get(&upstream, &url).await, Ok(200));
        }
    })
    .await;
    server.go.notify_one();
    assert_eq!(soon(slow).await.unwrap(), Ok(200));
}
