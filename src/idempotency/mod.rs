//! Exactly-once effects.
//!
//! The state machine ([`machine`]) is pure; a [`Store`] applies it, in this process's memory or
//! as scripts at a Redis. This module knows nothing of Zentra, of gRPC or of what a command
//! means: commands and outcomes are bytes here.

mod digest;
mod fingerprint;
mod limit;
pub mod machine;
mod memory;
mod observed;
mod record;
pub mod redis;
mod step;
mod store;
mod waiters;

pub use digest::{KeyDigest, Scope};
pub use fingerprint::{FingerprintKeys, KeyFault, Match, compare};
pub use limit::{
    AfterLoss, Binding, Counter, CounterId, Full, LimitName, MAX_STOPS, MAX_SUM, MAX_TAKES,
    Quantity, REFUNDED_KEPT_MS, Reservation, Stop, StopScope, Take, Taken,
};
pub use memory::{MemoryStore, Snapshot, StoreClock};
pub use observed::{ObservedStore, ServerAddress};
pub use record::{
    Attempt, Class, Fence, Fingerprint, MAX_ATTEMPT_BYTES, MAX_ATTEMPTS, Namespace, Outcome,
    OwnerId, Record, State, Subject,
};
pub use step::{
    Advance, Claim, ClaimAnswer, CompleteAnswer, Doubt, DoubtAnswer, Evidence, KeyCheck, Lookup,
    MAX_PAGE, PendingKind, PendingPage, PendingStats, Periods, ReconcilerLease, Release,
    ReleaseAnswer, Renew, RenewAnswer, SetStop, SetStopAnswer, Settle, SettleAnswer, SettleBegin,
    Source, Stamped, Verdict, WhyKept, WhyNotSettled, Work,
};
pub use store::{InitAnswer, NotReady, Step, Store, StoreError};
pub use waiters::Waiter;
