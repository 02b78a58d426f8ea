//! Calls that there is no room for count, wherever that is found.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use zentra_sidecar::telemetry::Telemetry;

use super::kept;
use crate::support::requests;
use crate::support::sidecar::{Sidecar, transport};
use crate::support::soon;
use crate::support::stub::{Reply, Stub};
use crate::support::told::refused;

/// A Zentra whose charge `hangs` nobody is told of, and whose `order-1` is pending until it is not.
struct Zentra {
    stub: Stub,
    /// The paths that it was asked for.
    asked: UnboundedReceiver<String>,
    is_final: Arc<AtomicBool>,
}

impl Zentra {
    async fn start() -> Self {
        let is_final = Arc::new(AtomicBool::new(false));
        let (tell, asked) = unbounded_channel();
        let now = is_final.clone();
        let stub = Stub::slowly(move |seen| {
            let _ = tell.send(seen.path.clone());
            let now = now.clone();
            async move {
                if seen.path.ends_with("hangs") {
                    return pending().await;
                }
                let status = if now.load(Ordering::Relaxed) { "successful" } else { "pending" };
                let data = json!({
                    "id": "chg_1", "reference": "order-1", "status": status,
                    "amount_minor": 50_000, "currency": "NGN",
                });
                Reply::json(200, &json!({"success": true, "data": data}))
            }
        });
        Self { stub: stub.await, asked, is_final }
    }

    async fn sidecar(&self, flags: &[&str]) -> (Sidecar, Telemetry) {
        let (telemetry, _, _) = kept();
        let told = telemetry.clone();
        (Sidecar::telling(&self.stub.url, flags, transport(), told).await, telemetry)
    }

    /// Has a read of `hangs` take its place.
    async fn occupied(&mut self, sidecar: &Sidecar) {
        let mut client = sidecar.client();
        tokio::spawn(async move { client.get_charge(requests::get_charge("hangs")).await });
        while !soon(self.asked.recv()).await.unwrap().ends_with("hangs") {}
    }
}

/// Where calls were refused, and how many.
fn counted(telemetry: &Telemetry) -> Vec<String> {
    let text = telemetry.prometheus_text();
    let counts =
        text.lines().filter_map(|it| it.strip_prefix("zentra_sidecar_calls_refused_total"));
    counts.filter(|it| !it.ends_with(" 0")).map(str::to_owned).collect()
}

#[tokio::test]
async fn at_the_door() {
    let mut zentra = Zentra::start().await;
    let (sidecar, telemetry) = zentra.sidecar(&["--calls-in-flight=1"]).await;
    zentra.occupied(&sidecar).await;
    let told = refused(sidecar.client().get_charge(requests::get_charge("order-1")).await);
    assert!(told.contains("OVERLOADED"), "{told}");
    assert_eq!(counted(&telemetry), ["{at=\"door\"} 1"]);
}

#[tokio::test]
async fn after_a_verify_has_waited() {
    let mut zentra = Zentra::start().await;
    let (sidecar, telemetry) = zentra.sidecar(&["--calls-in-flight=1"]).await;
    let mut client = sidecar.client();
    let waits =
        tokio::spawn(async move { client.verify(requests::verify_waiting("order-1", 10)).await });
    soon(zentra.asked.recv()).await.unwrap();
    zentra.occupied(&sidecar).await;
    zentra.is_final.store(true, Ordering::Relaxed);
    let told = refused(soon(waits).await.unwrap());
    assert!(told.contains("OVERLOADED"), "{told}");
    assert_eq!(counted(&telemetry), ["{at=\"wait\"} 1"]);
}

#[tokio::test]
async fn in_the_queue_to_zentra() {
    let mut zentra = Zentra::start().await;
    let (sidecar, telemetry) = zentra.sidecar(&["--zentra-requests-in-flight=1"]).await;
    zentra.occupied(&sidecar).await;
    let mut read = Request::new(requests::get_charge("order-1"));
    read.set_timeout(Duration::from_millis(300));
    let told = refused(sidecar.client().get_charge(read).await);
    assert!(told.contains("OVERLOADED"), "{told}");
    let mut payment = Request::new(requests::charge("order-2"));
    payment.set_timeout(Duration::from_millis(300));
    let told = refused(sidecar.client().charge(payment).await);
    assert!(told.contains("OVERLOADED"), "{told}");
    assert_eq!(counted(&telemetry), ["{at=\"queue\"} 2"]);
}

#[tokio::test]
async fn among_those_who_watch_health() {
    let zentra = Zentra::start().await;
    let (sidecar, telemetry) = zentra.sidecar(&[]).await;
    let mut health = HealthClient::new(sidecar.channel().await);
    let mut watching = Vec::new();
    let told = loop {
        match health.watch(HealthCheckRequest::default()).await {
            Ok(watch) => watching.push(watch),
            Err(status) => break status,
        }
    };
    assert!(!watching.is_empty());
    assert!(refused::<()>(Err(told)).contains("OVERLOADED"));
    assert_eq!(counted(&telemetry), ["{at=\"aside\"} 1"]);
}
