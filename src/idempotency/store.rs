//! What the engine asks of a store, whatever it is made of.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::KeyDigest;
use super::limit::Stop;
use super::record::Record;
use super::step::{
    Advance, Claim, ClaimAnswer, CompleteAnswer, Doubt, DoubtAnswer, Evidence, KeyCheck, Lookup,
    PendingPage, PendingStats, ReconcilerLease, Release, ReleaseAnswer, Renew, RenewAnswer,
    SetStop, SetStopAnswer, Settle, SettleAnswer, SettleBegin, Stamped,
};
use super::waiters::Waiter;
use crate::domain::Reference;

/// A step of the store that is under way.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The idempotency store of one account in one environment.
///
/// Every step is one atomic act at the store, costs one round trip, is bounded in time and safe
/// to repeat with the same input: a step that failed with [`StoreError::may_be_applied`] may have
/// happened. Dropping a step's future does not undo it.
pub trait Store: Send + Sync + 'static {
    /// Asks for the right to make a payment.
    fn claim<'a>(&'a self, claim: &'a Claim) -> Step<'a, Stamped<ClaimAnswer>>;

    /// Renews the owner's lease.
    fn renew<'a>(&'a self, renew: &'a Renew) -> Step<'a, Stamped<RenewAnswer>>;

    /// Stores what Zentra said, and wakes waiters.
    fn complete<'a>(&'a self, evidence: &'a Evidence) -> Step<'a, Stamped<CompleteAnswer>>;

    /// Remembers that an attempt may have arrived.
    fn doubt<'a>(&'a self, doubt: &'a Doubt) -> Step<'a, Stamped<DoubtAnswer>>;

    /// Forgets a payment of which nothing can have arrived.
    fn release<'a>(&'a self, release: &'a Release) -> Step<'a, Stamped<ReleaseAnswer>>;

    /// Takes a record over for an operator.
    fn settle_begin<'a>(&'a self, begin: &'a SettleBegin) -> Step<'a, Stamped<SettleAnswer>>;

    /// Stores an operator's word.
    fn settle<'a>(&'a self, settle: &'a Settle) -> Step<'a, Stamped<SettleAnswer>>;

    /// Reads a record, of any format that can be parsed.
    fn read<'a>(&'a self, lookup: &'a Lookup) -> Step<'a, Stamped<Option<Record>>>;

    /// Lists records that are not final. What cannot be read is left out, with an error logged, and
    /// is put off where it is due, so that it hides no other.
    fn pending(&self, page: PendingPage) -> Step<'_, Stamped<Vec<Record>>>;

    /// Counts records that are not final, and tells of the last loss. Those that can never be looked
    /// up do not count.
    fn pending_stats(&self) -> Step<'_, Stamped<PendingStats>>;

    /// Reschedules a look-up; false where the record is final, in conflict or gone.
    fn advance<'a>(&'a self, advance: &'a Advance) -> Step<'a, Stamped<bool>>;

    /// Stops claims, on all processes of the account from then on.
    fn stop<'a>(&'a self, stop: &'a SetStop) -> Step<'a, Stamped<SetStopAnswer>>;

    /// Lifts a stop, or all; how many there were.
    fn resume<'a>(&'a self, stop: Option<&'a Reference>) -> Step<'a, Stamped<u64>>;

    /// The stops in force, by name.
    fn stops(&self) -> Step<'_, Stamped<Vec<Stop>>>;

    /// Asks to be the account's one reconciler; true where this process is.
    fn reconciler_lease<'a>(&'a self, lease: &'a ReconcilerLease) -> Step<'a, Stamped<bool>>;

    /// Declares a new, empty store, whose silence is proof: an operator's explicit act.
    fn init(&self) -> Step<'_, InitAnswer>;

    /// Checks that the store may be used, and tells it of this process's fingerprint keys, the
    /// signing one first.
    fn readiness<'a>(&'a self, keys: &'a [KeyCheck]) -> Step<'a, Vec<NotReady>>;

    /// Listens for the end of a payment.
    ///
    /// Subscribe before the claim whose [`ClaimAnswer::Busy`] is to be waited on, so that no
    /// wake-up falls between the two: claim; if busy, subscribe and claim again; if busy still,
    /// wait. A wake-up is a hint, which may be lost or come for nothing: poll slowly behind it.
    fn subscribe<'a>(&'a self, digest: &'a KeyDigest) -> Step<'a, Waiter>;
}

/// What became of [`Store::init`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitAnswer {
    /// Look-ups come first no more.
    Declared,
    /// There are records, or were since the store was last found empty.
    HasRecords,
}

/// Why a store that answers may not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It may drop records when memory is short.
    #[error("the store's maxmemory-policy is {0}, which drops records; set noeviction")]
    Evicts(String),
    /// It is signed with a key that this process does not have.
    #[error("the store is signed with fingerprint key {0}, which is not in this process's file")]
    ForeignKey(String),
    /// It knows another key by the same id.
    #[error("the store knows another fingerprint key by the id {0}")]
    KeyDiffers(String),
    /// It takes no writes.
    #[error("the store is read-only")]
    ReadOnly,
}

/// What a store says that refuses a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: Option<Box<str>>,
    text: Box<str>,
}

impl Refusal {
    /// The longest code, in bytes, that is told; those of Redis have at most half of that.
    const LONGEST_CODE: usize = 32;

    /// What the server itself says, with the code that its answer began with. What is no word of
    /// capital letters is no code.
    #[must_use]
    pub fn by_server(code: Option<&str>, text: &str) -> Self {
        let is_word = |code: &&str| code.bytes().all(|it| it.is_ascii_uppercase() || it == b'_');
        let code = code.filter(|it| (1..=Self::LONGEST_CODE).contains(&it.len()));
        Self { code: code.filter(is_word).map(Box::from), text: text.into() }
    }

    /// The server's code, such as `READONLY`; none where it was not the server that refused.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// All that is known of it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl<T: Into<Box<str>>> From<T> for Refusal {
    /// Of somebody else than the server.
    fn from(text: T) -> Self {
        Self { code: None, text: text.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Why a step failed. A step that failed says nothing of the payment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No connection could be made; the step was not applied.
    #[error("the store cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time; the step may have been applied.
    #[error("the store did not answer in {0} ms")]
    TimedOut(u64),
    /// The connection broke before the answer; the step may have been applied.
    #[error("the connection to the store broke: {0}")]
    Broken(String),
    /// The store refused the step without applying it: loading, moving, read-only, out of memory.
    #[error("the store refused: {0}")]
    Refused(Refusal),
    /// The store holds something that is not a record of this product, or the answer is none.
    #[error("the store holds what cannot be read: {0}")]
    Unreadable(String),
    /// A limit of the in-memory store.
    #[error("the in-memory store is full")]
    Full,
}

impl StoreError {
    /// The server's own code, where it refused the step.
    #[must_use]
    pub fn server_code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.code(),
            _ => None,
        }
    }

    /// True where the step may have been applied although it failed.
    #[must_use]
    pub fn may_be_applied(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Broken(_) | Self::Unreadable(_) => true,
            Self::Unreachable(_) | Self::Refused(_) | Self::Full => false,
        }
    }
}
