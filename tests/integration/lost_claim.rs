//! A claim whose answer was lost begins nothing anew, and an outcome whose answer was counts once.

mod background;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tower::util::BoxCloneSyncService;
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::app::{self, Parts};
use zentra_sidecar::domain::{
    Caller, ChargeCommand, Currency, CustomerId, IdempotencyKey, Initiator, Money, PaymentTokenId,
    Reference,
};
use zentra_sidecar::engine::{Engine, Terms};
use zentra_sidecar::error::{Error, Reason, Retry};
use zentra_sidecar::idempotency::{
    Advance, Claim, ClaimAnswer, CompleteAnswer, Doubt, DoubtAnswer, Evidence, Fence, InitAnswer,
    KeyCheck, KeyDigest, Lookup, MemoryStore, NotReady, OwnerId, PendingPage, PendingStats,
    ReconcilerLease, Record, Release, ReleaseAnswer, Renew, RenewAnswer, SetStop, SetStopAnswer,
    Settle, SettleAnswer, SettleBegin, Stamped, Step, Stop, Store, StoreError, Waiter,
};
use zentra_sidecar::reconciler::{Pass, Reconciler, ReconcilerSettings};
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::TransportError;

use crate::support::sidecar::{self, StandingClock};
use crate::telemetry::kept;

/// A store that loses its first claim: it may have been applied, and has not been.
pub(crate) struct Losing {
    inner: MemoryStore,
    has_lost: AtomicBool,
    /// Whether another call was at the payment when the claim came.
    is_taken: bool,
    /// That other call's claim.
    other: Mutex<Option<Claim>>,
    /// How many of the next outcomes are stored, and the answer lost.
    loses_outcomes: AtomicUsize,
    /// How long each step of a payment takes.
    each_step: Duration,
}

impl Losing {
    /// One that loses nothing.
    fn nothing() -> Self {
        Self {
            inner: MemoryStore::new(|| 0),
            has_lost: AtomicBool::new(true),
            is_taken: false,
            other: Mutex::default(),
            loses_outcomes: AtomicUsize::default(),
            each_step: Duration::ZERO,
        }
    }

    /// One that loses nothing and takes this long for each step of a payment.
    pub(crate) fn slow(each_step: Duration) -> Self {
        Self { each_step, ..Self::nothing() }
    }

    fn slowly<'a, T: 'a>(&self, step: Step<'a, T>) -> Step<'a, T> {
        let each_step = self.each_step;
        Box::pin(async move {
            sleep(each_step).await;
            step.await
        })
    }

    async fn lose(&self, claim: &Claim) -> Result<Stamped<ClaimAnswer>, StoreError> {
        if self.is_taken {
            let other = Claim { owner: OwnerId::new(7), ..claim.clone() };
            self.inner.claim(&other).await?;
            *self.other.lock().unwrap() = Some(other);
        }
        Err(StoreError::TimedOut(500))
    }

    /// The other call is refused, and its caller told so.
    async fn release_the_other(&self) {
        let other = self.other.lock().unwrap().take().unwrap();
        let release = Release {
            digest: other.subject.digest,
            fence: Fence { owner: other.owner, epoch: 1 },
            look_up_first_ms: other.periods.look_up_first_ms,
        };
        let released = self.inner.release(&release).await.unwrap();
        assert_eq!(released.answer, ReleaseAnswer::Released);
    }
}

impl Store for Losing {
    fn claim<'a>(&'a self, claim: &'a Claim) -> Step<'a, Stamped<ClaimAnswer>> {
        if self.has_lost.swap(true, Ordering::Relaxed) {
            return self.slowly(self.inner.claim(claim));
        }
        Box::pin(self.lose(claim))
    }

    fn renew<'a>(&'a self, renew: &'a Renew) -> Step<'a, Stamped<RenewAnswer>> {
        self.slowly(self.inner.renew(renew))
    }

    fn complete<'a>(&'a self, evidence: &'a Evidence) -> Step<'a, Stamped<CompleteAnswer>> {
        let loses = |left: usize| left.checked_sub(1);
        let left = &self.loses_outcomes;
        if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, loses).is_err() {
            return self.slowly(self.inner.complete(evidence));
        }
        Box::pin(async move {
            self.inner.complete(evidence).await?;
            Err(StoreError::TimedOut(500))
        })
    }

    fn doubt<'a>(&'a self, doubt: &'a Doubt) -> Step<'a, Stamped<DoubtAnswer>> {
        self.slowly(self.inner.doubt(doubt))
    }

