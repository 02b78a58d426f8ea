//! A store whose steps are timed and traced.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use tokio::time::Instant;

use super::KeyDigest;
use super::limit::Stop;
use super::record::Record;
use super::step::{
    Advance, Claim, ClaimAnswer, CompleteAnswer, Doubt, DoubtAnswer, Evidence, KeyCheck, Lookup,
    PendingPage, PendingStats, ReconcilerLease, Release, ReleaseAnswer, Renew, RenewAnswer,
    SetStop, SetStopAnswer, Settle, SettleAnswer, SettleBegin, Stamped,
};
use super::store::{InitAnswer, NotReady, Step, Store, StoreError};
use super::waiters::Waiter;
use crate::domain::Reference;
use crate::telemetry::Telemetry;
use crate::telemetry::names::attribute;

/// Passes each step on, and tells how long it took and what came of it.
pub struct ObservedStore {
    store: Arc<dyn Store>,
    telemetry: Telemetry,
}

impl ObservedStore {
    /// Watches `store`, which is at a Redis.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, telemetry: Telemetry) -> Self {
        Self { store, telemetry }
    }

    fn watch<'a, T: Send + 'a>(&'a self, name: &'static str, step: Step<'a, T>) -> Step<'a, T> {
        Box::pin(watched(&self.telemetry, name, step))
    }
}

async fn watched<T>(
    telemetry: &Telemetry,
    name: &'static str,
    step: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let span = telemetry.tracer().client(|| format!("EVALSHA {name}").into());
    if let Some(span) = &span {
        span.set([
            KeyValue::new(attribute::DB_SYSTEM_NAME, "redis"),
            KeyValue::new(attribute::DB_OPERATION_NAME, "EVALSHA"),
            KeyValue::new(attribute::DB_STORED_PROCEDURE_NAME, name),
        ]);
    }
    let began = Instant::now();
    let result = step.await;
    let error = result.as_ref().err().map(kind);
    tell(telemetry, name, error, began.elapsed());
    if let Some(span) = span {
        span.end(error.map(Into::into));
    }
    result
}

fn tell(telemetry: &Telemetry, name: &'static str, error: Option<&'static str>, time: Duration) {
    telemetry.measures().store_step(name, error, time);
}

/// The kind of a failure, without the words of whatever failed.
fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unreachable(_) => "unreachable",
        StoreError::TimedOut(_) => "timeout",
        StoreError::Broken(_) => "broken",
        StoreError::Refused(_) => "refused",
        StoreError::Unreadable(_) => "unreadable",
        StoreError::Full => "full",
    }
}

impl Store for ObservedStore {
    fn claim<'a>(&'a self, claim: &'a Claim) -> Step<'a, Stamped<ClaimAnswer>> {
        self.watch("claim", self.store.claim(claim))
    }

    fn renew<'a>(&'a self, renew: &'a Renew) -> Step<'a, Stamped<RenewAnswer>> {
        self.watch("renew", self.store.renew(renew))
    }

    fn complete<'a>(&'a self, evidence: &'a Evidence) -> Step<'a, Stamped<CompleteAnswer>> {
        self.watch("complete", self.store.complete(evidence))
    }

    fn doubt<'a>(&'a self, doubt: &'a Doubt) -> Step<'a, Stamped<DoubtAnswer>> {
        self.watch("doubt", self.store.doubt(doubt))
    }

    fn release<'a>(&'a self, release: &'a Release) -> Step<'a, Stamped<ReleaseAnswer>> {
        self.watch("release", self.store.release(release))
    }

    fn settle_begin<'a>(&'a self, begin: &'a SettleBegin) -> Step<'a, Stamped<SettleAnswer>> {
        self.watch("settle_begin", self.store.settle_begin(begin))
    }

    fn settle<'a>(&'a self, settle: &'a Settle) -> Step<'a, Stamped<SettleAnswer>> {
        self.watch("settle", self.store.settle(settle))
    }

    fn read<'a>(&'a self, lookup: &'a Lookup) -> Step<'a, Stamped<Option<Record>>> {
        self.watch("read", self.store.read(lookup))
    }

    fn pending(&self, page: PendingPage) -> Step<'_, Stamped<Vec<Record>>> {
        self.watch("pending", self.store.pending(page))
    }

    fn pending_stats(&self) -> Step<'_, Stamped<PendingStats>> {
        self.watch("pending_stats", self.store.pending_stats())
    }

    fn advance<'a>(&'a self, advance: &'a Advance) -> Step<'a, Stamped<bool>> {
        self.watch("advance", self.store.advance(advance))
    }

    fn stop<'a>(&'a self, stop: &'a SetStop) -> Step<'a, Stamped<SetStopAnswer>> {
        self.watch("stop", self.store.stop(stop))
    }

    fn resume<'a>(&'a self, stop: Option<&'a Reference>) -> Step<'a, Stamped<u64>> {
        self.watch("resume", self.store.resume(stop))
    }

    fn stops(&self) -> Step<'_, Stamped<Vec<Stop>>> {
        self.watch("stops", self.store.stops())
    }

    fn reconciler_lease<'a>(&'a self, lease: &'a ReconcilerLease) -> Step<'a, Stamped<bool>> {
        self.watch("reconciler_lease", self.store.reconciler_lease(lease))
    }

    fn init(&self) -> Step<'_, InitAnswer> {
        self.watch("init", self.store.init())
    }

    fn readiness<'a>(&'a self, keys: &'a [KeyCheck]) -> Step<'a, Vec<NotReady>> {
        self.watch("readiness", self.store.readiness(keys))
    }

    fn subscribe<'a>(&'a self, digest: &'a KeyDigest) -> Step<'a, Waiter> {
        // It waits for somebody else, which is no step of the store's.
        self.store.subscribe(digest)
    }
}
