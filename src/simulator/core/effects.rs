//! What happens by itself when its time has come.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::admit::Admitted;
use super::exchange::Asked;
use super::status;
use super::{Charge, Failure, Outcome, Zentra};

/// Something that is due at a time.
#[derive(Clone, Debug)]
pub(crate) enum Timer {
    /// A pending charge succeeds.
    Settle(u64),
    /// A request takes effect late.
    Land(Box<Late>),
}

/// A request whose answer is already gone.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    pub(crate) asked: Asked,
    /// Set where the request is stuck inside Zentra; else it is still on its way.
    pub(crate) admitted: Option<Admitted>,
}

/// What is due, in the order of time, then of making.
#[derive(Clone, Debug)]
pub(crate) struct Timers {
    due: BTreeMap<(Timestamp, u64), Timer>,
    made: u64,
    capacity: usize,
}

impl Timers {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { due: BTreeMap::new(), made: 0, capacity: capacity.max(1) }
    }

    /// Beyond the capacity what is due first happens never: tests are far from it.
    pub(crate) fn add(&mut self, at: Timestamp, timer: Timer) {
        if self.due.len() >= self.capacity {
            self.due.pop_first();
        }
        self.made += 1;
        self.due.insert((at, self.made), timer);
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn take(&mut self, now: Timestamp) -> Option<(Timestamp, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.due.pop_first().map(|((at, _), timer)| (at, timer))
    }

    /// Late effects that have not landed.
    pub(crate) fn late(&self) -> usize {
        self.due.values().filter(|timer| matches!(timer, Timer::Land(_))).count()
    }
}

impl Zentra {
    /// Does what was due `at` a time, as of that time.
    pub(crate) fn fire(&mut self, at: Timestamp, timer: Timer) {
        match timer {
            Timer::Settle(row) => {
                let waits = |charge: &Charge| charge.status == status::PENDING;
                if self.ledger.charges.get(row).is_some_and(waits) {
                    self.set_status(at, row, status::SUCCESSFUL, None);
                }
            }
            Timer::Land(late) => {
                let Late { asked, admitted } = *late;
                let admitted = admitted.map_or_else(|| self.admit(at, &asked), Ok);
                let outcome = match admitted {
                    Ok(admitted) => self.apply(at, admitted).outcome,
                    Err(refused) => Outcome::refused(&refused),
                };
                self.note(asked.seen, outcome);
            }
        }
    }

    /// Moves a charge to a status, and tells it by an event if that is new.
    pub(crate) fn set_status(
        &mut self,
        now: Timestamp,
        row: u64,
        status: &str,
        failure_code: Option<&str>,
    ) {
        let Some(charge) = self.ledger.charges.get_mut(row) else {
            return;
        };
        if charge.status == status {
            return;
        }
        status.clone_into(&mut charge.status);
        charge.updated_at = now;
        if !status::is_open(status) {
            charge.redirect_url = None;
        }
        charge.failure = match failure_code {
            None if status == status::FAILED => Some(Failure::new("card_declined")),
            code => code.map(Failure::new),
        };
        let data = charge.show();
        self.emit(now, &format!("charge.{status}"), data);
    }

    /// Records an event, to be delivered if webhooks are on.
    pub(crate) fn emit(&mut self, now: Timestamp, kind: &str, data: serde_json::Value) {
        let id = self.ids.next("evt");
        self.outbox.emit(now, &self.settings, id, kind.to_owned(), data);
    }

    /// Remembers what became of a request.
    pub(crate) fn note(&mut self, seen: Option<u64>, outcome: Outcome) {
        if let Some(seen) = seen.and_then(|number| self.ledger.seen.get_mut(number)) {
            seen.outcome = outcome;
        }
    }
}
