//! The reconciler: finds out, in the background, what became of payments whose outcome is open.
//!
//! It only looks up; it never sends. One process of an account does it at a time.

mod look;

use std::time::Duration;

use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::TraceContextExt as _;
use tokio::time::{Instant, sleep, sleep_until};

pub use look::{Sight, Sighting, sight};

use crate::engine::Engine;
use crate::idempotency::{
    OwnerId, PendingKind, PendingPage, PendingStats, ReconcilerLease, Record, Stamped, StoreError,
};
use crate::shutdown::Draining;
use crate::telemetry::Pending;

/// How often the reconciler works.
#[derive(Clone, Copy, Debug)]
pub struct ReconcilerSettings {
    /// The time between two passes.
    pub interval: Duration,
    /// Records looked up in one pass; each costs one read at Zentra.
    pub records_per_pass: u32,
    /// The longest time between two looks at one record.
    pub longest_pause: Duration,
}

impl Default for ReconcilerSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            records_per_pass: 50,
            longest_pause: Duration::from_secs(3600),
        }
    }
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Payments whose outcome is known now.
    pub resolved: u32,
    /// Payments that are still open.
    pub open: u32,
    /// Payments whose answers contradict each other.
    pub conflicts: u32,
}

/// Looks after one account's open payments.
pub struct Reconciler {
    engine: Engine,
    settings: ReconcilerSettings,
    owner: OwnerId,
}

impl Reconciler {
    /// A reconciler of the engine's account.
    #[must_use]
    pub fn new(engine: Engine, settings: ReconcilerSettings) -> Self {
        Self { engine, settings, owner: OwnerId::new(rand::random()) }
    }

    /// Works until draining begins. A store that cannot be reached is tried again at each pass.
    pub async fn run(self, draining: Draining) {
        tokio::select! {
            // A pass is not waited for: of fifty records each may keep it for as long as a Zentra
            // that hangs keeps a read, and another process begins where this one left off.
            () = draining.begun() => {}
            () = self.work() => {}
        }
        self.engine.telemetry().measures().pending(None);
        // Another process need not wait for the lease to run out.
        let _ = self.lease(Duration::ZERO).await;
    }

    async fn work(&self) {
        let mut last_seen = PendingStats::default();
        loop {
            let next = Instant::now() + self.settings.interval;
            match self.pass_if_leading().await {
                Ok(Some((pass, stats))) => tell(pass, &stats, &mut last_seen),
                Ok(None) => {}
                Err(fault) => tracing::warn!(%fault, "the reconciler cannot reach the store"),
            }
            sleep_until(next).await;
        }
    }

    /// One pass, where no other process of the account is at it; none too where another has come to
    /// lead meanwhile.
    ///
    /// # Errors
    /// Where the store cannot be reached.
    pub async fn pass_if_leading(
        &self,
    ) -> Result<Option<(Pass, Stamped<PendingStats>)>, StoreError> {
        let told = self.pass_while_leading().await;
        if !matches!(told, Ok(Some(_))) {
            // Only who leads knows; what others knew once is no news.
            self.engine.telemetry().measures().pending(None);
        }
        if told.is_err() {
            // What this process cannot do another may.
            let _ = self.lease(Duration::ZERO).await;
        }
        told
    }

    async fn pass_while_leading(
        &self,
    ) -> Result<Option<(Pass, Stamped<PendingStats>)>, StoreError> {
        if !self.lead().await? {
            return Ok(None);
        }
        // Before the pass: where Zentra hangs it takes long, and that is when somebody has to know.
        self.count().await?;
        let pass = tokio::select! {
            biased;
            pass = self.pass() => pass?,
            lost = self.until_another_leads() => return lost.map(|()| None),
        };
        match self.lead().await? {
            true => Ok(Some((pass, self.count().await?))),
            false => Ok(None),
        }
    }

    /// Keeps the lead, and what is shown of the account up to date.
    async fn until_another_leads(&self) -> Result<(), StoreError> {
        loop {
            sleep(self.settings.interval).await;
            if !self.lead().await? {
                return Ok(());
            }
            self.count().await?;
        }
    }

