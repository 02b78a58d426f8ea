//! What all parts of a run share: chance, time, the ledger, the judge, the trace.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use zentra_sidecar::clock::Clock;
use zentra_sidecar::idempotency::{MemoryStore, Snapshot};

use super::chance::Chance;
use super::history::History;
use super::judge::Judge;
use super::ledger::Ledger;
use super::mode::{Mode, Weather};

/// The moment at which every run begins: 2026-11-22, in milliseconds.
const BEGINNING_MS: u64 = 1_795_000_000_000;

/// One run's world. Everything in it happens on one thread.
pub(crate) struct World {
    pub(crate) mode: Mode,
    pub(crate) weather: Weather,
    pub(crate) store: MemoryStore,
    pub(crate) started: Instant,
    store_clock_off_ms: Arc<AtomicI64>,
    inner: Mutex<Inner>,
}

pub(crate) struct Inner {
    pub(crate) chance: Chance,
    pub(crate) ledger: Ledger,
    pub(crate) judge: Judge,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) history: History,
    pub(crate) snapshot: Option<Snapshot>,
    /// No more faults: from here on everything has to resolve.
    pub(crate) calm: bool,
    trace: Option<Vec<String>>,
    hash: u64,
}

/// How much of a run is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keep {
    pub(crate) trace: bool,
    pub(crate) history: bool,
}

impl World {
    pub(crate) fn new(seed: u64, mode: Mode, keep: Keep) -> Arc<Self> {
        let mut chance = Chance::new(seed);
        let weather = Weather::draw(&mut chance, mode);
        let started = Instant::now();
        let store_clock_off_ms = Arc::new(AtomicI64::new(0));
        let off = store_clock_off_ms.clone();
        let store = MemoryStore::new(move || {
            let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or_default();
            (BEGINNING_MS + elapsed).saturating_add_signed(off.load(Ordering::Relaxed))
        });
        let inner = Inner {
            chance,
            ledger: Ledger::new(mode, weather),
            judge: Judge::new(mode),
            counts: BTreeMap::new(),
            history: History::new(keep.history),
            snapshot: None,
            calm: false,
            trace: keep.trace.then(Vec::new),
            hash: 0xcbf2_9ce4_8422_2325,
        };
        let inner = Mutex::new(inner);
        Arc::new(Self { mode, weather, store, started, store_clock_off_ms, inner })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the run began.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or_default()
    }

    /// What the store's clock shows.
    pub(crate) fn store_now_ms(&self) -> u64 {
        let off = self.store_clock_off_ms.load(Ordering::Relaxed);
        (BEGINNING_MS + self.now_ms()).saturating_add_signed(off)
    }

    pub(crate) fn shift_store_clock(&self, by_ms: i64) {
        self.store_clock_off_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// A step of the run, for the trace and for its hash.
    pub(crate) fn note(&self, what: &'static str, detail: impl FnOnce() -> String) {
        let now_ms = self.now_ms();
        self.lock().note(now_ms, what, detail);
    }

    /// A fault that was injected.
    pub(crate) fn fault(&self, what: &'static str, detail: impl FnOnce() -> String) {
        let now_ms = self.now_ms();
        self.lock().fault(now_ms, what, detail);
    }

    /// Something that is no fault, to show that runs are not idle.
    pub(crate) fn count(&self, what: &'static str) {
        *self.lock().counts.entry(what).or_default() += 1;
    }

    /// True once the run has shown that something is wrong.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().judge.violation().is_some()
    }
}

impl Inner {
    pub(crate) fn fault(
        &mut self,
        now_ms: u64,
        what: &'static str,
        detail: impl FnOnce() -> String,
    ) {
        *self.counts.entry(what).or_default() += 1;
        self.note(now_ms, what, detail);
    }

    fn note(&mut self, now_ms: u64, what: &'static str, detail: impl FnOnce() -> String) {
        for byte in what.bytes().chain(now_ms.to_le_bytes()) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now_ms:>8} ms  {what}: {}", detail()));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }
}

/// The wall clock of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VirtualClock(pub(crate) Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let elapsed = self.0.elapsed() + Duration::from_millis(BEGINNING_MS);
        let ms = i64::try_from(elapsed.as_millis()).unwrap_or_default();
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
