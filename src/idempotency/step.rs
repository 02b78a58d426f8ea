//! What the engine asks of the store: one type a step, and its answers.

use super::KeyDigest;
use super::limit::{AfterLoss, Full, Stop, Take};
use super::record::{
    Attempt, Class, Fence, Fingerprint, Namespace, Outcome, OwnerId, Record, Subject,
};
use crate::domain::{Currency, Reference};

/// An answer, and the store's clock as the step saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped<T> {
    /// Milliseconds of the store's clock; the records' times are of the same clock.
    pub now_ms: u64,
    /// The answer.
    pub answer: T,
}

/// How long things last, all in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// How long an owner may work before it has to renew.
    pub lease_ms: u64,
    /// How long a record is kept after its final outcome.
    pub retention_ms: u64,
    /// How long a record is kept after an outcome that is not final.
    pub open_retention_ms: u64,
    /// How long look-ups come first after a store loss: the longer of our and Zentra's memory of keys.
    pub look_up_first_ms: u64,
}

impl Default for Periods {
    fn default() -> Self {
        const HOUR: u64 = 3_600_000;
        Self {
            lease_ms: 10_000,
            retention_ms: 72 * HOUR,
            open_retention_ms: 30 * 24 * HOUR,
            look_up_first_ms: 72 * HOUR,
        }
    }
}

/// Ask for the right to make a payment.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The payment.
    pub subject: Subject,
    /// Its command's fingerprint under each loaded key; the first signs. Never empty.
    pub fingerprints: Vec<Fingerprint>,
    /// The call that asks.
    pub owner: OwnerId,
    /// The payment would be refused (policy, breaker, charge): a record beats that.
    pub refused: bool,
    /// What it takes from counters where its record is born, at most [`super::MAX_TAKES`]; a counter
    /// that comes twice counts once. One that is full and enforced refuses it: nothing is written.
    pub takes: Vec<Take>,
    /// The payment's currency, for stops; none where it moves no money.
    pub currency: Option<Currency>,
    /// Whether counters that the store has lost are full.
    pub after_loss: AfterLoss,
    /// How long things last.
    pub periods: Periods,
}

/// What a claim got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// The payment is this call's: send.
    Run {
        /// With the owner, the fence of all later steps.
        epoch: u64,
        /// A look-up comes before the first send, as an earlier life may have sent it.
        look_up_first: bool,
        /// When it was first claimed.
        first_sent_ms: u64,
        /// The places in [`Claim::takes`] that had no room and refuse nothing; of a repeated claim none.
        over: Vec<usize>,
    },
    /// The payment was another call's and is this one's now: look up before anything else.
    Recover {
        /// With the owner, the fence of all later steps.
        epoch: u64,
        /// All that is known; ambiguous.
        record: Box<Record>,
        /// The call would be refused, is stopped, or was to begin nothing.
        look_up_only: bool,
        /// An operator's stop covers it: nothing may be sent, whatever its own reasons.
        is_stopped: bool,
    },
    /// It is done.
    Replay {
        /// The outcome, final or not.
        record: Box<Record>,
    },
    /// Another call is at it. Its waiters are woken when it ends.
    Busy {
        /// How long its lease lasts, in milliseconds.
        lease_left_ms: u64,
    },
    /// The key was used for something else.
    KeyReused {
        /// That.
        record: Box<Record>,
    },
    /// Another key has the reference.
    ReferenceTaken {
        /// It is the same caller's.
        same_caller: bool,
        /// The other's outcome, where it is the same caller's and there is one.
        outcome: Option<Outcome>,
        /// The store has lost its memory lately: this key's payment may have happened all the
        /// same, and even be the one that the other key has adopted.
        look_ups_first: bool,
    },
    /// There is no record, the call is refused, and nothing was written.
    Refused {
        /// The store has lost its memory lately: the payment may have happened all the same.
        look_ups_first: bool,
    },
    /// There is no record, an operator's stop covers the call, and nothing was written.
    Stopped {
        /// The stop.
        stop: Box<Stop>,
        /// As in [`ClaimAnswer::Refused`].
        look_ups_first: bool,
    },
    /// There is no record, a limit is full, and nothing was written.
    Full {
        /// The one that stays full for the longest time.
        full: Full,
        /// As in [`ClaimAnswer::Refused`].
        look_ups_first: bool,
    },
    /// Answers contradict each other.
    Conflict {
        /// All that is known.
        record: Box<Record>,
    },
    /// A newer release wrote the record.
    TooNew {
        /// Its format.
        version: u32,
    },
    /// None of the loaded fingerprint keys made the record's fingerprint.
    FingerprintKeyUnknown,
}