    async fn count(&self) -> Result<Stamped<PendingStats>, StoreError> {
        let stats = self.engine.store().pending_stats().await?;
        self.engine.telemetry().measures().pending(Some(pending(&stats)));
        Ok(stats)
    }

    /// Looks up what is due.
    ///
    /// # Errors
    /// Where the store cannot be reached.
    pub async fn pass(&self) -> Result<Pass, StoreError> {
        let limit = self.settings.records_per_pass;
        let page = PendingPage { kind: PendingKind::Due, offset: 0, limit };
        let due = self.engine.store().pending(page).await?;
        let mut pass = Pass::default();
        for record in due.answer {
            let age = Duration::from_millis(due.now_ms.saturating_sub(record.first_sent_ms));
            let looked = self.look(&record, self.pause(age)).await?;
            match looked {
                look::Looked::Resolved => pass.resolved += 1,
                look::Looked::Conflict => pass.conflicts += 1,
                look::Looked::Open => pass.open += 1,
                // Zentra asks for less; what is left is due again at the next pass.
                look::Looked::RateLimited => break,
            }
        }
        Ok(pass)
    }

    /// One look, in a trace of its own that leads to the lost one.
    async fn look(&self, record: &Record, next: Duration) -> Result<look::Looked, StoreError> {
        let tracer = self.engine.telemetry().tracer();
        let context = tracer.root("reconcile");
        let looked = async {
            tracer.link_current(&record.subject.trace_context, "recovery");
            look::look(&self.engine, record, next).await
        };
        looked.with_context(context.clone()).await.inspect(|_| context.span().end())
    }

    /// Older payments are looked at less often.
    fn pause(&self, age: Duration) -> Duration {
        let shortest = self.engine.settings().reconcile_after;
        (age / 2).clamp(shortest, self.settings.longest_pause.max(shortest))
    }

    async fn lead(&self) -> Result<bool, StoreError> {
        self.lease(self.settings.interval * 3).await
    }

    async fn lease(&self, time: Duration) -> Result<bool, StoreError> {
        let lease_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let lease = ReconcilerLease { owner: self.owner, lease_ms };
        Ok(self.engine.store().reconciler_lease(&lease).await?.answer)
    }
}

fn pending(stats: &Stamped<PendingStats>) -> Pending {
    Pending {
        unknown: stats.answer.unresolved,
        oldest_unknown: oldest_age(stats).unwrap_or_default(),
        open: stats.answer.open,
        conflicts: stats.answer.conflicts,
        lost_at_seconds: stats.answer.lost_at_ms.unwrap_or(0) / 1000,
    }
}

/// How long ago, on the store's clock, the oldest payment without an outcome was first sent.
fn oldest_age(stats: &Stamped<PendingStats>) -> Option<Duration> {
    let first_sent_ms = stats.answer.oldest_unresolved_ms?;
    Some(Duration::from_millis(stats.now_ms.saturating_sub(first_sent_ms)))
}

/// The leading process says what is open, once for the account, whenever that changes.
fn tell(pass: Pass, stats: &Stamped<PendingStats>, last_seen: &mut PendingStats) {
    let now = stats.answer;
    if now != *last_seen || pass != Pass::default() {
        tracing::info!(
            unresolved = now.unresolved,
            open = now.open,
            conflicts = now.conflicts,
            oldest_unresolved_seconds = oldest_age(stats).map(|age| age.as_secs()),
            resolved_now = pass.resolved,
            "open payments of the account"
        );
        *last_seen = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_unknown_payment_is_told_by_its_age_and_not_by_its_date() {
        let stats = PendingStats { oldest_unresolved_ms: Some(40_000), ..PendingStats::default() };
        let told = pending(&Stamped { now_ms: 100_000, answer: stats });
        assert_eq!(told.oldest_unknown, Duration::from_secs(60));
        let none = Stamped { now_ms: 100_000, answer: PendingStats::default() };
        assert_eq!(pending(&none).oldest_unknown, Duration::ZERO);
    }
}
