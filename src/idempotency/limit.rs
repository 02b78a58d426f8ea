//! What a claim may take: from counters that the policy limits, from what is left of a charge to
//! give back; and what stops claims altogether.

use std::fmt;
use std::sync::Arc;

use super::digest::of_texts;
use crate::domain::{Actor, Caller, Currency, Operation, Reason, Reference};

/// The most that a counter counts to: the largest whole number that every reader carries exactly.
pub const MAX_SUM: u64 = (1 << 53) - 1;

/// The most that one claim may take from: each is two commands within the claim's script. Those of
/// the policy in force, as many of one on trial, and what is left of a charge.
pub const MAX_TAKES: usize = 63;

/// The most stops that stand at once: each claim looks at all.
pub const MAX_STOPS: usize = 64;

/// How long what was given back of a charge is remembered after the last refund of it. Longer than
/// any provider takes refunds for.
pub const REFUNDED_KEPT_MS: u64 = 400 * 24 * 3_600_000;

/// Names a counter: the limit, and the values that it is keyed by.
///
/// SHA-256 over the texts, each behind its length; unkeyed, so that it is the same on every
/// replica. What changes what is counted (window, unit) belongs into the texts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterId([u8; 32]);

impl CounterId {
    /// Names the counter of these texts.
    #[must_use]
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(of_texts(["zentra-sidecar/counter/1"].into_iter().chain(texts)))
    }

    /// What has been given back of a charge.
    #[must_use]
    pub fn refunded(charge: &Reference) -> Self {
        Self::new(["refunded", charge.as_str()])
    }

    /// Reads the hexadecimal form back; none where it is no counter's name.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok().map(|()| Self(bytes))
    }
}

impl fmt::Display for CounterId {
    /// 64 lower-case hexadecimal digits, written at once: a claim may name 32.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        formatter.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for CounterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A limit's name: 1 to 64 characters, `[A-Za-z0-9_.-]`. Clones share one allocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitName(Arc<str>);

impl LimitName {
    /// Takes a name; none where it is not one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        Self::fits(text).then(|| Self(text.into()))
    }

    /// The same of a text that is shared already.
    #[must_use]
    pub fn shared(text: &Arc<str>) -> Option<Self> {
        Self::fits(text).then(|| Self(text.clone()))
    }

    fn fits(text: &str) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        (1..=64).contains(&text.len()) && text.bytes().all(allowed)
    }

    /// What is left of a charge to give back.
    #[must_use]
    pub fn refunds_of_a_charge() -> Self {
        Self("refunds-of-the-charge".into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How much a claim takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// One payment, whatever its amount.
    One,
    /// An amount, in the currency's minor unit. Where the outcome tells of less, the rest goes
    /// back.
    Amount(u64),
    /// All that is left, in minor units, until the outcome tells what that came to: less, or more,
    /// as where others have taken what they have not sent yet.
    Rest,
}

/// Whether a counter without room refuses a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// It does.
    Enforced,
    /// It counts on and refuses nothing, as of a policy that only observes.
    Observed,
    /// The same of a policy on trial.
    OnTrial,
}

impl Binding {
    /// What its policy is there for, as in metrics and logs.
    #[must_use]
    pub fn role(self) -> &'static str {
        match self {
            Self::Enforced | Self::Observed => "active",
            Self::OnTrial => "candidate",
        }
    }
}

/// What a claim takes from one counter when its record is born.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// The limit's name, for the answer where it is full.
    pub limit: LimitName,
    /// Which counter.
    pub counter: CounterId,
    /// The length of its windows, in milliseconds. They follow each other from the beginning of
    /// 1970, UTC, on the store's clock. 0: one window for ever.
    pub window_ms: u64,
    /// How much.
    pub quantity: Quantity,
    /// The most in one window, at most [`MAX_SUM`].
    pub most: u64,
    /// What becomes of a claim that it has no room for.
    pub binding: Binding,
}

/// What was taken, which says how the outcome's amount counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// One payment: it counts as one, whatever it came to.
    One,
    /// An amount: it counts as what it came to, and at most as what was taken.
    Amount,
    /// All that was left: it counts as what it came to.
    Rest,
}

impl Taken {
    /// The letter in the store.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::One => 'n',
            Self::Amount => 'a',
            Self::Rest => 'r',
        }
    }

    /// Reads the letter back.
    #[must_use]
    pub fn of_letter(letter: &str) -> Option<Self> {
        match letter {
            "n" => Some(Self::One),
            "a" => Some(Self::Amount),
            "r" => Some(Self::Rest),
            _ => None,
        }
    }
}

impl From<Quantity> for Taken {
    fn from(quantity: Quantity) -> Self {
        match quantity {
            Quantity::One => Self::One,
            Quantity::Amount(_) => Self::Amount,
            Quantity::Rest => Self::Rest,
        }
    }
}

/// What a record has taken from one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Which counter.
    pub counter: CounterId,
    /// Which of its windows, counted from 1970: it goes back to this one or to none.
    pub window: u64,
    /// What was taken.
    pub taken: Taken,
    /// How much; once the outcome is known, what the payment counts as.
    pub amount: u64,
}

/// How far a counter has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// In which window.
    pub window: u64,
    /// What was taken in it and has not gone back.
    pub sum: u64,
    /// When it may be forgotten, on the store's clock.
    pub expires_ms: u64,
}

/// What counts after the store has lost its memory, until the window of the loss is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterLoss {
    /// Limits start again.
    #[default]
    Restart,
    /// They are full. What is counted for ever starts again all the same.
    Deny,
}

impl AfterLoss {
    /// The word in the settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Deny => "deny",
        }
    }
}

/// A limit that has no room for what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Which.
    pub limit: LimitName,
    /// What is left of it.
    pub left: u64,
    /// How long until its window is over, in milliseconds; none where it never is.
    pub resets_in_ms: Option<u64>,
}

/// An operator's stop: claims that it covers begin nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Its name, to resume by.
    pub id: Reference,
    /// What it covers; a part that is none covers all.
    pub scope: StopScope,
    /// Why, as callers hear it.
    pub reason: Reason,
    /// Who says so.
    pub by: Actor,
    /// Since when, on the store's clock; what a caller of the store gives is not looked at.
    pub since_ms: u64,
    /// Until when, on the store's clock; none until it is lifted.
    pub until_ms: Option<u64>,
}

/// What a stop covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopScope {
    /// One write.
    pub operation: Option<Operation>,
    /// One calling service.
    pub caller: Option<Caller>,
    /// One currency; a payment without one is not covered.
    pub currency: Option<Currency>,
}

impl Stop {
    /// True where a payment must not begin.
    #[must_use]
    pub fn covers(
        &self,
        now_ms: u64,
        operation: Operation,
        caller: &Caller,
        currency: Option<Currency>,
    ) -> bool {
        let StopScope { operation: its, caller: whose, currency: which } = &self.scope;
        self.until_ms.is_none_or(|until_ms| until_ms > now_ms)
            && its.is_none_or(|its| its == operation)
            && whose.as_ref().is_none_or(|whose| whose == caller)
            && which.is_none_or(|which| currency == Some(which))
    }
}
