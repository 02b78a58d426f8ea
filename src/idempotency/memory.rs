//! The in-memory store: the state machine applied to maps.
//!
//! For development and simulation; it dies with the process, and is refused against live money.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::KeyDigest;
use super::limit::{Counter, CounterId, MAX_STOPS, Stop};
use super::machine::{self, Canary, CounterWrite, DueWrite, Format, RecordWrite, View, Writes};
use super::record::{Namespace, OwnerId, Record, State};
use super::step::{
    Advance, Claim, ClaimAnswer, CompleteAnswer, Doubt, DoubtAnswer, Evidence, KeyCheck, Lookup,
    MAX_PAGE, PendingKind, PendingPage, PendingStats, ReconcilerLease, Release, ReleaseAnswer,
    Renew, RenewAnswer, SetStop, SetStopAnswer, Settle, SettleAnswer, SettleBegin, Stamped,
};
use super::store::{InitAnswer, NotReady, Step, Store, StoreError};
use super::waiters::{Waiter, Waiters};
use crate::domain::Reference;

/// The most records; a further claim fails as it does at a Redis that is out of memory.
const MAX_RECORDS: usize = 1_000_000;

/// The most counters, those whose time is over left aside; likewise.
const MAX_COUNTERS: usize = 1_000_000;

/// Counters whose time is over are forgotten whenever a new one makes them a multiple of so many.
const FORGET_EVERY: usize = 4096;

/// The store's own clock.
pub trait StoreClock: Send + Sync + 'static {
    /// Milliseconds since any fixed moment.
    fn now_ms(&self) -> u64;
}

impl<F: Fn() -> u64 + Send + Sync + 'static> StoreClock for F {
    fn now_ms(&self) -> u64 {
        self()
    }
}

/// A store in this process's memory. Clones share it.
#[derive(Clone)]
pub struct MemoryStore {
    clock: Arc<dyn StoreClock>,
    format: Format,
    most_records: usize,
    content: Arc<Mutex<Content>>,
    waiters: Arc<Waiters>,
}

type ReferenceKey = (Namespace, Reference);

#[derive(Clone, Default)]
struct Content {
    generation: u64,
    canary: Option<Canary>,
    records: HashMap<KeyDigest, Record>,
    references: HashMap<ReferenceKey, KeyDigest>,
    due: BTreeMap<KeyDigest, u64>,
    expiries: BTreeSet<(u64, KeyDigest)>,
    counters: HashMap<CounterId, Counter>,
    stops: Vec<Stop>,
    reconciler: Option<(OwnerId, u64)>,
    keys: HashMap<[u8; 8], [u8; 16]>,
    signer: Option<[u8; 8]>,
}

/// All that a store held at one moment, as a replica might; see [`MemoryStore::fail_over`].
pub struct Snapshot(Content);

impl MemoryStore {
    /// An empty store, whose first claims look up first until [`Store::init`] declares it new.
    pub fn new(clock: impl StoreClock) -> Self {
        Self::with_format(clock, Format::default())
    }

    /// As [`MemoryStore::new`], of a build that writes and reads other record formats.
    pub fn with_format(clock: impl StoreClock, format: Format) -> Self {
        Self {
            clock: Arc::new(clock),
            format,
            most_records: MAX_RECORDS,
            content: Arc::default(),
            waiters: Arc::default(),
        }
    }

    /// The same store, with room for so many records: one that is full holds a gigabyte.
    #[must_use]
    pub fn with_room(self, most_records: usize) -> Self {
        Self { most_records, ..self }
    }

    /// The same store as another build sees it.
    #[must_use]
    pub fn seen_by(&self, format: Format) -> Self {
        Self { format, ..self.clone() }
    }

    /// Loses everything, as FLUSHALL does.
    pub fn wipe(&self) {
        let mut content = self.lock();
        *content = Content { generation: content.generation, ..Content::default() };
    }

