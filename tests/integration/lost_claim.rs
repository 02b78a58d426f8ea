//! A claim whose answer was lost begins nothing anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::app::{self, Parts};
use zentra_sidecar::domain::{
    Caller, ChargeCommand, Currency, CustomerId, IdempotencyKey, Initiator, Money, PaymentTokenId,
    Reference,
};
use zentra_sidecar::error::Reason;
use zentra_sidecar::idempotency::{
    Advance, Claim, ClaimAnswer, CompleteAnswer, Doubt, DoubtAnswer, Evidence, InitAnswer,
    KeyCheck, KeyDigest, Lookup, MemoryStore, NotReady, PendingPage, PendingStats, ReconcilerLease,
    Record, Release, ReleaseAnswer, Renew, RenewAnswer, Settle, SettleAnswer, SettleBegin, Stamped,
    Step, Store, StoreError, Waiter,
};
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::TransportError;

use crate::support::sidecar::{self, StandingClock};

/// A store that loses its first claim: it may have been applied, and has not been.
struct Losing {
    inner: MemoryStore,
    has_lost: AtomicBool,
}

impl Store for Losing {
    fn claim<'a>(&'a self, claim: &'a Claim) -> Step<'a, Stamped<ClaimAnswer>> {
        if self.has_lost.swap(true, Ordering::Relaxed) {
            return self.inner.claim(claim);
        }
        Box::pin(async { Err(StoreError::TimedOut(500)) })
    }

    fn renew<'a>(&'a self, renew: &'a Renew) -> Step<'a, Stamped<RenewAnswer>> {
        self.inner.renew(renew)
    }

    fn complete<'a>(&'a self, evidence: &'a Evidence) -> Step<'a, Stamped<CompleteAnswer>> {
        self.inner.complete(evidence)
    }

    fn doubt<'a>(&'a self, doubt: &'a Doubt) -> Step<'a, Stamped<DoubtAnswer>> {
        self.inner.doubt(doubt)
    }

    fn release<'a>(&'a self, release: &'a Release) -> Step<'a, Stamped<ReleaseAnswer>> {
        self.inner.release(release)
    }

    fn settle_begin<'a>(&'a self, begin: &'a SettleBegin) -> Step<'a, Stamped<SettleAnswer>> {
        self.inner.settle_begin(begin)
    }

    fn settle<'a>(&'a self, settle: &'a Settle) -> Step<'a, Stamped<SettleAnswer>> {
        self.inner.settle(settle)
    }

    fn read<'a>(&'a self, lookup: &'a Lookup) -> Step<'a, Stamped<Option<Record>>> {
        self.inner.read(lookup)
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
        self.inner.subscribe(digest)
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

/// The lost answer may have been that another call was at it; that call may have been refused
/// since, and its caller told `no`. Whoever then began anew would make a lie of it.
#[tokio::test(start_paused = true)]
async fn it_takes_what_there_is_and_sends_nothing() {
    let posts = Arc::new(AtomicUsize::new(0));
    let seen = posts.clone();
    let transport = tower::service_fn(move |_: Request<Bytes>| {
        seen.fetch_add(1, Ordering::Relaxed);
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
    let store = Losing { inner: MemoryStore::new(|| 0), has_lost: AtomicBool::new(false) };
    store.init().await.unwrap();
    let engine = app::engine(&settings, clock, Parts { store: Arc::new(store), ..parts });
    let caller = Caller::new("local").unwrap();
    let charge = async || {
        let answer_by = Instant::now() + Duration::from_secs(5);
        let admitted = Admitted::default();
        engine.execute(&caller, answer_by, command(), None, admitted).await.unwrap_err().reason()
    };
    assert_eq!(charge().await, Reason::IdempotencyInProgress);
    assert_eq!(posts.load(Ordering::Relaxed), 0, "nothing was begun");
    // The caller's own retry, whose claim is answered, begins it.
    assert_eq!(charge().await, Reason::UpstreamUnreachable);
    assert_eq!(posts.load(Ordering::Relaxed), 3, "provably unsent, so tried three times");
}
