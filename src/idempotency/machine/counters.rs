//! Counters: taken from when a record is born, given back once when its payment comes to nothing
//! or to less.

use super::canary::Canary;
use super::{CounterWrite, View};
use crate::idempotency::limit::{
    AfterLoss, Counter, Full, MAX_SUM, Quantity, REFUNDED_KEPT_MS, Reservation, Take,
};
use crate::idempotency::record::{Class, Record};
use crate::idempotency::step::Claim;

/// What is taken where a claim's record is born.
pub(super) struct Taken {
    pub(super) writes: Vec<CounterWrite>,
    pub(super) reservations: Vec<Reservation>,
}

/// All that the claim takes, or the limit that stays full for the longest time.
pub(super) fn take(view: &View<'_>, canary: &Canary, claim: &Claim) -> Result<Taken, Full> {
    let mut taken = Taken { writes: Vec::new(), reservations: Vec::new() };
    let mut full: Option<Full> = None;
    for take in &claim.takes {
        let counter = current(view, take);
        let lost = claim.after_loss == AfterLoss::Deny && lost_in(canary, take, counter.window);
        let left = if lost { 0 } else { take.most.min(MAX_SUM).saturating_sub(counter.sum) };
        let amount = match take.quantity {
            Quantity::One => 1,
            Quantity::Amount(amount) => amount,
            Quantity::Rest => left.max(1),
        };
        if amount > left {
            let resets_in_ms =
                (take.window_ms > 0).then(|| counter.expires_ms.saturating_sub(view.now_ms));
            let other = Full { limit: take.limit.clone(), left, resets_in_ms };
            if full.as_ref().is_none_or(|full| lasts_longer(&other, full)) {
                full = Some(other);
            }
            continue;
        }
        let sum = counter.sum + amount;
        taken.writes.push(CounterWrite { id: take.counter, counter: Counter { sum, ..counter } });
        taken.reservations.push(Reservation {
            counter: take.counter,
            window: counter.window,
            is_amount: take.quantity != Quantity::One,
            amount,
        });
    }
    full.map_or(Ok(taken), Err)
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

/// What goes back where a payment gets an outcome, and what the record holds from then on.
pub(super) fn end(
    view: &View<'_>,
    record: &mut Record,
    class: Class,
    amount: Option<u64>,
) -> Vec<CounterWrite> {
    match (class, amount) {
        (Class::Failed | Class::NotHappened, _) => {
            let writes = give_back(view, record, None);
            record.reservations_held = false;
            writes
        }
        (Class::Succeeded, Some(amount)) => {
            let writes = give_back(view, record, Some(amount));
            keep(record, amount);
            writes
        }
        (Class::Succeeded, None) | (Class::Open, _) => Vec::new(),
    }
}

/// Gives back what a record holds, each to its own window: all of it, or of each amount what is
/// beyond `kept`.
pub(super) fn give_back(view: &View<'_>, record: &Record, kept: Option<u64>) -> Vec<CounterWrite> {
    if !record.reservations_held {
        return Vec::new();
    }
    let mut writes = Vec::new();
    for held in &record.reservations {
        let kept = kept.map_or(0, |kept| remains(held, kept));
        let stored = view.counter(&held.counter);
        let Some(stored) = stored.filter(|stored| stored.window == held.window) else { continue };
        let sum = stored.sum.saturating_sub(held.amount - kept);
        if sum != stored.sum {
            writes.push(CounterWrite { id: held.counter, counter: Counter { sum, ..*stored } });
        }
    }
    writes
}

/// What a record still holds where its payment came to `amount`.
fn keep(record: &mut Record, amount: u64) {
    for held in &mut record.reservations {
        held.amount = remains(held, amount);
    }
}

fn remains(held: &Reservation, amount: u64) -> u64 {
    if held.is_amount { held.amount.min(amount) } else { held.amount }
}