/// Keep working.
#[derive(Clone, Copy, Debug)]
pub struct Renew {
    /// Which record.
    pub digest: KeyDigest,
    /// Whose it was.
    pub fence: Fence,
    /// For how long from now, in milliseconds.
    pub lease_ms: u64,
}

/// What became of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewAnswer {
    /// The lease runs anew.
    Renewed,
    /// The record is another's, done, or gone, or the store has lost its memory since the claim and
    /// cannot say: send nothing more.
    Lost,
}

/// An owner, as it describes itself in a step that may have to create the record again.
#[derive(Clone, Debug)]
pub struct Work {
    /// The payment.
    pub subject: Subject,
    /// Its fingerprint under each loaded key; the first signs. Never empty.
    pub fingerprints: Vec<Fingerprint>,
    /// The claim's owner and epoch.
    pub fence: Fence,
    /// As the claim told.
    pub first_sent_ms: u64,
}

/// Where evidence comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// From the answer to an attempt or look-up of an owner, fenced or not.
    Owner(Work),
    /// From an event, a read or the reconciler: it counts only where the record is still the one
    /// that was read, and nobody is at work on it. Else an old payment under the same reference
    /// could end one that is about to be sent.
    Observer {
        /// Which record.
        digest: KeyDigest,
        /// Whose it was when it was read.
        fence: Fence,
    },
}

/// What the evidence says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This became of the payment.
    Outcome(Outcome),
    /// This was found under the payment's name, and it is not the payment (another amount).
    Contradiction(Outcome),
}

/// Store what Zentra said.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Who says so.
    pub source: Source,
    /// What.
    pub verdict: Verdict,
    /// What the payment came to, in minor units, where that may differ from what was taken from
    /// counters: it counts as this.
    pub amount: Option<u64>,
    /// The attempts that led to it.
    pub attempts: Vec<Attempt>,
    /// When the reconciler looks again where the outcome is not final, in milliseconds from now.
    pub next_check_after_ms: u64,
    /// How long things last.
    pub periods: Periods,
}

impl Evidence {
    /// Which record it is about.
    #[must_use]
    pub fn digest(&self) -> &KeyDigest {
        match &self.source {
            Source::Owner(work) => &work.subject.digest,
            Source::Observer { digest, .. } => digest,
        }
    }
}

/// What became of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompleteAnswer {
    /// It is the stored outcome now.
    Stored {
        /// POSTs that the payment has taken, over all owners.
        posts: u32,
        /// What kind of outcome it has replaced; none where there was none.
        before: Option<Class>,
    },
    /// Another outcome stays; it is the truth to be told.
    Kept {
        /// The truth.
        record: Box<Record>,
    },
    /// A decline without an object, and an earlier attempt may have arrived: it proves nothing.
    NotProof {
        /// What is known: unknown, for the present owner, with its lease ended.
        record: Box<Record>,
    },
    /// It contradicts what was known.
    Conflict {
        /// All that is known.
        record: Box<Record>,
    },
    /// An observer's evidence about a record that is not there, has another owner by now, or is
    /// being worked on: nothing was written.
    Absent,
    /// A newer release wrote the record.
    TooNew {
        /// Its format.
        version: u32,
    },
}

/// Remember that an attempt may have arrived.
#[derive(Clone, Debug)]
pub struct Doubt {
    /// Who says so.
    pub work: Work,
    /// The attempts.
    pub attempts: Vec<Attempt>,
    /// True where the call at hand gives up: the record becomes UNKNOWN and the lease ends.
    /// False: the owner goes on under its lease.
    pub gives_up: bool,
    /// True where Zentra refused after a doubtful attempt and a look-up found nothing: the record
    /// is kept for the retention only.
    pub expires: bool,
    /// When the reconciler looks, in milliseconds from now.
    pub next_check_after_ms: u64,
    /// How long things last.
    pub periods: Periods,
}

/// What became of a doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoubtAnswer {
    /// It is remembered.
    Recorded,
    /// The record is another's, or has an outcome.
    Fenced {
        /// What is known.
        record: Box<Record>,
    },
    /// A newer release wrote the record.
    TooNew {
        /// Its format.
        version: u32,
    },
}

/// Forget a payment of which nothing can have arrived.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// Which record.
    pub digest: KeyDigest,
    /// Whose it was.
    pub fence: Fence,
    /// As in [`Periods::look_up_first_ms`]: a failover since the claim makes a release impossible.
    pub look_up_first_ms: u64,
}

/// What became of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseAnswer {
    /// The record is gone: only now may a caller hear that no money moved.
    Released,
    /// It stays.
    NotReleased(WhyKept),
}

