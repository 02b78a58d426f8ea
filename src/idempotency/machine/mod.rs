//! The state machine: pure functions from what the store holds and what is asked to what is
//! written and what is answered.
//!
//! The in-memory store applies these functions to its maps; the Redis scripts beside
//! `redis/` say the same in Lua, and a test compares the two transition by transition. There is
//! no clock, no randomness and no I/O here.

mod advance;
mod canary;
mod claim;
mod complete;
mod counters;
mod create;
mod doubt;
mod merge;
mod release;
mod renew;
mod settle;

use std::collections::HashMap;

use super::limit::{Counter, CounterId, Stop};
use super::record::{Record, State};

pub use advance::advance;
pub use canary::Canary;
pub use claim::claim;
pub use complete::complete;
pub use doubt::doubt;
pub use release::release;
pub use renew::renew;
pub use settle::{begin as settle_begin, settle};

/// Which record formats this build writes and reads. A new format is read by a release before any
/// release writes it, so that upgrades and roll-backs mix.
///
/// A release that writes format 2 may add fields to a record, which this build keeps as they are,
/// and must not give those that are there another meaning: that would be format 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The format of records born here.
    pub writes: u32,
    /// The newest format understood here.
    pub reads: u32,
}

impl Default for Format {
    fn default() -> Self {
        Self { writes: 1, reads: 2 }
    }
}

/// What the store holds, as one step sees it. Records whose time is over are not there.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Milliseconds of the store's clock.
    pub now_ms: u64,
    /// What this build writes and reads.
    pub format: Format,
    /// Names this life of the store: another after each start and each failover.
    pub generation: &'a str,
    /// What the account last saw of it.
    pub canary: Option<&'a Canary>,
    /// The record that the step is about.
    pub record: Option<&'a Record>,
    /// The other record that the step's reference points at.
    pub reference_of: Option<&'a Record>,
    /// The counters, those whose time is over among them.
    pub counters: &'a HashMap<CounterId, Counter>,
    /// The stops, by name.
    pub stops: &'a [Stop],
}

impl View<'_> {
    fn counter(&self, id: &CounterId) -> Option<&Counter> {
        self.counters.get(id).filter(|counter| counter.expires_ms > self.now_ms)
    }
}

/// What a counter becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterWrite {
    /// Which.
    pub id: CounterId,
    /// This.
    pub counter: Counter,
}

/// What a step does to the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordWrite {
    /// Nothing.
    #[default]
    Keep,
    /// It becomes this.
    Put(Box<Record>),
    /// It goes, and so does the reference entry that points at it.
    Delete,
}

/// What a step does to the time of the reconciler's next look-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DueWrite {
    /// Nothing.
    #[default]
    Keep,
    /// It is this, in milliseconds of the store's clock.
    At(u64),
    /// There is none.
    Never,
}

/// What a step writes, all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// The new canary.
    pub canary: Option<Canary>,
    /// The record.
    pub record: RecordWrite,
    /// The reference is to point at the record, unless it points at another one.
    pub index_reference: bool,
    /// The next look-up. Records without a reference cannot be looked up and are never due.
    pub due: DueWrite,
    /// Waiters are woken.
    pub wake: bool,
    /// The counters that change.
    pub counters: Vec<CounterWrite>,
}

impl Writes {
    fn put(record: Record) -> Self {
        Self { record: RecordWrite::Put(Box::new(record)), ..Self::default() }
    }
}

/// A newer release wrote the record: this build must not touch it.
fn too_new(view: &View<'_>, record: &Record) -> bool {
    record.version > view.format.reads
}

/// A record whose owner is gone, as it is from then on: an attempt may have arrived. None where
/// it is not such a record.
fn abandoned(view: &View<'_>, record: &Record) -> Option<Record> {
    let is_left = record.state == State::Sent && record.lease_end_ms <= view.now_ms;
    is_left.then(|| Record { state: State::Unknown, ambiguous: true, ..record.clone() })
}

/// When the reconciler may look a record up; none where it cannot.
fn due(record: &Record, at_ms: u64) -> DueWrite {
    if record.subject.reference.is_some() { DueWrite::At(at_ms) } else { DueWrite::Never }
}

/// When an unresolved record, or one in conflict, is forgotten. A record that can be looked up is never
/// forgotten so; nobody but its caller can end one that cannot (`Tokenize`).
fn unresolved_expiry(record: &Record, from_ms: u64, retention_ms: u64) -> Option<u64> {
    record.subject.reference.is_none().then(|| from_ms.saturating_add(retention_ms))
}
