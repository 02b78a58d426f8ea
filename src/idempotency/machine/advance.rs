//! Advance: the reconciler has looked, and will look again.

use super::{View, Writes, due, too_new};
use crate::idempotency::record::State;
use crate::idempotency::step::Advance;

/// Reschedules a record that is not final; true where there is one.
///
/// One whose owner is gone becomes UNKNOWN, so that an operator sees it for what it is.
#[must_use]
pub fn advance(view: &View<'_>, advance: &Advance) -> (Writes, bool) {
    let Some(record) = view.record.filter(|record| {
        !record.is_final() && record.state != State::Conflict && !too_new(view, record)
    }) else {
        return (Writes::default(), false);
    };
    let due = due(record, view.now_ms.saturating_add(advance.next_check_after_ms));
    let abandoned = record.state == State::Sent && record.lease_end_ms <= view.now_ms;
    let mut writes = Writes::default();
    if abandoned {
        let mut next = record.clone();
        next.state = State::Unknown;
        next.ambiguous = true;
        writes = Writes::put(next);
    }
    writes.due = due;
    (writes, true)
}