    fn release<'a>(&'a self, release: &'a Release) -> Step<'a, Stamped<ReleaseAnswer>> {
        self.slowly(self.inner.release(release))
    }

    fn settle_begin<'a>(&'a self, begin: &'a SettleBegin) -> Step<'a, Stamped<SettleAnswer>> {
        self.inner.settle_begin(begin)
    }

    fn settle<'a>(&'a self, settle: &'a Settle) -> Step<'a, Stamped<SettleAnswer>> {
        self.inner.settle(settle)
    }

    fn read<'a>(&'a self, lookup: &'a Lookup) -> Step<'a, Stamped<Option<Record>>> {
        self.slowly(self.inner.read(lookup))
    }

    fn pending(&self, page: PendingPage) -> Step<'_, Stamped<Vec<Record>>> {
        self.inner.pending(page)
    }

    fn pending_stats(&self) -> Step<'_, Stamped<PendingStats>> {
        self.inner.pending_stats()
    }

    fn advance<'a>(&'a self, advance: &'a Advance) -> Step<'a, Stamped<bool>> {
        self.inner.advance(advance)
    }

    fn stop<'a>(&'a self, stop: &'a SetStop) -> Step<'a, Stamped<SetStopAnswer>> {
        self.inner.stop(stop)
    }

    fn resume<'a>(&'a self, stop: Option<&'a Reference>) -> Step<'a, Stamped<u64>> {
        self.inner.resume(stop)
    }

    fn stops(&self) -> Step<'_, Stamped<Vec<Stop>>> {
        self.inner.stops()
    }

    fn reconciler_lease<'a>(&'a self, lease: &'a ReconcilerLease) -> Step<'a, Stamped<bool>> {
        self.inner.reconciler_lease(lease)
    }

    fn init(&self) -> Step<'_, InitAnswer> {
        self.inner.init()
    }

    fn readiness<'a>(&'a self, keys: &'a [KeyCheck]) -> Step<'a, Vec<NotReady>> {
        self.inner.readiness(keys)
    }

    fn subscribe<'a>(&'a self, digest: &'a KeyDigest) -> Step<'a, Waiter> {
        self.slowly(self.inner.subscribe(digest))
    }
}

pub(crate) fn command() -> ChargeCommand {
    ChargeCommand {
        idempotency_key: IdempotencyKey::new("key-1").unwrap(),
        reference: Reference::new("order-1").unwrap(),
        amount: Money::new(1000, Currency::new("NGN").unwrap()).unwrap(),
        customer_id: CustomerId::new("cus_1").unwrap(),
        payment_token_id: PaymentTokenId::new("tok_1").unwrap(),
        initiator: Initiator::Customer,
        actor: None,
    }
}

/// An engine over a store that loses its first claim, and a Zentra that nobody can reach.
async fn engine(posts: Arc<AtomicUsize>, is_taken: bool) -> (Engine, Arc<Losing>) {
    let transport = tower::service_fn(move |_: Request<Bytes>| {
        posts.fetch_add(1, Ordering::Relaxed);
        async { Err::<Response<Bytes>, _>(TransportError::NotSent) }
    });
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let clock = Arc::new(StandingClock);
    let parts = Parts::over(
        BoxCloneSyncService::new(transport),
        &settings,
        clock.clone(),
        Telemetry::quiet(),
    );
    let store =
        Arc::new(Losing { has_lost: AtomicBool::new(false), is_taken, ..Losing::nothing() });
    store.init().await.unwrap();
    let parts = Parts { store: store.clone(), ..parts };
    (app::engine(&settings, clock, parts), store)
}

async fn charge(engine: &Engine) -> Error {
    let answer_by = Instant::now() + Duration::from_secs(5);
    let caller = Caller::new("local").unwrap();
    engine
        .execute(&caller, answer_by, command(), Terms::default(), Admitted::default())
        .await
        .unwrap_err()
}

/// The lost answer may have been that another call was at it; that call may have been refused
/// since, and its caller told `no`. Whoever then began anew would make a lie of it. And nobody is
/// told of another call that was never seen.
#[tokio::test(start_paused = true)]
async fn it_takes_what_there_is_and_sends_nothing() {
    let posts = Arc::new(AtomicUsize::new(0));
    let (engine, _) = engine(posts.clone(), false).await;
    let error = charge(&engine).await;
    assert_eq!(error.reason(), Reason::IdempotencyStoreUnavailable);
    assert_eq!(error.retry_advice(), Retry::After(Duration::from_secs(1)));
    let metadata: Vec<_> = error.metadata().collect();
    assert!(metadata.contains(&("money_moved", "unknown".to_owned())), "{metadata:?}");
    assert!(metadata.contains(&("sent", "false".to_owned())), "{metadata:?}");
    assert_eq!(posts.load(Ordering::Relaxed), 0, "nothing was begun");
    // The caller's own retry, whose claim is answered, begins it.
    assert_eq!(charge(&engine).await.reason(), Reason::UpstreamUnreachable);
    assert_eq!(posts.load(Ordering::Relaxed), 3, "provably unsent, so tried three times");
}

