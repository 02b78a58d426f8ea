//! What the store remembers of one payment.

use std::fmt;

use bytes::Bytes;

use crate::domain::{Caller, Operation, Reference};

use super::KeyDigest;
use super::limit::Reservation;

/// The entries of the log of attempts that a record keeps; the oldest go first.
pub const MAX_ATTEMPTS: usize = 32;
/// The longest entry of that log, in bytes.
pub const MAX_ATTEMPT_BYTES: usize = 256;

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Claimed: a first attempt is under way, or its owner is gone.
    Sent,
    /// An attempt may have arrived, and nobody knows what became of it.
    Unknown,
    /// Zentra's answer, or an operator's, is stored; see [`Class`] for whether it is final.
    Done,
    /// Answers contradict each other; only an operator ends this.
    Conflict,
}

impl State {
    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "SENT",
            Self::Unknown => "UNKNOWN",
            Self::Done => "DONE",
            Self::Conflict => "CONFLICT",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Sent, Self::Unknown, Self::Done, Self::Conflict]
            .into_iter()
            .find(|state| state.as_str() == word)
    }

    /// True while there is no outcome.
    #[must_use]
    pub fn is_unresolved(self) -> bool {
        matches!(self, Self::Sent | Self::Unknown)
    }
}

/// Names one call that works on a payment; random, so that no two are equal in any life of the
/// store.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnerId(u128);

impl OwnerId {
    /// The owner of what nobody works on.
    pub(super) const NOBODY: Self = Self(0);

    /// Takes 128 random bits.
    #[must_use]
    pub fn new(bits: u128) -> Self {
        Self(bits)
    }

    /// Reads the hexadecimal form back.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let well_formed = text.len() == 32 && text.bytes().all(|it| it.is_ascii_hexdigit());
        let bits = u128::from_str_radix(text, 16).ok()?;
        well_formed.then_some(Self(bits))
    }
}

impl fmt::Display for OwnerId {
    /// 32 lower-case hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Debug for OwnerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Who works on a record, and since which takeover. What an owner may do alone (renew, release,
/// give up) is conditional on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The call.
    pub owner: OwnerId,
    /// Raised by each takeover; 1 at birth.
    pub epoch: u64,
}

/// What kind of outcome it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Not final: Zentra or the customer is at work.
    Open,
    /// Final: it happened.
    Succeeded,
    /// Final: it did not happen, as Zentra says.
    Failed,
    /// Final: it did not happen, as an operator says.
    NotHappened,
}

impl Class {
    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::NotHappened => "NOT_HAPPENED",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Open, Self::Succeeded, Self::Failed, Self::NotHappened]
            .into_iter()
            .find(|class| class.as_str() == word)
    }

    /// True where the payment will not become paid or unpaid any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        self != Self::Open
    }
}

/// What became of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer as the engine encodes it; opaque to the store.
    pub payload: Bytes,
    /// Zentra's id of the charge, refund or token; none for a decline without an object.
    pub provider_id: Option<String>,
    /// What kind it is.
    pub class: Class,
    /// How far the payment is, within its class: only a higher phase replaces a lower one.
    pub phase: u8,
}

/// A keyed digest of a command, and which key made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Which key.
    pub key_id: [u8; 8],
    /// HMAC-SHA256 of the canonical command.
    pub mac: [u8; 32],
}

/// One line of the log of attempts: printable, at most [`MAX_ATTEMPT_BYTES`]. Opaque to the
/// store, but that two equal lines of one record are one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    line: String,
    /// True where it was a POST that left: it counts in [`Record::posts`].
    pub is_post: bool,
}

impl Attempt {
    /// Takes a line; control characters become spaces, what is too long is cut, and nothing
    /// becomes `-`.
    #[must_use]
    pub fn new(line: &str, is_post: bool) -> Self {
        let mut clean: String =
            line.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        clean.truncate(clean.floor_char_boundary(MAX_ATTEMPT_BYTES));
        if clean.is_empty() {
            clean.push('-');
        }
        Self { line: clean, is_post }
    }

