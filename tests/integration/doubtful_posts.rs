//! What the engine does after a POST that may have been processed: how long it waits, what its
//! repeats cost, and what Zentra is spared. On a paused clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use tower::util::BoxCloneSyncService;
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::app::{self, Parts};
use zentra_sidecar::domain::{Caller, ChargeCommand, IdempotencyKey, ListPage, Reference};
use zentra_sidecar::engine::{Engine, Terms};
use zentra_sidecar::error::{Error, Reason, Retry};
use zentra_sidecar::idempotency::{FingerprintKeys, Store};
use zentra_sidecar::reconciler::{Reconciler, ReconcilerSettings};
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::{CircuitState, StackState};

use crate::lost_claim::command;
use crate::support::sidecar::{self, StandingClock};

const SECOND: Duration = Duration::from_secs(1);

/// What is answered to the POST of this number, from 0 on, at this time since the start.
type Script = fn(usize, Duration) -> (u16, Option<&'static str>);

/// A Zentra without a socket. It has made no payment that is looked up.
pub(crate) struct Zentra {
    script: Script,
    started: Instant,
    /// When each POST came, and for which reference.
    posts: Mutex<Vec<(Duration, String)>>,
    look_ups: AtomicUsize,
    /// The wait that a look-up is answered with, and nothing else, where there is one.
    reads_ask_for: Mutex<Option<&'static str>>,
    /// How long a POST takes.
    pub(crate) takes: Mutex<Duration>,
    /// Which conflict a 409 is, and how long it asks to be left alone.
    pub(crate) conflict: Mutex<&'static str>,
    conflict_asks_for: Mutex<Option<&'static str>>,
}

impl Zentra {
    pub(crate) fn new(script: Script) -> Arc<Self> {
        Arc::new(Self {
            script,
            started: Instant::now(),
            posts: Mutex::default(),
            look_ups: AtomicUsize::new(0),
            reads_ask_for: Mutex::default(),
            takes: Mutex::default(),
            conflict: Mutex::new("idempotency_key_in_use"),
            conflict_asks_for: Mutex::default(),
        })
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        if request.method() == Method::GET {
            let is_list = request.uri().path().ends_with("/charges");
            self.look_ups.fetch_add(usize::from(!is_list), Ordering::Relaxed);
            if let Some(wait) = *self.reads_ask_for.lock().unwrap() {
                return response(429, Some(wait), &json!({"error": {"code": "rate_limited"}}));
            }
            let (status, body) = match is_list {
                true => (200, json!({"data": []})),
                false => (404, json!({"error": {"code": "not_found"}})),
            };
            return response(status, None, &body);
        }
        let asked: Value = serde_json::from_slice(request.body()).unwrap();
        let reference = asked["reference"].as_str().unwrap().to_owned();
        let at = self.started.elapsed();
        let mut posts = self.posts.lock().unwrap();
        let (status, wait) = (self.script)(posts.len(), at);
        posts.push((at, reference.clone()));
        let body = match status {
            201 => json!({"data": {
                "id": "chg_1", "reference": reference, "status": "successful",
                "amount_minor": 1000, "currency": "NGN",
            }}),
            409 => json!({"error": {"code": *self.conflict.lock().unwrap()}}),
            _ => json!({"error": {"code": "unavailable"}}),
        };
        let asks_for = *self.conflict_asks_for.lock().unwrap();
        response(status, wait.or(asks_for), &body)
    }

    pub(crate) fn posts_ms(&self) -> Vec<u128> {
        self.posts.lock().unwrap().iter().map(|(at, _)| at.as_millis()).collect()
    }

    pub(crate) fn look_ups(&self) -> usize {
        self.look_ups.load(Ordering::Relaxed)
    }

    pub(crate) fn posts(&self) -> usize {
        self.posts.lock().unwrap().len()
    }

    /// POSTs of references that had one before.
    fn repeats(&self) -> usize {
        let posts = self.posts.lock().unwrap();
        let references: std::collections::BTreeSet<_> = posts.iter().map(|it| &it.1).collect();
        posts.len() - references.len()
    }
}

fn response(status: u16, wait: Option<&str>, body: &Value) -> Response<Bytes> {
    let mut answer = Response::builder().status(status);
    if let Some(wait) = wait {
        answer = answer.header("retry-after", wait);
    }
    answer.body(Bytes::from(body.to_string())).unwrap()
}

/// Production's engine and stack before such a Zentra; the jitter is drawn as in production.
pub(crate) async fn engine(zentra: Arc<Zentra>, flags: &[&str]) -> (Engine, StackState) {
    let (engine, state) = engine_on(zentra, flags, None);
    engine.store().init().await.unwrap();
    (engine, state)
}

/// The same, on the store of another process.
pub(crate) fn engine_on(
    zentra: Arc<Zentra>,
    flags: &[&str],
    store: Option<Arc<dyn Store>>,
) -> (Engine, StackState) {
    let transport = tower::service_fn(move |request: Request<Bytes>| {
        let (answer, is_post) = (zentra.answer(&request), request.method() == Method::POST);
        let takes = if is_post { *zentra.takes.lock().unwrap() } else { Duration::ZERO };
        async move {
            sleep(takes).await;
            Ok(answer)
        }
    });
    let settings = sidecar::settings("http://127.0.0.1:1", flags);
    let clock = Arc::new(StandingClock);
    let transport = BoxCloneSyncService::new(transport);
    let parts = Parts::over(transport, &settings, clock.clone(), Telemetry::quiet());
    let state = parts.upstream_state.clone();
    let store = store.unwrap_or_else(|| parts.store.clone());
    // Every process of an account has the same.
    let keys = Arc::new(FingerprintKeys::ephemeral([7; 32]));
    let parts = Parts { store, keys, ..parts };
    (app::engine(&settings, clock, parts), state)
}

pub(crate) fn charge(reference: &str) -> ChargeCommand {
    let idempotency_key = IdempotencyKey::new(&format!("key-{reference}")).unwrap();
    ChargeCommand { idempotency_key, reference: Reference::new(reference).unwrap(), ..command() }
}

pub(crate) async fn pay(engine: &Engine, reference: &str, time: Duration) -> Result<u32, Error> {
    let caller = Caller::new("local").unwrap();
    let answer_by = Instant::now() + time;
    let (payment, terms) = (charge(reference), Terms::default());
    let told = engine.execute(&caller, answer_by, payment, terms, Admitted::default()).await;
    told.map(|it| it.execution.attempts)
}

/// Row 21: obeyed before the look-up and the next POST, as a Zentra that is asked to answer reads
/// is not left alone either. The clock of the stories stands at 10:00 sharp.
#[tokio::test(start_paused = true)]
async fn a_wait_that_a_doubtful_answer_asks_for_is_obeyed() {
    let scripts: [(Script, u128); 6] = [
        (|number, _| if number == 0 { (503, Some("1")) } else { (201, None) }, 1000),
        (|number, _| if number == 0 { (500, Some("2")) } else { (201, None) }, 2000),
        (|number, _| if number == 0 { (408, Some("3")) } else { (201, None) }, 3000),
        (|number, _| if number == 0 { (425, Some("4")) } else { (201, None) }, 4000),
        (
            |number, _| match number {
                0 => (503, Some("Sun, 22 Nov 2026 10:00:07 GMT")),
                _ => (201, None),
            },
            7000,
        ),
        // Shorter than the usual pause.
        (|number, _| if number == 0 { (503, Some("0")) } else { (201, None) }, 200),
    ];
    for (script, second_ms) in scripts {
        let zentra = Zentra::new(script);
        let (engine, _) = engine(zentra.clone(), &[]).await;
        assert_eq!(pay(&engine, "order-1", 15 * SECOND).await.unwrap(), 2);
        assert_eq!(zentra.posts_ms(), [0, second_ms]);
    }
}

/// Row 21.
#[tokio::test(start_paused = true)]
async fn a_wait_that_cannot_be_read_is_as_if_it_were_not_there() {
    let scripts: [Script; 4] = [
        |number, _| if number == 0 { (503, Some("-1")) } else { (201, None) },
        |number, _| if number == 0 { (503, Some("soon")) } else { (201, None) },
        |number, _| if number == 0 { (503, Some("1.5")) } else { (201, None) },
        |number, _| match number {
            0 => (503, Some("Sat, 21 Nov 2026 10:00:00 GMT")),
            _ => (201, None),
        },
    ];
    for script in scripts {
        let zentra = Zentra::new(script);
        let (engine, _) = engine(zentra.clone(), &[]).await;
        assert_eq!(pay(&engine, "order-1", 15 * SECOND).await.unwrap(), 2);
        assert_eq!(zentra.posts_ms(), [0, 200]);
    }
}

/// Row 21: handed on at once; a minute at most, as the caller's next try is what finds out.
#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_deadline_is_handed_on_at_once() {
    let scripts: [(Script, u64); 3] = [
        (|_, _| (503, Some("20")), 20),
        (|_, _| (503, Some("3600")), 60),
        (|_, _| (503, Some("Sun, 22 Nov 2026 10:00:40 GMT")), 40),
    ];
    for (script, wait) in scripts {
        let zentra = Zentra::new(script);
        let (engine, _) = engine(zentra.clone(), &[]).await;
        let began = Instant::now();
        let error = pay(&engine, "order-1", 15 * SECOND).await.unwrap_err();
        assert_eq!(error.reason(), Reason::OutcomeUnknown);
        assert_eq!(error.retry_advice(), Retry::After(Duration::from_secs(wait)));
        assert_eq!((began.elapsed(), zentra.posts_ms()), (Duration::ZERO, vec![0]));
    }
}

