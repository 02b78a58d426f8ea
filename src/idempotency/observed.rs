//! A store whose steps are timed and traced.

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

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
use crate::telemetry::measure::{StepFailure, StoreStep};
use crate::telemetry::names::attribute;
use crate::telemetry::trace::ClientSpan;

/// Which server the steps go to, as far as is known: behind a Sentinel or in a Cluster it is found
/// when connecting, and another one after a failover. Clones share it.
#[derive(Clone, Debug)]
pub struct ServerAddress {
    known: Arc<Mutex<Option<HostAndPort>>>,
    /// The index of the database, as the conventions want it.
    database: Arc<str>,
}

type HostAndPort = (Arc<str>, u16);

impl ServerAddress {
    /// Not known yet; the account's data is in the database of this index.
    #[must_use]
    pub fn of_database(index: i64) -> Self {
        Self { known: Arc::default(), database: index.to_string().into() }
    }

    /// It is this one from now on.
    pub fn is(&self, host: &str, port: u16) {
        let mut address = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = address.as_ref().is_some_and(|(it, at)| **it == *host && *at == port);
        if !is_known {
            *address = Some((host.into(), port));
        }
    }

    fn now(&self) -> Option<HostAndPort> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Passes each step on, and tells how long it took and what came of it.
pub struct ObservedStore {
    store: Arc<dyn Store>,
    server: ServerAddress,
    telemetry: Telemetry,
}

/// What a step is at the server.
#[derive(Clone, Copy)]
enum What {
    /// One run of this script.
    Script(&'static str),
    /// Several commands.
    Commands(&'static str),
}

impl What {
    fn span_name(self) -> Cow<'static, str> {
        match self {
            Self::Script(name) => format!("EVALSHA {name}").into(),
            Self::Commands(name) => name.into(),
        }
    }

    /// The same as attributes and labels tell it, in the database and at the server of this moment.
    fn at(self, server: &ServerAddress) -> StoreStep {
        let (operation, script) = match self {
            Self::Script(name) => ("EVALSHA", Some(name)),
            Self::Commands(name) => (name, None),
        };
        let database = server.database.clone();
        StoreStep { operation, script, database, server: server.now() }
    }
}

impl ObservedStore {
    /// Watches `store`, which is at the Redis that `server` names.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, server: ServerAddress, telemetry: Telemetry) -> Self {
        Self { store, server, telemetry }
    }

    fn watch<'a, T: Send + 'a>(&'a self, script: &'static str, step: Step<'a, T>) -> Step<'a, T> {
        Box::pin(self.watched(What::Script(script), step))
    }

    async fn watched<T>(
        &self,
        what: What,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let span = self.telemetry.tracer().client(|| {
            // With room for the server and for what went wrong.
            let mut attributes = Vec::with_capacity(8);
            attributes.extend(what.at(&self.server).what());
            (what.span_name(), attributes)
        });
        let mut untold = Untold { store: self, what, open: Some((span, Instant::now())) };
        let result = step.await;
        untold.tell(result.as_ref().err());
        result
    }
}

/// Tells of a step once: by what came of it, or when it is dropped before anything did, as at the
/// end of the process.
struct Untold<'a> {
    store: &'a ObservedStore,
    what: What,
    open: Option<(Option<ClientSpan>, Instant)>,
}

impl Untold<'_> {
    fn tell(&mut self, fault: Option<&StoreError>) {
        self.end(fault.map(kind), fault.and_then(StoreError::server_code));
    }

    fn end(&mut self, error: Option<&'static str>, code: Option<&str>) {
        let Some((span, began)) = self.open.take() else { return };
        let time = began.elapsed();
        // Known by now, where the step had to connect first.
        let step = self.what.at(&self.store.server);
        // A code is the kind where there is one, as the conventions have it.
        let error: Option<Cow<'static, str>> =
            code.map(|it| it.to_owned().into()).or(error.map(Into::into));
        let code = code.map(|it| KeyValue::new(attribute::DB_RESPONSE_STATUS_CODE, it.to_owned()));
        if let Some(mut span) = span {
            span.set(step.place().chain(code.clone()));
            span.end(error.clone());
        }
        let error = error.map(|kind| StepFailure { kind, code });
        self.store.telemetry.measures().store_step(step, error, time);
    }
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        self.end(Some("cancelled"), None);
    }
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
        Box::pin(self.watched(What::Commands("init"), self.store.init()))
    }

    fn readiness<'a>(&'a self, keys: &'a [KeyCheck]) -> Step<'a, Vec<NotReady>> {
        Box::pin(self.watched(What::Commands("readiness"), self.store.readiness(keys)))
    }

    fn subscribe<'a>(&'a self, digest: &'a KeyDigest) -> Step<'a, Waiter> {
        // It waits for somebody else, which is no step of the store's.
        self.store.subscribe(digest)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::idempotency::MemoryStore;

    fn counts(telemetry: &Telemetry) -> Vec<String> {
        const COUNT: &str = "db_client_operation_duration_seconds_count";
        let text = telemetry.prometheus_text();
        text.lines().filter(|line| line.starts_with(COUNT)).map(str::to_owned).collect()
    }

    #[test]
    fn a_step_that_is_given_up_is_told_once_too() {
        let telemetry = Telemetry::quiet();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(|| 0));
        let observed = ObservedStore::new(store, ServerAddress::of_database(0), telemetry.clone());
        let step = std::future::pending::<Result<(), StoreError>>();
        let mut watched = Box::pin(observed.watched(What::Script("claim"), step));
        assert!(watched.as_mut().now_or_never().is_none());
        assert!(counts(&telemetry).is_empty());
        drop(watched);
        let [line] = &counts(&telemetry)[..] else { panic!("one step: {:?}", counts(&telemetry)) };
        assert!(line.contains("error_type=\"cancelled\"") && line.ends_with(" 1"), "{line}");
        let done = observed.watched(What::Script("claim"), std::future::ready(Ok(())));
        assert!(matches!(done.now_or_never(), Some(Ok(()))));
        assert_eq!(counts(&telemetry).len(), 2, "one that ends is not given up");
    }
}
