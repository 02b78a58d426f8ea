//! `limits.toml`, read with a place for every complaint.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::super::Action;
use super::super::complaint::{Complaints, Source, place};
use super::super::folder::LIMITS;
use super::super::rules::{LONGEST_MESSAGE, is_message, is_name};
use super::super::table::Entry;
use super::{By, Limit, Measure, definition};
use crate::domain::{Caller, Currency};

/// The most limits of a policy.
const MOST_LIMITS: usize = 100;
/// The most limits of one action: what one claim may take from at once, less what is left of a
/// refund's charge.
const MOST_OF_AN_ACTION: usize = 31;
/// The most values of one list.
const MOST_VALUES: usize = 1000;
/// The most that can be counted: 2^53 - 1, which the store counts exactly.
const MOST: u64 = (1 << 53) - 1;
/// A day, in seconds.
const DAY: u64 = 24 * 3600;
/// The longest window, in days.
const MOST_DAYS: u64 = 31;

/// Reads the file; whatever is wrong goes to `complaints`.
pub(in crate::policy) fn read(text: &str, complaints: &mut Complaints) -> Vec<Limit> {
    let source = Source { file: LIMITS, text };
    let (table, faults) = DeTable::parse_recoverable(text);
    if !faults.is_empty() {
        for fault in faults {
            complaints.within(source, fault.span(), fault.message());
        }
        return Vec::new();
    }
    let (mut limits, mut names, mut places) = (Vec::new(), BTreeMap::new(), Vec::new());
    let mut root = Entry::of(table, source, complaints);
    let entries = root.tables("limit", MOST_LIMITS);
    root.end();
    if entries.is_empty() && complaints.is_empty() {
        complaints.about(LIMITS, "holds no limit; take the file away where none is meant");
    }
    for entry in entries {
        let start = entry.span().start;
        let entry = Entry::of(entry, source, complaints);
        let (name, limit) = read_limit(entry);
        if let Some((name, at)) = name {
            let line = place(text, at).0;
            if let Some(other) = names.insert(name.clone(), line) {
                let text = format!("the name {name} is that of the limit in line {other} too");
                complaints.at(source, at, text);
            }
        }
        if let Some(limit) = limit {
            limits.push(limit);
            places.push(start);
        }
    }
    for action in Action::ALL {
        let is_for = |(_, limit): &(usize, &Limit)| limit.actions.contains(&action);
        let mut beyond = limits.iter().enumerate().filter(is_for).skip(MOST_OF_AN_ACTION);
        if let Some((number, _)) = beyond.next() {
            let text = format!(
                "one more limit for {}: {MOST_OF_AN_ACTION} at most are for one action",
                action.as_str()
            );
            complaints.at(source, places[number], text);
        }
    }
    limits
}

/// One limit, and its name with where it stands, whatever the rest is.
fn read_limit(mut entry: Entry<'_, '_>) -> (Option<(String, usize)>, Option<Limit>) {
    let line = entry.line();
    let at = entry.place_of("name");
    let name = entry.text("name", true, |text| {
        is_name(text)
            .then(|| text.to_owned())
            .ok_or_else(|| "must be 1 to 64 characters of A-Z a-z 0-9 _ . -".to_owned())
    });
    let measure = entry.text("measure", true, |text| match text {
        "amount" => Ok(Measure::Amount),
        "count" => Ok(Measure::Count),
        _ => Err("must be \"amount\" or \"count\"".to_owned()),
    });
    let most = entry.number("most", 1..=MOST);
    let window_seconds = entry.text("window", true, window);
    let by = entry.texts("by", MOST_VALUES, false, |text| {
        let by = By::ALL.into_iter().find(|by| by.as_str() == text);
        by.ok_or_else(|| "must be of caller, customer, token, currency, action".to_owned())
    });
    let actions = entry.texts("actions", MOST_VALUES, true, |text| {
        let action = Action::named(text).filter(|action| action.is_write());
        action.ok_or_else(|| "must be of Tokenize, Charge, Renew, Refund".to_owned())
    });
    let callers = entry.texts("callers", MOST_VALUES, false, |text| {
        Caller::new(text).map_err(|_| "must be a caller's name, such as shop/checkout".to_owned())
    });
    let currencies = entry.texts("currencies", MOST_VALUES, false, |text| {
        Currency::new(text).map(Currency::code).map_err(|fault| fault.to_string())
    });
    let message = entry.text("message", false, |text| {
        is_message(text).then(|| text.to_owned()).ok_or_else(|| {
            format!("must be 1 to {LONGEST_MESSAGE} characters without control characters")
        })
    });
    let named = name.clone().map(|name| (name, at));
    // Each of them has been complained of where it is wrong.
    let limit = (|| {
        let (measure, window_seconds) = (measure?, window_seconds?);
        let (mut by, currencies) = (by?, currencies?);
        by.sort_unstable();
        Some(Limit {
            name: name?.into(),
            definition: definition(measure, window_seconds, &by, &currencies),
            measure,
            most: most?,
            window_seconds,
            by,
            actions: actions?,
            callers: callers?,
            currencies,
            message,
            line,
        })
    })();
    if let Some(limit) = &limit {
        check(limit, &mut entry);
    }
    entry.end();
    (named, limit)
}

/// What only shows where all is read.
fn check(limit: &Limit, entry: &mut Entry<'_, '_>) {
    for action in &limit.actions {
        for by in limit.by.iter().filter(|by| !by.is_of(*action)) {
            let text = format!("{} has no {} to count by", action.as_str(), by.as_str());
            entry.complain("by", text);
        }
        let asks_amount = limit.measure == Measure::Amount || !limit.currencies.is_empty();
        if asks_amount && !action.has_amount() {
            entry.complain("actions", format!("{} has no amount", action.as_str()));
        }
    }
    let is_of_one = limit.currencies.len() == 1 || limit.by.contains(&By::Currency);
    if limit.measure == Measure::Amount && !is_of_one {
        let text =
            "adds amounts of several currencies: name one in currencies, or count by currency";
        entry.complain("measure", text);
    }
}

/// `90s`, `15m`, `1h` or `1d`: what divides a day evenly, or whole days.
fn window(text: &str) -> Result<u64, String> {
    let fault = || {
        format!(
            "must be like \"15m\", \"1h\" or \"1d\" (s, m, h, d): more than 0, what divides a day \
             evenly, or 1 to {MOST_DAYS} whole days"
        )
    };
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(fault)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => DAY,
        _ => return Err(fault()),
    };
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return Err(fault());
    }
    let seconds = digits.parse::<u64>().map_err(|_| fault())? * unit;
    let is_part = seconds > 0 && seconds <= DAY && DAY.is_multiple_of(seconds);
    let is_days = seconds > 0 && seconds.is_multiple_of(DAY) && seconds <= MOST_DAYS * DAY;
    if is_part || is_days { Ok(seconds) } else { Err(fault()) }
}
