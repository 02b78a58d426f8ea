//! Doubt: an attempt may have arrived.

use super::create;
use super::{View, Writes, due, too_new, unresolved_expiry};
use crate::idempotency::record::{Record, State};
use crate::idempotency::step::{Doubt, DoubtAnswer};

/// Remembers a doubt. Only its present owner ends a record's lease; a takeover made it ambiguous
/// already.
#[must_use]
pub fn doubt(view: &View<'_>, doubt: &Doubt) -> (Writes, DoubtAnswer) {
    let created = match view.record {
        Some(_) => None,
        None => create::again(view, &doubt.work),
    };
    let Some(record) = view.record.or(created.as_ref()) else {
        return (Writes::default(), DoubtAnswer::Recorded);
    };
    if too_new(view, record) {
        let version = record.version;
        return (Writes::default(), DoubtAnswer::TooNew { version });
    }
    let mut next = record.clone();
    next.log(&doubt.attempts);
    let mut writes = Writes::default();
    let held = record.is_held_by(doubt.work.fence) && record.state.is_unresolved();
    let answer = if held {
        next.ambiguous = true;
        if doubt.gives_up {
            writes = give_up(view, doubt, &mut next);
        } else if view.record.is_none() {
            writes = go_on(view, doubt, &mut next);
        }
        DoubtAnswer::Recorded
    } else {
        let record = Box::new(next.clone());
        DoubtAnswer::Fenced { record }
    };
    writes.index_reference = next.subject.reference.is_some();
    writes.record = super::RecordWrite::Put(Box::new(next));
    (writes, answer)
}

/// The lease ends, so that the caller's retry need not wait for it.
fn give_up(view: &View<'_>, doubt: &Doubt, next: &mut Record) -> Writes {
    next.state = State::Unknown;
    next.lease_end_ms = 0;
    let retention_ms = doubt.periods.retention_ms;
    next.expires_ms = if doubt.expires {
        Some(view.now_ms.saturating_add(retention_ms))
    } else {
        unresolved_expiry(next, view.now_ms, retention_ms)
    };
    Writes {
        due: due(next, view.now_ms.saturating_add(doubt.next_check_after_ms)),
        wake: std::mem::take(&mut next.waiter),
        ..Writes::default()
    }
}

/// A record that is created again for an owner that goes on is leased to it.
fn go_on(view: &View<'_>, doubt: &Doubt, next: &mut Record) -> Writes {
    next.lease_end_ms = view.now_ms.saturating_add(doubt.periods.lease_ms);
    next.expires_ms = unresolved_expiry(next, next.lease_end_ms, doubt.periods.retention_ms);
    Writes { due: due(next, next.lease_end_ms), ..Writes::default() }
}