/// Row 22: what Zentra is still at work on is asked after no sooner than it says.
#[tokio::test(start_paused = true)]
async fn a_wait_that_comes_with_a_conflict_is_obeyed() {
    for (wait, look_ups) in [(None, 6), (Some("4"), 3)] {
        let zentra = Zentra::new(|_, _| (409, None));
        *zentra.conflict_asks_for.lock().unwrap() = wait;
        let (engine, _) = engine(zentra.clone(), &[]).await;
        let error = pay(&engine, "order-1", 15 * SECOND).await.unwrap_err();
        assert_eq!(error.reason(), Reason::OutcomeUnknown);
        assert_eq!((zentra.posts(), zentra.look_ups()), (1, look_ups), "{wait:?}");
    }
}

/// A repeat that an open circuit would keep back is not paid for.
#[tokio::test(start_paused = true)]
async fn nothing_is_paid_for_a_repeat_while_the_circuit_is_open() {
    let zentra = Zentra::new(|_, _| (503, None));
    // All leave before the first of them has failed.
    *zentra.takes.lock().unwrap() = Duration::from_millis(10);
    let (engine, state) = engine(zentra.clone(), &[]).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..30 {
        let engine = engine.clone();
        calls.spawn(async move { pay(&engine, &format!("order-{number}"), 15 * SECOND).await });
    }
    for told in calls.join_all().await {
        assert_eq!(told.unwrap_err().reason(), Reason::OutcomeUnknown);
    }
    assert_eq!(state.circuit.times_opened(), 1);
    assert_eq!((zentra.posts(), zentra.repeats()), (30, 0));
    assert_eq!((state.budget.repeats(), state.budget.left_milli()), (0, 10_000));
}

