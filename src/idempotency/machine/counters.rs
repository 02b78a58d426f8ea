//! Counters: taken from when a record is born, given back once when its payment comes to nothing or
//! to less, and taken again where it turns out that it came to more.

use super::canary::Canary;
use super::{CounterWrite, View};
use crate::idempotency::limit::{
    AfterLoss, Binding, Counter, Full, MAX_SUM, Quantity, REFUNDED_KEPT_MS, Reservation, Take,
    Taken,
};
use crate::idempotency::record::{Class, Record};
use crate::idempotency::step::Claim;

/// What is taken where a claim's record is born.
pub(super) struct Born {
    pub(super) writes: Vec<CounterWrite>,
    pub(super) reservations: Vec<Reservation>,
    /// The places of what had no room, and refuses nothing.
    pub(super) over: Vec<usize>,
}

/// All that the claim takes, or the limit that stays full for the longest time.
pub(super) fn take(view: &View<'_>, canary: &Canary, claim: &Claim) -> Result<Born, Full> {
    let mut born = Born { writes: Vec::new(), reservations: Vec::new(), over: Vec::new() };
    let mut full: Option<Full> = None;
    for (place, take) in claim.takes.iter().enumerate() {
        let counter = current(view, take);
        let lost = claim.after_loss == AfterLoss::Deny && lost_in(canary, take, counter.window);
        let left = if lost { 0 } else { take.most.min(MAX_SUM).saturating_sub(counter.sum) };
        let amount = match take.quantity {
            Quantity::One => 1,
            Quantity::Amount(amount) => amount,
            Quantity::Rest => left.max(1),
        };
        if amount > left && take.binding == Binding::Enforced {
            let resets_in_ms =
                (take.window_ms > 0).then(|| counter.expires_ms.saturating_sub(view.now_ms));
            let other = Full { limit: take.limit.clone(), left, resets_in_ms };
            if full.as_ref().is_none_or(|full| lasts_longer(&other, full)) {
                full = Some(other);
            }
            continue;
        }
        if amount > left {
            born.over.push(place);
        }
        // A counter that comes twice, as with another most on trial, counts once.
        if born.reservations.iter().any(|it| it.counter == take.counter) {
            continue;
        }
        let sum = counter.sum.saturating_add(amount).min(MAX_SUM);
        born.writes.push(CounterWrite { id: take.counter, counter: Counter { sum, ..counter } });
        born.reservations.push(Reservation {
            counter: take.counter,
            window: counter.window,
            taken: take.quantity.into(),
            amount,
        });
    }
    full.map_or(Ok(born), Err)
}

fn lasts_longer(one: &Full, other: &Full) -> bool {
    let forever = u64::MAX;
    one.resets_in_ms.unwrap_or(forever) > other.resets_in_ms.unwrap_or(forever)
}

/// The counter in the window of this moment. A clock that has gone back leaves it in the later
/// window, so that nothing is counted out.
fn current(view: &View<'_>, take: &Take) -> Counter {
    let now = view.now_ms.checked_div(take.window_ms).unwrap_or(0);
    let stored = view.counter(&take.counter).filter(|stored| stored.window >= now);
    let (window, sum) = stored.map_or((now, 0), |stored| (stored.window, stored.sum));
    let expires_ms = match take.window_ms {
        0 => view.now_ms.saturating_add(REFUNDED_KEPT_MS),
        window_ms => window.saturating_add(1).saturating_mul(window_ms),
    };
    Counter { window, sum, expires_ms }
}

/// True where the store has lost its memory in this very window.
fn lost_in(canary: &Canary, take: &Take, window: u64) -> bool {
    take.window_ms > 0
        && canary.lost_at_ms.is_some_and(|lost_at_ms| lost_at_ms / take.window_ms >= window)
}

/// What counts from then on where a payment gets an outcome, and what the record holds of it.
///
/// A failure gives all back. Whatever else becomes of a payment counts, also after a failure has
/// given it back: money that moved is never refused, so that a limit may then be exceeded.
pub(super) fn end(
    view: &View<'_>,
    record: &mut Record,
    class: Class,
    amount: Option<u64>,
) -> Vec<CounterWrite> {
    if matches!(class, Class::Failed | Class::NotHappened) {
        return give_back(view, record);
    }
    let comes_to = |it: &Reservation| amount.map_or(it.amount, |amount| remains(it, class, amount));
    hold(view, record, comes_to)
}

/// Nothing counts any more.
pub(super) fn give_back(view: &View<'_>, record: &mut Record) -> Vec<CounterWrite> {
    let writes = shift(view, record, |_| 0);
    record.reservations_held = false;
    writes
}

/// All that was taken counts, also where it was given back: it may have moved money after all.
pub(super) fn keep(view: &View<'_>, record: &mut Record) -> Vec<CounterWrite> {
    hold(view, record, |it| it.amount)
}

fn hold(
    view: &View<'_>,
    record: &mut Record,
    counts: impl Fn(&Reservation) -> u64,
) -> Vec<CounterWrite> {
    let writes = shift(view, record, &counts);
    record.reservations_held = !record.reservations.is_empty();
    for it in &mut record.reservations {
        it.amount = counts(it);
    }
    writes
}

/// What the counters become where each reservation counts differently from now on, each in its own
/// window. A counter that is gone stays so: its window is over, or the store has lost it.
fn shift(
    view: &View<'_>,
    record: &Record,
    counts: impl Fn(&Reservation) -> u64,
) -> Vec<CounterWrite> {
    let mut writes = Vec::new();
    for it in &record.reservations {
        let stored = view.counter(&it.counter).filter(|stored| stored.window == it.window);
        let Some(stored) = stored else { continue };
        let (before, after) = (if record.reservations_held { it.amount } else { 0 }, counts(it));
        let sum = match after.checked_sub(before) {
            Some(more) => stored.sum.saturating_add(more).min(MAX_SUM),
            None => stored.sum.saturating_sub(before - after),
        };
        if sum != stored.sum {
            writes.push(CounterWrite { id: it.counter, counter: Counter { sum, ..*stored } });
        }
    }
    writes
}

/// What a payment that came to `amount` counts as. While it is open no less than was taken.
fn remains(it: &Reservation, class: Class, amount: u64) -> u64 {
    match (it.taken, class) {
        (Taken::One, _) | (Taken::Amount, Class::Open) => it.amount,
        (Taken::Amount, _) => it.amount.min(amount),
        (Taken::Rest, Class::Open) => it.amount.max(amount),
        (Taken::Rest, _) => amount.min(MAX_SUM),
    }
}
