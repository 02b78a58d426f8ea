//! Limits: how much, or how often, within a window of time.

mod read;

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Action, Question};
use crate::domain::Caller;

pub(super) use read::read;

/// How much, or how often, those calls may be that a limit is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name, which no other limit of the policy has.
    pub name: Arc<str>,
    /// What it counts, in one text that is the same on every sidecar; whatever the order of its lists.
    pub definition: String,
    /// What it counts.
    pub measure: Measure,
    /// How much of it there may be in one window, in the currency's minor unit for amounts.
    pub most: u64,
    /// The window's length in seconds. Windows follow one another from 1970-01-01T00:00:00Z on,
    /// so that those of an hour begin with the hour, and those of a day at midnight, UTC.
    pub window_seconds: u64,
    /// What each has a count of its own for, in one order; empty where all share one.
    pub by: Vec<By>,
    /// The writes that it is for.
    pub actions: Vec<Action>,
    /// The callers that it is for; empty for all.
    pub callers: Vec<Caller>,
    /// The currencies that it is for; empty for all.
    pub currencies: Vec<&'static str>,
    /// What the caller reads where it is full.
    pub message: Option<String>,
    /// Its line in `limits.toml`, from 1.
    pub line: usize,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The sum of the amounts, in the minor unit of one currency.
    Amount,
    /// The calls.
    Count,
}

/// What a limit keeps counts apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The calling service.
    Caller,
    /// The customer.
    Customer,
    /// The saved payment method.
    Token,
    /// The currency.
    Currency,
    /// The action.
    Action,
}

/// What a call takes from one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taking<'a> {
    /// From which.
    pub limit: &'a Limit,
    /// Which of its counts: the values that it counts by, separated by `|`, which none holds.
    pub key: String,
    /// How much: minor units, or 1.
    pub amount: u64,
}

/// What makes two counts the same: measure, window, the currencies, and what is counted by. None of
/// these texts holds a sign that parts them. Who and what may take from a limit is left out: where
/// that changes, what was taken still counts.
fn definition(measure: Measure, window_seconds: u64, by: &[By], currencies: &[&str]) -> String {
    let mut currencies = currencies.to_vec();
    currencies.sort_unstable();
    let by: Vec<_> = by.iter().map(|by| by.as_str()).collect();
    let (by, currencies) = (by.join(","), currencies.join(","));
    format!("{} {window_seconds} by:{by} in:{currencies}", measure.as_str())
}

impl Limit {
    /// What a call takes from the limit; none where it is not for the call.
    #[must_use]
    pub fn taking(&self, question: &Question<'_>) -> Option<Taking<'_>> {
        let fields = &question.fields;
        let currency = fields.amount.map(|amount| amount.currency().code());
        let is_for = self.actions.contains(&question.action)
            && (self.callers.is_empty() || self.callers.contains(question.caller))
            && (self.currencies.is_empty()
                || currency.is_some_and(|code| self.currencies.contains(&code)));
        if !is_for {
            return None;
        }
        let amount = match self.measure {
            Measure::Count => 1,
            Measure::Amount => u64::try_from(fields.amount?.amount_minor()).ok()?,
        };
        let mut key = String::with_capacity(64);
        for (number, by) in self.by.iter().enumerate() {
            let value = match by {
                By::Caller => question.caller.as_str(),
                By::Customer => fields.customer.unwrap_or_default(),
                By::Token => fields.token.unwrap_or_default(),
                By::Currency => currency.unwrap_or_default(),
                By::Action => question.action.as_str(),
            };
            let separator = if number == 0 { "" } else { "|" };
            // Writing into a String cannot fail.
            let _ = write!(key, "{separator}{value}");
        }
        Some(Taking { limit: self, key, amount })
    }

    /// The window that a moment falls into, by its number.
    #[must_use]
    pub fn window(&self, unix_seconds: u64) -> u64 {
        unix_seconds / self.window_seconds
    }
}

impl Measure {
    /// The word in `limits.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::Count => "count",
        }
    }
}

impl By {
    const ALL: [Self; 5] =
        [Self::Caller, Self::Customer, Self::Token, Self::Currency, Self::Action];

    /// The word in `limits.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Customer => "customer",
            Self::Token => "token",
            Self::Currency => "currency",
            Self::Action => "action",
        }
    }

    /// True where each call of the action has one.
    fn is_of(self, action: Action) -> bool {
        let takes = matches!(action, Action::Charge | Action::Renew);
        match self {
            Self::Caller | Self::Action => true,
            Self::Customer => takes || action == Action::Tokenize,
            Self::Token => takes,
            Self::Currency => action.has_amount(),
        }
    }
}