    /// What a replica would hold if it were in step now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.lock().clone())
    }

    /// Fails over to a replica that has fallen behind: all since the snapshot is lost.
    pub fn fail_over(&self, to: Snapshot) {
        let mut content = self.lock();
        let generation = content.generation + 1;
        *content = Content { generation, ..to.0 };
        drop(content);
        self.waiters.wake_all();
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One atomic step about one record.
    fn step<T>(
        &self,
        digest: KeyDigest,
        reference: Option<ReferenceKey>,
        decide: impl FnOnce(&View<'_>) -> (Writes, T),
    ) -> Stamped<T> {
        let mut content = self.lock();
        let now_ms = self.clock.now_ms();
        content.expire(now_ms);
        let generation = content.generation.to_string();
        let other = reference
            .and_then(|key| content.references.get(&key))
            .filter(|other| **other != digest)
            .and_then(|other| content.records.get(other));
        let view = View {
            now_ms,
            format: self.format,
            generation: &generation,
            canary: content.canary.as_ref(),
            record: content.records.get(&digest),
            reference_of: other,
            counters: &content.counters,
            stops: &content.stops,
        };
        let (writes, answer) = decide(&view);
        let wake = writes.wake;
        content.apply(digest, writes, now_ms);
        drop(content);
        if wake {
            self.waiters.wake(&digest);
        }
        Stamped { now_ms, answer }
    }

    fn view<T>(&self, look: impl FnOnce(&mut Content, u64) -> T) -> Stamped<T> {
        let mut content = self.lock();
        let now_ms = self.clock.now_ms();
        content.expire(now_ms);
        let answer = look(&mut content, now_ms);
        Stamped { now_ms, answer }
    }
}

fn reference_key(record: &super::record::Subject) -> Option<ReferenceKey> {
    Namespace::of(record.operation).zip(record.reference.clone())
}

impl Content {
    fn expire(&mut self, now_ms: u64) {
        while let Some(&(at_ms, digest)) = self.expiries.first()
            && at_ms <= now_ms
        {
            self.delete(&digest);
        }
        self.stops.retain(|stop| stop.until_ms.is_none_or(|until_ms| until_ms > now_ms));
    }

    fn delete(&mut self, digest: &KeyDigest) {
        let Some(record) = self.records.remove(digest) else {
            return;
        };
        if let Some(at_ms) = record.expires_ms {
            self.expiries.remove(&(at_ms, *digest));
        }
        self.due.remove(digest);
        if let Some(key) = reference_key(&record.subject)
            && self.references.get(&key) == Some(digest)
        {
            self.references.remove(&key);
        }
    }

    fn apply(&mut self, digest: KeyDigest, writes: Writes, now_ms: u64) {
        if let Some(canary) = writes.canary {
            self.canary = Some(canary);
        }
        for CounterWrite { id, counter } in writes.counters {
            let is_new = self.counters.insert(id, counter).is_none();
            if is_new && self.counters.len().is_multiple_of(FORGET_EVERY) {
                self.forget_counters(now_ms);
            }
        }
        match writes.record {
            RecordWrite::Keep => {}
            RecordWrite::Delete => self.delete(&digest),
            RecordWrite::Put(record) => self.put(digest, *record, writes.index_reference),
        }
        match writes.due {
            DueWrite::Keep => {}
            DueWrite::At(at_ms) => {
                self.due.insert(digest, at_ms);
            }
            DueWrite::Never => {
                self.due.remove(&digest);
            }
        }
    }

    fn forget_counters(&mut self, now_ms: u64) {
        self.counters.retain(|_, counter| counter.expires_ms > now_ms);
    }

    /// True where there is no room for another payment, or for what it takes.
    fn is_full(&mut self, most_records: usize, takes: usize, now_ms: u64) -> bool {
        let is_crowded = |content: &Self| content.counters.len() + takes > MAX_COUNTERS;
        if is_crowded(self) {
            self.forget_counters(now_ms);
        }
        self.records.len() >= most_records || is_crowded(self)
    }

    fn put(&mut self, digest: KeyDigest, record: Record, index_reference: bool) {
        if index_reference && let Some(key) = reference_key(&record.subject) {
            // Nothing overwrites an entry that points at another record.
            self.references.entry(key).or_insert(digest);
        }
        if let Some(at_ms) = record.expires_ms {
            self.expiries.insert((at_ms, digest));
        }
        let before = self.records.insert(digest, record).and_then(|it| it.expires_ms);
        let after = self.records[&digest].expires_ms;
        if let Some(at_ms) = before
            && before != after
        {
            self.expiries.remove(&(at_ms, digest));
        }
    }

    fn page(&self, page: PendingPage, now_ms: u64) -> Vec<Record> {
        let mut order: Vec<(u64, KeyDigest)> = match page.kind {
            PendingKind::Due | PendingKind::All => self
                .due
                .iter()
                .map(|(digest, at_ms)| (*at_ms, *digest))
                .filter(|(at_ms, _)| page.kind == PendingKind::All || *at_ms <= now_ms)
                .collect(),
            PendingKind::Conflicts => self
                .records
                .iter()
                .filter(|(_, record)| record.state == State::Conflict)
                .map(|(digest, record)| (record.first_sent_ms, *digest))
                .collect(),
        };
        order.sort_unstable();
        order
            .into_iter()
            .skip(page.offset as usize)
            .take(page.limit.min(MAX_PAGE) as usize)
            .filter_map(|(_, digest)| self.records.get(&digest).cloned())
            .collect()
    }

    fn stats(&self) -> PendingStats {
        let lost_at_ms = self.canary.as_ref().and_then(|canary| canary.lost_at_ms);
        let mut stats = PendingStats { lost_at_ms, ..PendingStats::default() };
        for record in self.records.values() {
            match record.state {
                State::Sent | State::Unknown if record.subject.reference.is_some() => {
                    stats.unresolved += 1;
                    let oldest = stats.oldest_unresolved_ms.unwrap_or(u64::MAX);
                    stats.oldest_unresolved_ms = Some(oldest.min(record.first_sent_ms));
                }
                State::Conflict => stats.conflicts += 1,
                State::Done if self.due.contains_key(&record.subject.digest) => stats.open += 1,
                State::Sent | State::Unknown | State::Done => {}
            }
        }
        stats
    }

    fn declare_new(&mut self, now_ms: u64) -> InitAnswer {
        let used = self.canary.as_ref().is_some_and(|canary| canary.used);
        if used || !self.records.is_empty() {
            return InitAnswer::HasRecords;
        }
        self.canary = Some(Canary {
            generation: self.generation.to_string(),
            look_up_first_until_ms: now_ms,
            lost_at_ms: None,
            used: false,
        });
        InitAnswer::Declared
    }

    fn set_stop(&mut self, set: &SetStop, now_ms: u64) -> SetStopAnswer {
        let is_other = |it: &&Stop| it.id != set.stop.id;
        if self.stops.iter().filter(is_other).count() >= MAX_STOPS {
            return SetStopAnswer::TooMany;
        }
        self.stops.retain(|it| is_other(&it));
        let until_ms = set.for_ms.map(|for_ms| now_ms.saturating_add(for_ms));
        self.stops.push(Stop { since_ms: now_ms, until_ms, ..set.stop.clone() });
        self.stops.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        SetStopAnswer::Stopped
    }

    fn announce(&mut self, keys: &[KeyCheck]) -> Vec<NotReady> {
        let mut faults = Vec::new();
        for key in keys {
            if self.keys.get(&key.key_id).is_some_and(|it| *it != key.check) {
                faults.push(NotReady::KeyDiffers(hex::encode(key.key_id)));
            }
        }
        if let Some(signer) = self.signer
            && !keys.iter().any(|key| key.key_id == signer)
        {
            faults.push(NotReady::ForeignKey(hex::encode(signer)));
        }
        if let (true, Some(first)) = (faults.is_empty(), keys.first()) {
            self.signer = Some(first.key_id);
            self.keys.extend(keys.iter().map(|key| (key.key_id, key.check)));
        }
        faults
    }
}

/// The step happens when it is polled, not when it is made: a step that is dropped unpolled was
/// never sent.
fn step<'a, T: Send + 'a>(act: impl FnOnce() -> T + Send + 'a) -> Step<'a, T> {
    Box::pin(async move { Ok(act()) })
}

impl Store for MemoryStore {
    fn claim<'a>(&'a self, claim: &'a Claim) -> Step<'a, Stamped<ClaimAnswer>> {
        Box::pin(async move {
            // A record that is there needs no room: it is told, or looked up.
            let is_born = |content: &Content| !content.records.contains_key(&claim.subject.digest);
            {
                let mut content = self.lock();
                let now_ms = self.clock.now_ms();
                let (room, takes) = (self.most_records, claim.takes.len());
                if is_born(&content) && content.is_full(room, takes, now_ms) {
                    return Err(StoreError::Full);
                }
            }
            let subject = &claim.subject;
            let reference = reference_key(subject);
            Ok(self.step(subject.digest, reference, |view| machine::claim(view, claim)))
        })
    }

    fn renew<'a>(&'a self, renew: &'a Renew) -> Step<'a, Stamped<RenewAnswer>> {
        step(move || self.step(renew.digest, None, |view| machine::renew(view, renew)))
    }

    fn complete<'a>(&'a self, evidence: &'a Evidence) -> Step<'a, Stamped<CompleteAnswer>> {
        let digest = *evidence.digest();
        step(move || self.step(digest, None, |view| machine::complete(view, evidence)))
    }

    fn doubt<'a>(&'a self, doubt: &'a Doubt) -> Step<'a, Stamped<DoubtAnswer>> {
        let digest = doubt.work.subject.digest;
        step(move || self.step(digest, None, |view| machine::doubt(view, doubt)))
    }

    fn release<'a>(&'a self, release: &'a Release) -> Step<'a, Stamped<ReleaseAnswer>> {
        step(move || self.step(release.digest, None, |view| machine::release(view, release)))
    }

    fn settle_begin<'a>(&'a self, begin: &'a SettleBegin) -> Step<'a, Stamped<SettleAnswer>> {
        step(move || self.step(begin.digest, None, |view| machine::settle_begin(view, begin)))
    }

    fn settle<'a>(&'a self, settle: &'a Settle) -> Step<'a, Stamped<SettleAnswer>> {
        step(move || self.step(settle.digest, None, |view| machine::settle(view, settle)))
    }

    fn read<'a>(&'a self, lookup: &'a Lookup) -> Step<'a, Stamped<Option<Record>>> {
        step(move || {
            self.view(|content, _| {
                let digest = match lookup {
                    Lookup::Digest(digest) => *digest,
                    Lookup::Reference(namespace, reference) => {
                        *content.references.get(&(*namespace, reference.clone()))?
                    }
                };
                content.records.get(&digest).cloned()
            })
        })
    }

    fn pending(&self, page: PendingPage) -> Step<'_, Stamped<Vec<Record>>> {
        step(move || self.view(|content, now_ms| content.page(page, now_ms)))
    }

    fn pending_stats(&self) -> Step<'_, Stamped<PendingStats>> {
        step(|| self.view(|content, _| content.stats()))
    }

    fn advance<'a>(&'a self, advance: &'a Advance) -> Step<'a, Stamped<bool>> {
        step(move || self.step(advance.digest, None, |view| machine::advance(view, advance)))
    }

    fn stop<'a>(&'a self, stop: &'a SetStop) -> Step<'a, Stamped<SetStopAnswer>> {
        step(move || self.view(|content, now_ms| content.set_stop(stop, now_ms)))
    }

    fn resume<'a>(&'a self, stop: Option<&'a Reference>) -> Step<'a, Stamped<u64>> {
        step(move || {
            self.view(|content, _| {
                let before = content.stops.len();
                content.stops.retain(|it| stop.is_some_and(|stop| it.id != *stop));
                (before - content.stops.len()) as u64
            })
        })
    }

    fn stops(&self) -> Step<'_, Stamped<Vec<Stop>>> {
        step(|| self.view(|content, _| content.stops.clone()))
    }

    fn reconciler_lease<'a>(&'a self, lease: &'a ReconcilerLease) -> Step<'a, Stamped<bool>> {
        step(move || {
            self.view(|content, now_ms| {
                let free = content
                    .reconciler
                    .is_none_or(|(owner, until_ms)| owner == lease.owner || until_ms <= now_ms);
                if free {
                    let until_ms = now_ms.saturating_add(lease.lease_ms);
                    content.reconciler = Some((lease.owner, until_ms));
                }
                free && lease.lease_ms > 0
            })
        })
    }

    fn init(&self) -> Step<'_, InitAnswer> {
        step(|| self.view(Content::declare_new).answer)
    }

    fn readiness<'a>(&'a self, keys: &'a [KeyCheck]) -> Step<'a, Vec<NotReady>> {
        step(move || self.view(|content, _| content.announce(keys)).answer)
    }

    fn subscribe<'a>(&'a self, digest: &'a KeyDigest) -> Step<'a, Waiter> {
        step(move || self.waiters.subscribe(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_bounded_and_those_whose_time_is_over_make_room() {
        let mut content = Content::default();
        for (name, expires_ms) in [("one", 10), ("two", 20), ("three", 20)] {
            content
                .counters
                .insert(CounterId::new([name]), Counter { window: 0, sum: 1, expires_ms });
        }
        assert!(!content.is_full(1, MAX_COUNTERS - 3, 9));
        assert!(content.is_full(1, MAX_COUNTERS - 2, 9), "one too many");
        assert!(!content.is_full(1, MAX_COUNTERS - 2, 10));
        assert_eq!(content.counters.len(), 2);
    }
}
