//! The proxy on the way to Zentra: the one that the settings name, and no other.

use bytes::Bytes;
use http::Request;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tower::ServiceExt as _;
use zentra_sidecar::upstream::{Limits, ProxyUrl, TransportError, over_reqwest};

use crate::support::process::{Serving, command};
use crate::support::requests;
use crate::support::sidecar::KEY;
use crate::support::soon;
use crate::support::stub::{Reply, Stub};
use crate::support::told::refused;

async fn nothing_found() -> Stub {
    Stub::always(Reply::json(404, &json!({"error": {"code": "not_found"}}))).await
}

async fn reads_a_charge(serving: &Serving) {
    let told = refused(serving.client().await.get_charge(requests::get_charge("order-1")).await);
    assert!(told.starts_with("NotFound NOT_FOUND"), "{told}");
}

#[tokio::test]
async fn requests_go_through_the_proxy_of_the_settings() {
    let proxy = nothing_found().await;
    // Nobody listens there: only the proxy can have answered.
    let serving =
        Serving::start("http://127.0.0.1:1", &[&format!("--zentra-proxy={}", proxy.url)]).await;
    reads_a_charge(&serving).await;
    let seen = proxy.seen();
    assert_eq!(seen[0].path, "/api/v1/payments/charges/order-1");
    assert!(seen[0].headers.contains(&("host".to_owned(), "127.0.0.1:1".to_owned())));
}

#[tokio::test]
async fn proxies_that_the_environment_names_see_nothing() {
    let (zentra, trap) = (nothing_found().await, nothing_found().await);
    let mut command = command(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    command.args(["--zentra-url", &zentra.url]).env("ZENTRA_SECRET_KEY", KEY);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, &trap.url).env(name.to_ascii_lowercase(), &trap.url);
    }
    let serving = Serving::of(command).await;
    reads_a_charge(&serving).await;
    assert_eq!((zentra.seen().len(), trap.seen().len()), (1, 0));
}

/// The name is resolved by the proxy; path, key and payment are inside the tunnel.
#[tokio::test]
async fn https_goes_through_a_tunnel_that_the_proxy_cannot_look_into() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = ProxyUrl::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let upstream = over_reqwest(Limits::default(), Some(&proxy)).unwrap();
    let request = Request::get("https://zentra.invalid/secret-path")
        .header("authorization", format!("Bearer {KEY}"))
        .body(Bytes::new())
        .unwrap();
    let call = tokio::spawn(upstream.oneshot(request));
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    let mut head = vec![0; 4096];
    let length = soon(stream.read(&mut head)).await.unwrap();
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    assert!(head.starts_with("CONNECT zentra.invalid:443 HTTP/1.1\r\n"), "{head}");
    assert!(!head.contains("secret-path") && !head.contains(KEY), "{head}");
    drop(stream);
    assert_eq!(soon(call).await.unwrap().unwrap_err(), TransportError::NotSent);
}