/// The same where there really is another call, which is refused in the end.
#[tokio::test(start_paused = true)]
async fn it_waits_for_another_call_and_sends_nothing_after_it_either() {
    let posts = Arc::new(AtomicUsize::new(0));
    let (engine, store) = engine(posts.clone(), true).await;
    let other = async {
        sleep(Duration::from_secs(2)).await;
        store.release_the_other().await;
    };
    let (error, ()) = tokio::join!(charge(&engine), other);
    assert_eq!(error.reason(), Reason::IdempotencyInProgress);
    assert_eq!(posts.load(Ordering::Relaxed), 0, "nothing was begun");
}

/// The repeat finds the outcome stored already, and it was this call that stored it.
#[tokio::test(start_paused = true)]
async fn an_outcome_whose_answer_was_lost_counts_once() {
    let charge = json!({"success": true, "data": {
        "id": "chg_1", "reference": "order-1", "status": "successful", "amount_minor": 1000,
        "currency": "NGN", "customer_id": "cus_1", "payment_token_id": "tok_1",
    }});
    let body = Bytes::from(charge.to_string());
    let transport = tower::service_fn(move |_: Request<Bytes>| {
        let answer = Response::builder().status(201).body(body.clone()).unwrap();
        async { Ok::<_, TransportError>(answer) }
    });
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let (clock, telemetry) = (Arc::new(StandingClock), Telemetry::quiet());
    let transport = BoxCloneSyncService::new(transport);
    let parts = Parts::over(transport, &settings, clock.clone(), telemetry.clone());
    let store = Losing { loses_outcomes: AtomicUsize::new(1), ..Losing::nothing() };
    store.init().await.unwrap();
    let engine = app::engine(&settings, clock, Parts { store: Arc::new(store), ..parts });
    let caller = Caller::new("local").unwrap();
    for _ in 0..2 {
        let answer_by = Instant::now() + Duration::from_secs(5);
        let terms = Terms::default();
        let call = engine.execute(&caller, answer_by, command(), terms, Admitted::default());
        call.await.unwrap();
    }
    let text = telemetry.prometheus_text();
    for line in [
        "zentra_sidecar_money_moved_minor_total{currency=\"NGN\",operation=\"charge\"} 1000\n",
        "zentra_sidecar_payments_ended_total{operation=\"charge\",status=\"SUCCEEDED\"} 1\n",
        "zentra_sidecar_payments_total{operation=\"charge\",status=\"SUCCEEDED\"} 2\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

/// The same where the background has found it: nobody else will tell of it.
#[tokio::test(start_paused = true)]
async fn an_outcome_that_was_found_and_whose_answer_was_lost_is_told_once() {
    let charge = json!({"success": true, "data": {
        "id": "chg_1", "reference": "order-1", "status": "successful", "amount_minor": 1000,
        "currency": "NGN", "customer_id": "cus_1", "payment_token_id": "tok_1",
    }});
    let body = Bytes::from(charge.to_string());
    let is_there = Arc::new(AtomicBool::new(false));
    let shown = is_there.clone();
    let transport = tower::service_fn(move |request: Request<Bytes>| {
        let is_read = request.method() == http::Method::GET && shown.load(Ordering::Relaxed);
        let answer = is_read.then(|| Response::builder().status(200).body(body.clone()).unwrap());
        async move { answer.ok_or(TransportError::Broken) }
    });
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let (clock, (telemetry, _, lines)) = (Arc::new(StandingClock), kept());
    let transport = BoxCloneSyncService::new(transport);
    let parts = Parts::over(transport, &settings, clock.clone(), telemetry.clone());
    let started = Instant::now();
    let now_ms = move || u64::try_from(started.elapsed().as_millis()).unwrap();
    let store = Arc::new(Losing { inner: MemoryStore::new(now_ms), ..Losing::nothing() });
    store.init().await.unwrap();
    let engine = app::engine(&settings, clock, Parts { store: store.clone(), ..parts });
    assert_eq!(self::charge(&engine).await.reason(), Reason::OutcomeUnknown);
    is_there.store(true, Ordering::Relaxed);
    store.loses_outcomes.store(1, Ordering::Relaxed);
    sleep(engine.settings().reconcile_after * 2).await;
    let reconciler = Reconciler::new(engine, ReconcilerSettings::default());
    let pass = reconciler.pass().await.unwrap();
    assert_eq!(pass, Pass { resolved: 1, ..Pass::default() });
    let told: Vec<_> = lines
        .all()
        .iter()
        .map(|line| (line["audit"].clone(), line["money_moved"].clone()))
        .collect();
    assert_eq!(told, [(json!("payment"), json!("unknown")), (json!("moved"), json!("yes"))]);
    let text = telemetry.prometheus_text();
    for line in [
        "zentra_sidecar_money_moved_minor_total{currency=\"NGN\",operation=\"charge\"} 1000\n",
        "zentra_sidecar_payments_ended_total{operation=\"charge\",status=\"SUCCEEDED\"} 1\n",
        "zentra_sidecar_recoveries_total{operation=\"charge\"} 1\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

/// The end of the process drops a pass in the midst of storing: what is stored is told all the same.
#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_stored_while_the_end_begins_is_told() {
    let body = Bytes::from(
        json!({"success": true, "data": {
            "id": "chg_1", "reference": "order-1", "status": "successful", "amount_minor": 1000,
            "currency": "NGN", "customer_id": "cus_1", "payment_token_id": "tok_1",
        }})
        .to_string(),
    );
    let is_there = Arc::new(AtomicBool::new(false));
    let shown = is_there.clone();
    let transport = tower::service_fn(move |request: Request<Bytes>| {
        let is_read = request.method() == http::Method::GET && shown.load(Ordering::Relaxed);
        let answer = is_read.then(|| Response::builder().status(200).body(body.clone()).unwrap());
        async move { answer.ok_or(TransportError::Broken) }
    });
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let (clock, (telemetry, _, lines)) = (Arc::new(StandingClock), kept());
    let transport = BoxCloneSyncService::new(transport);
    let parts = Parts::over(transport, &settings, clock.clone(), telemetry);
    let started = Instant::now();
    let now_ms = move || u64::try_from(started.elapsed().as_millis()).unwrap();
    let inner = MemoryStore::new(now_ms);
    let store = Losing { inner, ..Losing::slow(Duration::from_millis(400)) };
    store.init().await.unwrap();
    let engine = app::engine(&settings, clock, Parts { store: Arc::new(store), ..parts });
    assert_eq!(self::charge(&engine).await.reason(), Reason::OutcomeUnknown);
    sleep(engine.settings().reconcile_after * 2).await;
    is_there.store(true, Ordering::Relaxed);
    let pass = Reconciler::new(engine.clone(), ReconcilerSettings::default());
    // Of the 400 ms that storing takes.
    let pass = tokio::time::timeout(Duration::from_millis(200), pass.pass()).await;
    assert!(pass.is_err(), "it is dropped in the midst");
    engine.finish().await;
    let told: Vec<_> = lines.all().iter().map(|line| line["audit"].clone()).collect();
    assert_eq!(told, [json!("payment"), json!("moved")]);
}

/// A fault of the program's own, after the caller is gone or while it waits: the line that was promised
/// is there, with all that was asked.
#[tokio::test(start_paused = true)]
async fn work_that_breaks_off_has_its_line() {
    let transport = tower::service_fn(|_: Request<Bytes>| async {
        let breaks_off = true;
        assert!(!breaks_off, "a story");
        Err::<Response<Bytes>, _>(TransportError::Broken)
    });
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let (clock, (telemetry, _, lines)) = (Arc::new(StandingClock), kept());
    let transport = BoxCloneSyncService::new(transport);
    let parts = Parts::over(transport, &settings, clock.clone(), telemetry);
    parts.store.init().await.unwrap();
    let engine = app::engine(&settings, clock, parts);
    let error = self::charge(&engine).await;
    assert_eq!((error.reason(), error.is_audited()), (Reason::OutcomeUnknown, true));
    let lines = lines.all();
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    for (field, value) in [
        ("audit", json!("payment")),
        ("reference", json!("order-1")),
        ("customer_id", json!("cus_1")),
        ("amount_minor", json!(1000)),
        ("reason", json!("OUTCOME_UNKNOWN")),
        ("money_moved", json!("unknown")),
    ] {
        assert_eq!(line[field], value, "{field}: {line:#}");
    }
}
