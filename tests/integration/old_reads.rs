//! What Zentra was asked before a payment was begun says nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tower::util::BoxCloneSyncService;
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::app::{self, Parts};
use zentra_sidecar::domain::{Caller, Reference};
use zentra_sidecar::error::Reason;
use zentra_sidecar::gateway::{Call, CardData, Gateway};
use zentra_sidecar::idempotency::{Lookup, Namespace, State};
use zentra_sidecar::readiness;
use zentra_sidecar::shutdown::Draining;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::{TransportError, Upstream};

use crate::lost_claim::command;
use crate::support::sidecar::{self, StandingClock};

/// The first read waits and then shows a charge that failed; later ones find nothing. What is
/// posted is lost on the way.
fn zentra(answer: Arc<Notify>) -> Upstream {
    let reads = Arc::new(AtomicUsize::new(0));
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let (answer, reads) = (answer.clone(), reads.clone());
        async move {
            if request.method() == Method::POST {
                return Err(TransportError::Broken);
            }
            if reads.fetch_add(1, Ordering::Relaxed) > 0 {
                let body = json!({"error": {"code": "not_found"}}).to_string();
                let mut answer = Response::new(Bytes::from(body));
                *answer.status_mut() = StatusCode::NOT_FOUND;
                return Ok(answer);
            }
            answer.notified().await;
            let data = json!({
                "id": "chg_0", "reference": "order-1", "status": "failed", "amount_minor": 1000,
                "currency": "NGN", "customer_id": "cus_1", "payment_token_id": "tok_1",
            });
            Ok(Response::new(Bytes::from(json!({"success": true, "data": data}).to_string())))
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_older_than_the_payment_does_not_end_it() {
    let answer = Arc::new(Notify::new());
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let clock = Arc::new(StandingClock);
    let parts = Parts::over(zentra(answer.clone()), &settings, clock.clone(), Telemetry::quiet());
    let (store, keys) = (parts.store.clone(), parts.keys.checks());
    store.init().await.unwrap();
    let (ready, _) = readiness::checked(store.clone(), keys, Draining::default()).await;
    let engine = app::engine(&settings, clock, parts);
    let gateway = Gateway::new(
        engine,
        CardData::Refuse,
        ready,
        std::sync::Arc::new(zentra_sidecar::policy::Policies::none()),
    );
    let call = |seconds| Call {
        caller: Caller::new("local").unwrap(),
        answer_by: Instant::now() + Duration::from_secs(seconds),
        admitted: Admitted::default(),
    };
    let reference = Reference::new("order-1").unwrap();

    let read = tokio::spawn({
        let (gateway, call, reference) = (gateway.clone(), call(9), reference.clone());
        async move { gateway.get_charge(call, reference).await }
    });
    sleep(Duration::from_millis(1)).await;
    let error = gateway.charge(call(1), command()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::OutcomeUnknown);
    answer.notify_one();
    assert!(read.await.unwrap().is_ok());
    gateway.finish().await;
    let lookup = Lookup::Reference(Namespace::Charge, reference);
    let record = store.read(&lookup).await.unwrap().answer.unwrap();
    assert_eq!(record.state, State::Unknown);
}