/// Step 7: Zentra keeps a key for two hours here, of which the last is a margin. What may have
/// arrived is not sent again after it, however long the call waits.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_again_once_waits_have_passed_the_window_for_it() {
    let zentra = Zentra::new(|number, _| match number {
        0 => (503, Some("3590")),
        _ => (503, Some("20")),
    });
    let (engine, _) = engine(zentra.clone(), &["--zentra-key-retention-hours=2"]).await;
    let error = pay(&engine, "order-1", 7200 * SECOND).await.unwrap_err();
    assert_eq!(error.reason(), Reason::OutcomeUnresolved);
    assert_eq!(zentra.posts_ms(), [0, 3_590_000]);
    assert_eq!(zentra.look_ups(), 2, "it was looked up once more before that was told");
}

/// The reconciler asks nothing more where Zentra asks for less: the rest is due at its next pass.
#[tokio::test(start_paused = true)]
async fn a_pass_of_the_reconciler_ends_where_zentra_asks_for_less() {
    for (asks, looks) in [(None, 3), (Some("7200"), 1)] {
        let zentra = Zentra::new(|_, _| (503, Some("3600")));
        let (engine, _) = engine(zentra.clone(), &[]).await;
        for reference in ["order-1", "order-2", "order-3"] {
            pay(&engine, reference, SECOND).await.unwrap_err();
        }
        sleep(engine.settings().reconcile_after * 2).await;
        *zentra.reads_ask_for.lock().unwrap() = asks;
        let reconciler = Reconciler::new(engine, ReconcilerSettings::default());
        reconciler.pass().await.unwrap();
        assert_eq!(zentra.look_ups(), looks, "{asks:?}");
    }
}