    /// The line.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }
}

/// What a payment is: all that is needed to create its record, also after the store lost it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Names the record.
    pub digest: KeyDigest,
    /// Whose key it is.
    pub caller: Caller,
    /// The write.
    pub operation: Operation,
    /// The business reference; none for `Tokenize`.
    pub reference: Option<Reference>,
    /// The canonical command, to be compared and resent; never for `Tokenize`, which holds card
    /// data: only its caller can resend it.
    pub command: Option<Bytes>,
    /// The trace of the first call, as `traceparent`; may be empty.
    pub trace_context: String,
}

/// References are unique within one of these, over all callers of an account and environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// `Charge` and `Renew`.
    Charge,
    /// `Refund`.
    Refund,
}

impl Namespace {
    /// The name space of an operation's references; none where it has no reference of its own.
    #[must_use]
    pub fn of(operation: Operation) -> Option<Self> {
        match operation {
            Operation::Charge | Operation::Renew => Some(Self::Charge),
            Operation::Refund => Some(Self::Refund),
            Operation::Tokenize
            | Operation::Verify
            | Operation::GetCharge
            | Operation::ListCharges
            | Operation::GetRefund
            | Operation::ListTokens => None,
        }
    }

    /// The word in the store's key names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Refund => "refund",
        }
    }
}

/// One payment, as the store remembers it. Times are milliseconds of the store's own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The format it was born in.
    pub version: u32,
    /// Where it stands.
    pub state: State,
    /// Who works on it, or did last.
    pub fence: Fence,
    /// Until when nobody else may take it over; 0 where nobody works on it.
    pub lease_end_ms: u64,
    /// When it was first claimed: Zentra forgets the key some time after.
    pub first_sent_ms: u64,
    /// An attempt, by any owner or in a life before a store loss, may have arrived.
    pub ambiguous: bool,
    /// It was ambiguous from its birth, as the store had lost its memory.
    pub born_ambiguous: bool,
    /// What it is.
    pub subject: Subject,
    /// What its command was, keyed.
    pub fingerprint: Fingerprint,
    /// What it took from counters when it was born.
    pub reservations: Vec<Reservation>,
    /// True while the reservations have not been given back.
    pub reservations_held: bool,
    /// What became of it; some in `Done`, and in `Conflict` where there was one.
    pub outcome: Option<Outcome>,
    /// The evidence that contradicted the rest; some in `Conflict`, where it was an outcome.
    pub contrary: Option<Outcome>,
    /// The last attempts, oldest first, at most [`MAX_ATTEMPTS`].
    pub attempts: Vec<String>,
    /// POSTs that left, over all owners.
    pub posts: u32,
    /// Somebody waits for its end and is to be woken.
    pub waiter: bool,
    /// The operator who settled it, and why.
    pub settled_by: Option<String>,
    /// When it may be forgotten; none while it may not.
    pub expires_ms: Option<u64>,
}

impl Record {
    /// True where `fence` is the record's present owner at its present epoch.
    #[must_use]
    pub fn is_held_by(&self, fence: Fence) -> bool {
        self.fence == fence
    }

    /// True where the record will not change by itself any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.state == State::Done
            && self.outcome.as_ref().is_some_and(|outcome| outcome.class.is_final())
    }

    /// Logs attempts, each once however often it is told.
    pub(super) fn log(&mut self, attempts: &[Attempt]) {
        for attempt in attempts {
            if self.attempts.iter().any(|line| line == attempt.line()) {
                continue;
            }
            self.attempts.push(attempt.line().to_owned());
            self.posts += u32::from(attempt.is_post);
        }
        let excess = self.attempts.len().saturating_sub(MAX_ATTEMPTS);
        self.attempts.drain(..excess);
    }
}
