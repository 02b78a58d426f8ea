//! The store's steps of a run, and the same steps again on any other store.

use std::fmt::Write as _;

use zentra_sidecar::domain::Reference;
use zentra_sidecar::idempotency::{
    Advance, Claim, ClaimAnswer, CompleteAnswer, Doubt, DoubtAnswer, Evidence, InitAnswer, Lookup,
    MemoryStore, PendingPage, PendingStats, ReconcilerLease, Record, Release, ReleaseAnswer, Renew,
    RenewAnswer, SetStop, SetStopAnswer, Settle, SettleAnswer, SettleBegin, Stamped, Store,
    StoreError,
};

/// One step, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Claim(Claim),
    Renew(Renew),
    Complete(Box<Evidence>),
    Doubt(Box<Doubt>),
    Release(Release),
    SettleBegin(SettleBegin),
    Settle(Box<Settle>),
    Read(Lookup),
    Pending(PendingPage),
    PendingStats,
    Advance(Advance),
    ReconcilerLease(ReconcilerLease),
    Stop(Box<SetStop>),
    Resume(Option<Reference>),
    Init,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "short-lived")]
pub(crate) enum Reply {
    Claim(Stamped<ClaimAnswer>),
    Renew(Stamped<RenewAnswer>),
    Complete(Stamped<CompleteAnswer>),
    Doubt(Stamped<DoubtAnswer>),
    Release(Stamped<ReleaseAnswer>),
    Settle(Stamped<SettleAnswer>),
    Read(Stamped<Option<Record>>),
    Pending(Stamped<Vec<Record>>),
    PendingStats(Stamped<PendingStats>),
    Told(Stamped<bool>),
    Stop(Stamped<SetStopAnswer>),
    Resumed(Stamped<u64>),
    Init(InitAnswer),
}

/// What happened at the store.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are steps")]
pub(crate) enum Event {
    /// A step was applied.
    Step(Step, Reply),
    /// Everything was lost.
    Wipe,
    /// All since the snapshot of this number was lost; none: there is a snapshot now.
    FailOver,
    Snapshot,
}

/// All that happened at the store, with its clock.
#[derive(Debug)]
pub(crate) struct History {
    on: bool,
    pub(crate) events: Vec<(u64, Event)>,
}

impl History {
    pub(crate) fn new(on: bool) -> Self {
        Self { on, events: Vec::new() }
    }

    pub(crate) fn add(&mut self, store_now_ms: u64, event: impl FnOnce() -> Event) {
        if self.on {
            self.events.push((store_now_ms, event()));
        }
    }
}