/// Why a record was not released. To each the caller hears `unknown`, or the record's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyKept {
    /// There is none: the store lost it, or an earlier release was applied and its answer lost.
    Gone,
    /// Another owner has it.
    Fenced,
    /// An attempt may have arrived.
    Ambiguous,
    /// It has an outcome.
    Resolved,
    /// A newer release wrote it.
    TooNew,
}

/// An operator begins to settle a record: keeps everybody else off while looking up once more.
#[derive(Clone, Copy, Debug)]
pub struct SettleBegin {
    /// Which record.
    pub digest: KeyDigest,
    /// The operator's call.
    pub owner: OwnerId,
    /// For how long, in milliseconds.
    pub lease_ms: u64,
    /// How long after the first send a caller's retry may send again, in milliseconds.
    pub resend_window_ms: u64,
}

/// What the operator says became of the payment.
#[derive(Clone, Debug)]
pub struct Settle {
    /// Which record.
    pub digest: KeyDigest,
    /// From [`SettleAnswer::Begun`].
    pub fence: Fence,
    /// It happened, so; or it did not ([`super::Class::NotHappened`]). Never open.
    pub outcome: Outcome,
    /// As in [`Evidence::amount`].
    pub amount: Option<u64>,
    /// Who settles, and why: printable, at most 1,024 bytes.
    pub settled_by: String,
    /// How long things last.
    pub periods: Periods,
}

/// What became of a settlement or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleAnswer {
    /// Begun: look up, then settle under this fence.
    Begun {
        /// The operator's fence.
        fence: Fence,
        /// All that is known.
        record: Box<Record>,
    },
    /// Settled.
    Settled,
    /// Not now.
    Refused(WhyNotSettled),
}

/// Why a record cannot be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNotSettled {
    /// There is none.
    Absent,
    /// A call works on it.
    Leased,
    /// A caller's retry may still send it.
    ResendAllowed,
    /// It has an outcome.
    Resolved,
    /// Another has it, or the operator's own lease was lost.
    Fenced,
    /// The operator's outcome is not final.
    OutcomeOpen,
    /// A newer release wrote it.
    TooNew,
}

/// How a record is found.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// By its name.
    Digest(KeyDigest),
    /// By its business reference.
    Reference(Namespace, Reference),
}

/// Which records to list, the earliest due first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingKind {
    /// Not final, and due for a look-up.
    Due,
    /// Not final.
    All,
    /// In conflict, the oldest first sent first.
    Conflicts,
}

/// A page of records.
#[derive(Clone, Copy, Debug)]
pub struct PendingPage {
    /// Which.
    pub kind: PendingKind,
    /// How many of them to leave out.
    pub offset: u32,
    /// How many, at most [`MAX_PAGE`].
    pub limit: u32,
}

/// The largest page.
pub const MAX_PAGE: u32 = 100;

/// What is not final, for the whole account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingStats {
    /// Records without an outcome, SENT and UNKNOWN.
    pub unresolved: u64,
    /// When the oldest of them was first sent, on the store's clock.
    pub oldest_unresolved_ms: Option<u64>,
    /// Records with an outcome that is not final.
    pub open: u64,
    /// Records in CONFLICT.
    pub conflicts: u64,
    /// When the loss of the store's memory was last noticed, on the store's clock.
    pub lost_at_ms: Option<u64>,
}

/// Stop claims.
#[derive(Clone, Debug)]
pub struct SetStop {
    /// The stop; one of the same name is replaced.
    pub stop: Stop,
    /// For how long from now, in milliseconds; none until it is lifted.
    pub for_ms: Option<u64>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetStopAnswer {
    /// No claim that it covers begins anything from now on.
    Stopped,
    /// There are [`super::MAX_STOPS`] others.
    TooMany,
}

/// Reschedule the reconciler's look-up of one record.
#[derive(Clone, Copy, Debug)]
pub struct Advance {
    /// Which record.
    pub digest: KeyDigest,
    /// When it looks again, in milliseconds from now.
    pub next_check_after_ms: u64,
}

/// Ask to be the account's one reconciler, or (with no time) give it back.
#[derive(Clone, Copy, Debug)]
pub struct ReconcilerLease {
    /// The process.
    pub owner: OwnerId,
    /// For how long from now, in milliseconds; 0 gives it back.
    pub lease_ms: u64,
}

/// A fingerprint key, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCheck {
    /// Which key.
    pub key_id: [u8; 8],
    /// A value that only the key's holder can make, and that tells nothing of the key.
    pub check: [u8; 16],
}
