//! `Execution.attempts` is the number of POSTs that left, whoever repeated them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::app::{self, Parts};
use zentra_sidecar::domain::Caller;
use zentra_sidecar::engine::{Executed, Terms};
use zentra_sidecar::error::{Error, Reason};
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::TransportError;
use zentra_sidecar::zentra::{KeyRing, SecretKey};

use crate::lost_claim::command;
use crate::support::sidecar::{self, KEY, StandingClock};

/// What becomes of a try: it does not leave, or is answered with a status.
type Step = Result<u16, TransportError>;

fn answer(status: u16) -> Response<Bytes> {
    let body = match status {
        201 => json!({"data": {
            "id": "chg_1", "reference": "order-1", "status": "successful",
            "amount_minor": 1000, "currency": "NGN",
        }}),
        401 => json!({"error": {"code": "invalid_api_key"}}),
        _ => json!({"error": {"code": "rate_limit_exceeded"}}),
    };
    Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap()
}

/// A payment whose tries end like this, one after the other; how many there were, and what is left
/// for repeats, in thousandths of one.
async fn pay(steps: &[Step]) -> (Result<u32, Error>, usize, u64) {
    let left = Arc::new(Mutex::new(VecDeque::from(steps.to_vec())));
    let next = left.clone();
    let transport = tower::service_fn(move |_: Request<Bytes>| {
        let step = next.lock().unwrap().pop_front().expect("no more tries than steps");
        async move { step.map(answer) }
    });
    let mut settings = sidecar::settings("http://127.0.0.1:1", &[]);
    // Its file holds another key by now.
    let key = SecretKey::new(&KEY.into()).ok().unwrap();
    let source = Arc::new(|| Ok("sk_simulated_1111111111111111".into()));
    settings.zentra_key = Arc::new(KeyRing::new(key, Some(source)));
    let clock = Arc::new(StandingClock);
    let parts = Parts::over(
        BoxCloneSyncService::new(transport),
        &settings,
        clock.clone(),
        Telemetry::quiet(),
    );
    parts.store.init().await.unwrap();
    let budget = parts.upstream_state.budget.clone();
    let engine = app::engine(&settings, clock, parts);
    let answer_by = Instant::now() + Duration::from_secs(5);
    let caller = Caller::new("local").unwrap();
    let told =
        engine.execute(&caller, answer_by, command(), Terms::default(), Admitted::default()).await;
    let told = told.map(|Executed { execution, .. }| execution.attempts);
    (told, steps.len() - left.lock().unwrap().len(), budget.left_milli())
}

#[tokio::test]
async fn each_post_that_left_counts_and_no_other_try() {
    const REFUSED: Step = Err(TransportError::NotSent);
    for (steps, posts) in [
        (vec![Ok(201)], 1),
        (vec![REFUSED, Ok(201)], 1),
        (vec![Ok(429), REFUSED, Ok(201)], 2),
        (vec![Ok(429), Ok(429), Ok(201)], 3),
        (vec![Ok(401), Ok(201)], 2),
        (vec![Ok(429), Ok(401), Ok(201)], 3),
    ] {
        let (told, tries, _) = pay(&steps).await;
        assert_eq!((told.unwrap(), tries), (posts, steps.len()), "{steps:?}");
    }
}

/// A new key would have been there, but no fourth POST.
#[tokio::test]
async fn a_refused_key_is_no_reason_for_a_fourth_post() {
    let (told, tries, _) = pay(&[Ok(429), Ok(429), Ok(401), Ok(201)]).await;
    assert_eq!((told.unwrap_err().reason(), tries), (Reason::UpstreamAuth, 3));
}

/// The POST under the new key is the same payment's, and pays for no other's repeat.
#[tokio::test(start_paused = true)]
async fn a_post_under_another_key_brings_nothing_into_the_budget() {
    let (told, _, left) = pay(&[Ok(429), Ok(401), Ok(201)]).await;
    assert_eq!(told.unwrap(), 3);
    // Of ten one was taken; the pause, a tenth of a second at most, brings in a fiftieth.
    assert!((9000..9050).contains(&left), "{left}");
}

/// Zentra saw the first try, and refused it: `sent` speaks of the call, not of its last try.
#[tokio::test]
async fn what_was_refused_once_and_then_kept_back_was_sent() {
    const REFUSED: Step = Err(TransportError::NotSent);
    const KEPT_BACK: Step = Err(TransportError::NoTime);
    for (steps, reason, sent) in [
        (vec![REFUSED, REFUSED, REFUSED], Reason::UpstreamUnreachable, "false"),
        (vec![Ok(429), REFUSED, REFUSED], Reason::UpstreamUnreachable, "true"),
        (vec![Ok(401), REFUSED, REFUSED], Reason::UpstreamUnreachable, "true"),
        (vec![Ok(429), KEPT_BACK], Reason::Overloaded, "true"),
        (vec![KEPT_BACK], Reason::Overloaded, "false"),
    ] {
        let error = pay(&steps).await.0.unwrap_err();
        let metadata: BTreeMap<_, _> = error.metadata().collect();
        let told = (error.reason(), metadata["sent"].as_str(), metadata["money_moved"].as_str());
        assert_eq!(told, (reason, sent, "no"), "{steps:?}");
    }
}