impl Step {
    /// Applies the step.
    pub(crate) async fn apply(&self, store: &dyn Store) -> Result<Reply, StoreError> {
        Ok(match self {
            Self::Claim(claim) => Reply::Claim(store.claim(claim).await?),
            Self::Renew(renew) => Reply::Renew(store.renew(renew).await?),
            Self::Complete(evidence) => Reply::Complete(store.complete(evidence).await?),
            Self::Doubt(doubt) => Reply::Doubt(store.doubt(doubt).await?),
            Self::Release(release) => Reply::Release(store.release(release).await?),
            Self::SettleBegin(begin) => Reply::Settle(store.settle_begin(begin).await?),
            Self::Settle(settle) => Reply::Settle(store.settle(settle).await?),
            Self::Read(lookup) => Reply::Read(store.read(lookup).await?),
            Self::Pending(page) => Reply::Pending(store.pending(*page).await?),
            Self::PendingStats => Reply::PendingStats(store.pending_stats().await?),
            Self::Advance(advance) => Reply::Told(store.advance(advance).await?),
            Self::ReconcilerLease(lease) => Reply::Told(store.reconciler_lease(lease).await?),
            Self::Stop(stop) => Reply::Stop(store.stop(stop).await?),
            Self::Resume(stop) => Reply::Resumed(store.resume(stop.as_ref()).await?),
            Self::Init => Reply::Init(store.init().await?),
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Claim(_) => "claim",
            Self::Renew(_) => "renew",
            Self::Complete(_) => "complete",
            Self::Doubt(_) => "doubt",
            Self::Release(_) => "release",
            Self::SettleBegin(_) => "settle_begin",
            Self::Settle(_) => "settle",
            Self::Read(_) => "read",
            Self::Pending(_) => "pending",
            Self::PendingStats => "pending_stats",
            Self::Advance(_) => "advance",
            Self::ReconcilerLease(_) => "reconciler_lease",
            Self::Stop(_) => "stop",
            Self::Resume(_) => "resume",
            Self::Init => "init",
        }
    }
}

impl Reply {
    /// In a few words, without what chance made.
    pub(crate) fn summary(&self) -> String {
        let mut text = match self {
            Self::Claim(stamped) => match &stamped.answer {
                ClaimAnswer::Run { epoch, look_up_first, .. } => {
                    format!("Run (epoch {epoch}, look-up first: {look_up_first})")
                }
                ClaimAnswer::Recover { epoch, look_up_only, record, .. } => format!(
                    "Recover (epoch {epoch}, only: {look_up_only}, born ambiguous: {})",
                    record.born_ambiguous
                ),
                ClaimAnswer::Replay { record } => {
                    format!("Replay {:?}", record.outcome.as_ref().map(|it| it.class))
                }
                other => format!("{other:?}").split([' ', '{']).next().unwrap_or("").to_owned(),
            },
            Self::Doubt(stamped) => format!("{:?}", stamped.answer),
            Self::Complete(stamped) => format!("{:?}", stamped.answer),
            Self::Release(stamped) => format!("{:?}", stamped.answer),
            Self::Renew(stamped) => format!("{:?}", stamped.answer),
            Self::Settle(_) | Self::Init(_) | Self::PendingStats(_) => String::new(),
            Self::Read(stamped) => format!("{:?}", stamped.answer.as_ref().map(|it| it.state)),
            Self::Pending(stamped) => format!("{} records", stamped.answer.len()),
            Self::Told(stamped) => stamped.answer.to_string(),
            Self::Stop(stamped) => format!("{:?}", stamped.answer),
            Self::Resumed(stamped) => stamped.answer.to_string(),
        };
        if text.len() > 60 {
            text.truncate(text.floor_char_boundary(60));
            let _ = write!(text, "…");
        }
        text
    }
}

/// A store that the same history can be played on again.
pub(crate) trait Stage {
    fn store(&self) -> &dyn Store;
    async fn set_clock(&mut self, now_ms: u64);
    async fn wipe(&mut self);
    async fn snapshot(&mut self);
    async fn fail_over(&mut self);
}

/// Plays a history again; tells the first step whose answer differs.
pub(crate) async fn replay(history: &History, stage: &mut impl Stage) -> Result<usize, String> {
    let mut steps = 0;
    for (number, (now_ms, event)) in history.events.iter().enumerate() {
        stage.set_clock(*now_ms).await;
        match event {
            Event::Wipe => stage.wipe().await,
            Event::Snapshot => stage.snapshot().await,
            Event::FailOver => stage.fail_over().await,
            Event::Step(step, expected) => {
                let got = step.apply(stage.store()).await.map_err(|fault| fault.to_string())?;
                if got != *expected {
                    return Err(format!("step {number}: {step:?}\n{expected:?}\n{got:?}"));
                }
                steps += 1;
            }
        }
    }
    Ok(steps)
}

/// The in-memory store as a stage.
pub(crate) struct MemoryStage {
    store: MemoryStore,
    now_ms: std::sync::Arc<std::sync::atomic::AtomicU64>,
    snapshot: Option<zentra_sidecar::idempotency::Snapshot>,
}

impl MemoryStage {
    pub(crate) fn new() -> Self {
        let now_ms = std::sync::Arc::<std::sync::atomic::AtomicU64>::default();
        let clock = now_ms.clone();
        let store = MemoryStore::new(move || clock.load(std::sync::atomic::Ordering::Relaxed));
        Self { store, now_ms, snapshot: None }
    }
}

impl Stage for MemoryStage {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn set_clock(&mut self, now_ms: u64) {
        self.now_ms.store(now_ms, std::sync::atomic::Ordering::Relaxed);
    }

    async fn wipe(&mut self) {
        self.store.wipe();
    }

    async fn snapshot(&mut self) {
        self.snapshot = Some(self.store.snapshot());
    }

    async fn fail_over(&mut self) {
        if let Some(snapshot) = self.snapshot.take() {
            self.store.fail_over(snapshot);
        }
    }
}
