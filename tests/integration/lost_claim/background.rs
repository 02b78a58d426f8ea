//! What the background has found, where its storing has no answer or the end comes first.

use http::Method;
use serde_json::Value;
use tokio::sync::Notify;
use zentra_sidecar::gateway::{Call, CardData, Gateway};
use zentra_sidecar::policy::Policies;
use zentra_sidecar::readiness;
use zentra_sidecar::shutdown::Draining;
use zentra_sidecar::upstream::Upstream;

use super::*;
use crate::telemetry::Lines;

/// Loses the answer of every POST, and shows the charge once it is back; tells of each such look.
fn zentra(is_back: Arc<AtomicBool>, looked: Arc<Notify>) -> Upstream {
    let charge = json!({"success": true, "data": {
        "id": "chg_1", "reference": "order-1", "status": "successful", "amount_minor": 1000,
        "currency": "NGN", "customer_id": "cus_1", "payment_token_id": "tok_1",
    }});
    let body = Bytes::from(charge.to_string());
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let is_shown = request.method() == Method::GET && is_back.load(Ordering::Relaxed);
        if is_shown {
            looked.notify_one();
        }
        let answer = is_shown.then(|| Response::builder().status(200).body(body.clone()).unwrap());
        async move { answer.ok_or(TransportError::Broken) }
    }))
}

/// A payment of which nobody knows what became, and a Zentra that shows it now.
struct Story {
    parts: Parts,
    store: Arc<Losing>,
    looked: Arc<Notify>,
    telemetry: Telemetry,
    lines: Lines,
}

impl Story {
    async fn begin(each_step: Duration) -> Self {
        let settings = sidecar::settings("http://127.0.0.1:1", &[]);
        let (clock, (telemetry, _, lines)) = (Arc::new(StandingClock), kept());
        let (is_back, looked) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let started = Instant::now();
        let now_ms = move || u64::try_from(started.elapsed().as_millis()).unwrap();
        let store = Losing { inner: MemoryStore::new(now_ms), ..Losing::slow(each_step) };
        let store = Arc::new(store);
        store.init().await.unwrap();
        let parts = || {
            let zentra = zentra(is_back.clone(), looked.clone());
            let parts = Parts::over(zentra, &settings, clock.clone(), telemetry.clone());
            Parts { store: store.clone(), ..parts }
        };
        let engine = app::engine(&settings, clock.clone(), parts());
        assert_eq!(charge(&engine).await.reason(), Reason::OutcomeUnknown);
        sleep(engine.settings().reconcile_after * 2).await;
        is_back.store(true, Ordering::Relaxed);
        Self { parts: parts(), store, looked, telemetry, lines }
    }

    fn told(lines: &Lines) -> Vec<[Value; 4]> {
        let fields = ["audit", "outcome", "money_moved", "stored"];
        lines.all().iter().map(|line| fields.map(|field| line[field].clone())).collect()
    }

    fn counted(telemetry: &Telemetry, name: &str) -> Vec<String> {
        let text = telemetry.prometheus_text();
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }
}

/// It is stored, so that nobody who looks later has any news: this is the last who can tell.
#[tokio::test(start_paused = true)]
async fn an_outcome_whose_storing_was_never_answered_is_on_record() {
    let Story { parts, store, telemetry, lines, .. } = Story::begin(Duration::ZERO).await;
    store.loses_outcomes.store(3, Ordering::Relaxed);
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let engine = app::engine(&settings, Arc::new(StandingClock), parts);
    let reconciler = Reconciler::new(engine, ReconcilerSettings::default());
    assert_eq!(reconciler.pass().await, Err(StoreError::TimedOut(500)));
    assert_eq!(reconciler.pass().await, Ok(Pass::default()), "the store has it");
    let found = [json!("moved"), json!("SUCCEEDED"), json!("yes"), json!(false)];
    assert_eq!(Story::told(&lines)[1..], [found]);
    let name = "zentra_sidecar_outcomes_not_stored_total";
    let counted = Story::counted(&telemetry, name);
    assert_eq!(counted, [format!("{name}{{operation=\"charge\"}} 1")]);
    assert!(Story::counted(&telemetry, "zentra_sidecar_money_moved_minor_total").is_empty());
}

/// The same where a caller's read has shown it.
#[tokio::test(start_paused = true)]
async fn an_outcome_that_a_read_has_shown_is_on_record_too() {
    let Story { parts, store, lines, .. } = Story::begin(Duration::ZERO).await;
    store.loses_outcomes.store(3, Ordering::Relaxed);
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let keys = parts.keys.checks();
    let (readiness, _) = readiness::checked(store, keys, Draining::default()).await;
    let engine = app::engine(&settings, Arc::new(StandingClock), parts);
    let policies = Arc::new(Policies::none());
    let gateway = Gateway::new(engine, CardData::Refuse, readiness, policies);
    let call = Call {
        caller: Caller::new("local").unwrap(),
        answer_by: Instant::now() + Duration::from_secs(5),
        admitted: Admitted::default(),
    };
    gateway.get_charge(call, Reference::new("order-1").unwrap()).await.unwrap();
    gateway.finish().await;
    let found = [json!("moved"), json!("SUCCEEDED"), json!("yes"), json!(false)];
    assert_eq!(Story::told(&lines)[1..], [found]);
    assert_eq!(lines.all()[1]["by"], json!("read"));
}

/// `reconcile` alone: its end waits for what is being stored, and for the line.
#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_stored_while_the_process_ends_is_told() {
    let story = Story::begin(Duration::from_millis(400)).await;
    let Story { parts, looked, lines, .. } = story;
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let clock = Arc::new(StandingClock);
    let reconciling = app::reconcile_over(settings, clock, parts).await;
    let reconciling = reconciling.unwrap_or_else(|fault| panic!("{fault}"));
    looked.notified().await;
    // Of the 400 ms that storing takes.
    sleep(Duration::from_millis(100)).await;
    assert_eq!(lines.all().len(), 1, "it is not stored yet");
    reconciling.shut_down().await.unwrap();
    let found = [json!("moved"), json!("SUCCEEDED"), json!("yes"), Value::Null];
    assert_eq!(Story::told(&lines)[1..], [found]);
}
