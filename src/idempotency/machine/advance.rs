//! Advance: the reconciler has looked, and will look again.

use super::{View, Writes, abandoned, due, too_new};
use crate::idempotency::record::State;
use crate::idempotency::step::Advance;

/// Reschedules a record that is not final; true where there is one.
///
/// One whose owner is gone becomes UNKNOWN, so that an operator sees it for what it is. One of a
/// newer format is only rescheduled: a release that reads it has to find it.
#[must_use]
pub fn advance(view: &View<'_>, advance: &Advance) -> (Writes, bool) {
    let Some(record) =
        view.record.filter(|record| !record.is_final() && record.state != State::Conflict)
    else {
        return (Writes::default(), false);
    };
    let due = due(record, view.now_ms.saturating_add(advance.next_check_after_ms));
    if too_new(view, record) {
        let rescheduled = record.subject.reference.is_some();
        return (Writes { due, ..Writes::default() }, rescheduled);
    }
    let writes = abandoned(view, record).map_or_else(Writes::default, Writes::put);
    (Writes { due, ..writes }, true)
}
