use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use zentra_sidecar::simulator::{ResendOrder, SettingsChange, SignatureForm};

use super::*;

/// A webhook as it arrived.
struct Arrived {
    signature: String,
    body: String,
}

impl Arrived {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A receiver that answers with these statuses, then with 200.
async fn receiver(mut statuses: Vec<u16>) -> (String, mpsc::UnboundedReceiver<Arrived>) {
    let (sender, arrived) = mpsc::unbounded_channel();
    statuses.reverse();
    let statuses = std::sync::Mutex::new(statuses);
    let state = Arc::new((sender, statuses));
    let handler = move |headers: HeaderMap, body: String| async move {
        let signature = headers["x-zentra-signature"].to_str().unwrap().to_owned();
        state.0.send(Arrived { signature, body }).unwrap();
        let status = state.1.lock().unwrap().pop().unwrap_or(200);
        StatusCode::from_u16(status).unwrap()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/hooks", post(handler));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, arrived)
}

async fn next(arrived: &mut mpsc::UnboundedReceiver<Arrived>) -> Arrived {
    tokio::time::timeout(PATIENCE, arrived.recv()).await.unwrap().unwrap()
}

/// HMAC-SHA256 computed here, so that a mistake of the simulator is seen.
fn hmac(text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"whsec_test").unwrap();
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

async fn bench(url: String, signature: SignatureForm) -> Bench {
    Bench::with(Options {
        webhook_url: Some(url),
        webhook_secret: "whsec_test".to_owned(),
        webhook_signature: signature,
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn an_event_is_delivered_with_a_bare_signature() {
    let (url, mut arrived) = receiver(vec![]).await;
    let bench = bench(url, SignatureForm::Hex).await;
    let (_, charge) = bench.answer(bench.charge("r", GOOD_CARD).await).await;
    let event = next(&mut arrived).await;
    assert_eq!(event.signature, hmac(&event.body));
    let json = event.json();
    assert!(json["id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(json["type"], "charge.successful");
    assert_eq!(json["data"], charge["data"]);
}

#[tokio::test]
async fn an_event_is_delivered_with_a_timestamped_signature() {
    let (url, mut arrived) = receiver(vec![]).await;
    let bench = bench(url, SignatureForm::Timestamped).await;
    bench.answer(bench.charge("r", GOOD_CARD).await).await;
    let event = next(&mut arrived).await;
    let (time, mac) = event.signature.split_once(",v1=").unwrap();
    let time = time.strip_prefix("t=").unwrap();
    assert_eq!(mac, hmac(&format!("{time}.{}", event.body)));
    let age = bench.simulator.now().as_second() - time.parse::<i64>().unwrap();
    assert!((0..60).contains(&age));
}

#[tokio::test]
async fn a_refused_event_is_sent_again_with_the_same_body() {
    let (url, mut arrived) = receiver(vec![500]).await;
    let bench = bench(url, SignatureForm::Hex).await;
    let at_once = Some(Duration::ZERO);
    let change = SettingsChange { webhook_backoff: at_once, ..SettingsChange::default() };
    bench.simulator.configure(change);
    bench.answer(bench.charge("r", GOOD_CARD).await).await;
    let first = next(&mut arrived).await;
    let second = next(&mut arrived).await;
    assert_eq!(first.body, second.body);
}

#[tokio::test]
async fn held_events_can_be_sent_in_reverse_and_twice() {
    let (url, mut arrived) = receiver(vec![]).await;
    let bench = bench(url, SignatureForm::Hex).await;
    bench.answer(bench.charge("a", GOOD_CARD).await).await;
    next(&mut arrived).await;
    bench.answer(bench.charge("b", GOOD_CARD).await).await;
    next(&mut arrived).await;

    let hold = |hold| SettingsChange { webhook_hold: Some(hold), ..SettingsChange::default() };
    bench.simulator.configure(hold(true));
    assert_eq!(bench.simulator.resend_webhooks(|_| true, 2, ResendOrder::Reversed), 2);
    assert!(arrived.try_recv().is_err());
    bench.simulator.configure(hold(false));
    let mut references = Vec::new();
    for _ in 0..4 {
        let event = next(&mut arrived).await.json();
        references.push(event["data"]["reference"].as_str().unwrap().to_owned());
    }
    // They are sent in this order, over several connections: they may arrive in another.
    references.sort();
    assert_eq!(references, ["a", "a", "b", "b"]);
}