/// So many payments a second, each under its own key and told once; the reads between them work.
async fn steady(engine: &Engine, per_second: u32, time: Duration) -> Vec<(Duration, bool)> {
    let began = Instant::now();
    let mut calls = Vec::new();
    for number in 0..per_second * u32::try_from(time.as_secs()).unwrap() {
        sleep_until(began + SECOND * number / per_second).await;
        let at = began.elapsed();
        let engine = engine.clone();
        calls.push(tokio::spawn(async move {
            let read = engine.zentra().by(Instant::now() + SECOND);
            let _ = read.list_charges(ListPage { number: 1, size: 10 }).await;
            (at, pay(&engine, &format!("order-{number}"), 15 * SECOND).await.is_ok())
        }));
    }
    let mut told = Vec::new();
    for call in calls {
        told.push(call.await.unwrap());
    }
    told
}

/// Row 20: every second POST fails, so that the circuit never opens; the budget alone bounds what
/// the engine sends once more.
#[tokio::test(start_paused = true)]
async fn what_is_sent_once_more_stays_under_a_tenth_of_the_requests() {
    let zentra = Zentra::new(|number, _| if number % 2 == 0 { (503, None) } else { (201, None) });
    let (engine, state) = engine(zentra.clone(), &[]).await;
    let calls = steady(&engine, 50, 30 * SECOND).await;
    assert_eq!(state.circuit.times_opened(), 0);
    let repeats = zentra.repeats();
    assert!(repeats * 10 <= calls.len() * 2, "{repeats} of {} and as many reads", calls.len());
    assert!(repeats * 20 >= calls.len(), "and there are some: {repeats}");
    assert_eq!(state.budget.repeats(), repeats as u64, "each is in the metric");
}

/// Row 20: Zentra reads, but cannot write for a minute.
#[tokio::test(start_paused = true)]
async fn a_storm_that_only_writes_meet_opens_the_circuit_and_one_write_closes_it() {
    const STORM: Duration = Duration::from_secs(60);
    let zentra = Zentra::new(|_, at| if at < STORM { (503, None) } else { (201, None) });
    let (engine, state) = engine(zentra.clone(), &[]).await;
    let calls = steady(&engine, 50, 90 * SECOND).await;
    assert!(state.circuit.times_opened() >= 5, "{}", state.circuit.times_opened());
    assert_eq!(state.circuit.state(), CircuitState::Closed);
    let reached = zentra.posts.lock().unwrap().iter().filter(|(at, _)| *at < STORM).count();
    assert!(reached < 60, "a Zentra in trouble is left alone: {reached} POSTs of 3000 payments");
    let first_good = calls.iter().find(|(_, is_good)| *is_good).unwrap().0;
    assert!(first_good <= STORM + 12 * SECOND, "{first_good:?}");
    let late = calls.iter().filter(|(at, is_good)| *at >= first_good && !is_good).count();
    assert_eq!(late, 0);
}

/// After doubt a look-up comes before every further POST, also where the stack could try again by
/// itself: what was doubtful may have landed meanwhile.
#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_after_doubt_without_a_look_up() {
    let zentra = Zentra::new(|number, _| match number {
        0 => (503, None),
        1 => (429, Some("5")),
        _ => (201, None),
    });
    let (engine, _) = engine(zentra.clone(), &[]).await;
    let error = pay(&engine, "order-1", 60 * SECOND).await.unwrap_err();
    assert_eq!(error.reason(), Reason::OutcomeUnknown);
    assert_eq!(error.retry_advice(), Retry::After(5 * SECOND));
    assert_eq!(zentra.posts_ms(), [0, 200]);
    // The caller's retry looks up first, and takes one try.
    assert_eq!(pay(&engine, "order-1", 60 * SECOND).await.unwrap(), 3);
}

/// The POST that may have landed was another owner's: the same holds.
#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_after_a_takeover_without_a_look_up() {
    let zentra = Zentra::new(|number, _| match number {
        0 => (503, Some("3600")),
        1 => (429, Some("1")),
        _ => (201, None),
    });
    let (engine, _) = engine(zentra.clone(), &[]).await;
    for (posts, look_ups) in [(1, 0), (2, 2)] {
        let error = pay(&engine, "order-1", 60 * SECOND).await.unwrap_err();
        assert_eq!(error.reason(), Reason::OutcomeUnknown);
        assert_eq!((zentra.posts(), zentra.look_ups()), (posts, look_ups));
    }
}
