//! What became of payments later: told once, wherever it was found.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::time::{Instant, advance};
use tower::util::BoxCloneSyncService;
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::app::{self, Parts};
use zentra_sidecar::domain::Caller;
use zentra_sidecar::engine::{Engine, Terms};
use zentra_sidecar::error::{Error, Reason};
use zentra_sidecar::reconciler::{Pass, Reconciler, ReconcilerSettings};
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::{TransportError, Upstream};

use super::{Lines, kept};
use crate::lost_claim::command;
use crate::support::sidecar::{self, StandingClock};

/// What Zentra shows at the moment, and whether it answers POSTs.
#[derive(Clone)]
struct Shown(Arc<Mutex<(&'static str, i64, bool)>>);

impl Shown {
    fn is(&self, status: &'static str, answers_posts: bool) {
        *self.0.lock().unwrap() = (status, 1000, answers_posts);
    }
}

fn zentra(shown: Shown) -> Upstream {
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let (status, amount_minor, answers_posts) = *shown.0.lock().unwrap();
        let charge = json!({"success": true, "data": {
            "id": "chg_1", "reference": "order-1", "status": status,
            "amount_minor": amount_minor, "currency": "NGN",
            "customer_id": "cus_1", "payment_token_id": "tok_1",
        }});
        let is_read = request.method() == Method::GET;
        let answer = (is_read || answers_posts).then(|| {
            Response::builder()
                .status(if is_read { 200 } else { 201 })
                .header("x-request-id", if is_read { "req_9" } else { "req_1" })
                .body(Bytes::from(charge.to_string()))
                .unwrap()
        });
        async move { answer.ok_or(TransportError::Broken) }
    }))
}

struct Story {
    shown: Shown,
    engine: Engine,
    telemetry: Telemetry,
    lines: Lines,
}

impl Story {
    async fn begin() -> Self {
        let (telemetry, _, lines) = kept();
        let mut settings = sidecar::settings("http://127.0.0.1:1", &[]);
        settings.engine.reconcile_after = Duration::from_secs(1);
        let shown = Shown(Arc::new(Mutex::new(("pending", 1000, true))));
        let clock = Arc::new(StandingClock);
        let upstream = zentra(shown.clone());
        let parts = Parts::over(upstream, &settings, clock.clone(), telemetry.clone());
        parts.store.init().await.unwrap();
        let engine = app::engine(&settings, clock, parts);
        Self { shown, engine, telemetry, lines }
    }

    /// A call whose time is over before it can look.
    async fn charge(&self, time: Duration) -> Result<(), Error> {
        let caller = Caller::new("shop/checkout").unwrap();
        let (answer_by, terms) = (Instant::now() + time, Terms::default());
        let call = self.engine.execute(&caller, answer_by, command(), terms, Admitted::default());
        call.await.map(|_| ())
    }

    async fn pass(&self) -> Pass {
        advance(Duration::from_secs(60)).await;
        let reconciler = Reconciler::new(self.engine.clone(), ReconcilerSettings::default());
        reconciler.pass().await.unwrap()
    }

    fn told(&self) -> Vec<[Value; 4]> {
        let lines = self.lines.all();
        let fields = ["audit", "outcome", "money_moved", "provider_request_id"];
        lines.iter().map(|line| fields.map(|field| line[field].clone())).collect()
    }

    fn counted(&self, name: &str) -> Vec<String> {
        let text = self.telemetry.prometheus_text();
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }
}

fn line(kind: &str, outcome: &str, moved: &str, request_id: &str) -> [Value; 4] {
    [json!(kind), json!(outcome), json!(moved), json!(request_id)]
}

const RECOVERED: &str = "zentra_sidecar_recoveries_total";
const ENDED: &str = "zentra_sidecar_payments_ended_total";

#[tokio::test(start_paused = true)]
async fn a_pending_payment_ends_once_and_is_no_recovery() {
    let story = Story::begin().await;
    story.charge(Duration::from_secs(10)).await.unwrap();
    assert_eq!(story.pass().await, Pass { open: 1, ..Pass::default() });
    assert_eq!(story.counted(ENDED), Vec::<String>::new());
    story.shown.is("successful", true);
    assert_eq!(story.pass().await, Pass { resolved: 1, ..Pass::default() });
    assert_eq!(
        story.told(),
        [
            line("payment", "PENDING", "unknown", "req_1"),
            line("moved", "SUCCEEDED", "yes", "req_9"),
        ]
    );
    assert_eq!(story.counted(RECOVERED), Vec::<String>::new(), "nobody had lost it");
    let ended = [format!("{ENDED}{{operation=\"charge\",status=\"SUCCEEDED\"}} 1")];
    assert_eq!(story.counted(ENDED), ended);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_payment_that_is_found_pending_is_told_and_recovered_once() {
    let story = Story::begin().await;
    story.shown.is("pending", false);
    // No time for a look of its own.
    let error = story.charge(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::OutcomeUnknown);
    assert_eq!(story.pass().await, Pass { open: 1, ..Pass::default() });
    story.shown.is("successful", false);
    assert_eq!(story.pass().await, Pass { resolved: 1, ..Pass::default() });
    assert_eq!(
        story.told()[1..],
        [line("moved", "PENDING", "unknown", "req_9"), line("moved", "SUCCEEDED", "yes", "req_9"),]
    );
    assert_eq!(story.counted(RECOVERED), [format!("{RECOVERED}{{operation=\"charge\"}} 1")]);
    let ended = [format!("{ENDED}{{operation=\"charge\",status=\"SUCCEEDED\"}} 1")];
    assert_eq!(story.counted(ENDED), ended);
}

/// Whoever looks into a conflict asks Zentra about the request that showed it.
#[tokio::test(start_paused = true)]
async fn a_conflict_that_a_look_up_finds_names_zentras_request() {
    let story = Story::begin().await;
    *story.shown.0.lock().unwrap() = ("successful", 999, false);
    let error = story.charge(Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::OutcomeConflict);
    let lines = story.lines.all();
    let [call] = &lines[..] else { panic!("{lines:#?}") };
    assert_eq!(call["reason"], json!("OUTCOME_CONFLICT"));
    assert_eq!(call["provider_request_id"], json!("req_9"), "{call:#}");
}
