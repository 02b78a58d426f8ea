//! Counters and stops, as the scripts read and write them.

use std::fmt::Write as _;

use super::codec::{operation, unreadable};
use super::reply::{Reply, strange};
use crate::domain::{Actor, Caller, Currency, Operation, Reason, Reference};
use crate::idempotency::limit::{
    Binding, CounterId, Full, LimitName, Quantity, Reservation, Stop, StopScope, Take, Taken,
};
use crate::idempotency::store::StoreError;

/// What a claim takes, a line each, as its script reads it.
#[must_use]
pub fn takes(takes: &[Take]) -> String {
    let mut text = String::with_capacity(takes.len() * 128);
    for take in takes {
        let kind = Taken::from(take.quantity).letter();
        let kind = match take.binding {
            Binding::Enforced => kind,
            Binding::Observed | Binding::OnTrial => kind.to_ascii_uppercase(),
        };
        let amount = match take.quantity {
            Quantity::One => 1,
            Quantity::Amount(amount) => amount,
            Quantity::Rest => 0,
        };
        let Take { limit, counter, window_ms, most, .. } = take;
        let limit = limit.as_str();
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{limit} {counter} {window_ms} {kind} {amount} {most}");
    }
    text
}

/// What a record has taken: counter, window, kind and amount, a line each.
pub(super) fn reservations(text: &str) -> Result<Vec<Reservation>, StoreError> {
    let lines: Option<Vec<_>> = text.lines().map(reservation).collect();
    lines.ok_or_else(|| unreadable("reservations"))
}

fn reservation(line: &str) -> Option<Reservation> {
    let mut words = line.split(' ');
    let reservation = Reservation {
        counter: CounterId::from_hex(words.next()?)?,
        window: words.next()?.parse().ok()?,
        taken: Taken::of_letter(words.next()?)?,
        amount: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(reservation)
}

/// The places of what refuses nothing and had no room, with spaces between.
pub(super) fn over(text: &str) -> Result<Vec<usize>, StoreError> {
    text.split_whitespace().map(|place| place.parse().map_err(|_| strange("place"))).collect()
}

/// The limit that a claim found full, from `index` on.
pub(super) fn full(reply: &Reply, index: usize) -> Result<Full, StoreError> {
    let resets = reply.text(index + 2)?;
    Ok(Full {
        limit: LimitName::new(&reply.text(index)?).ok_or_else(|| strange("limit"))?,
        left: reply.number(index + 1)?,
        resets_in_ms: match resets.as_str() {
            "" => None,
            resets => Some(resets.parse().map_err(|_| strange("time"))?),
        },
    })
}

/// What a stop covers, who set it and why, as the store keeps it behind its times.
pub(super) fn stop_text(stop: &Stop) -> String {
    let StopScope { operation, caller, currency } = &stop.scope;
    [
        operation.map_or("", Operation::as_str),
        caller.as_ref().map_or("", Caller::as_str),
        currency.map_or("", Currency::code),
        stop.by.as_str(),
        stop.reason.as_str(),
    ]
    .join("\n")
}

/// A stop as the store keeps it: its end (or nothing), its beginning, and [`stop_text`].
pub(super) fn stop(id: &str, text: &str) -> Result<Stop, StoreError> {
    parsed_stop(id, text).ok_or_else(|| StoreError::Unreadable(format!("stop {id:?}")))
}

fn parsed_stop(id: &str, text: &str) -> Option<Stop> {
    let mut lines = text.split('\n');
    let mut next = || lines.next();
    let until_ms = match next()? {
        "" => None,
        until_ms => Some(until_ms.parse().ok()?),
    };
    Some(Stop {
        id: Reference::new(id).ok()?,
        until_ms,
        since_ms: next()?.parse().ok()?,
        scope: StopScope {
            operation: given(next()?, operation)?,
            caller: given(next()?, |it| Caller::new(it).ok())?,
            currency: given(next()?, |it| Currency::new(it).ok())?,
        },
        by: Actor::new(next()?).ok()?,
        reason: Reason::new(next()?).ok()?,
    })
}

/// Nothing where there is none; none at all where it cannot be read.
fn given<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { read(text).map(Some) }
}
