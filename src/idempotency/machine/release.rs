//! Release: the one way in which a record is forgotten at once.

use super::canary::stamp;
use super::counters;
use super::{DueWrite, RecordWrite, View, Writes, too_new};
use crate::idempotency::record::Record;
use crate::idempotency::step::{Release, ReleaseAnswer, WhyKept};
use crate::mutants::{self, Mutant};

/// Forgets the record where nothing of it can have arrived.
#[must_use]
pub fn release(view: &View<'_>, release: &Release) -> (Writes, ReleaseAnswer) {
    let (canary, stamped) = stamp(view, release.look_up_first_ms);
    let mut writes = Writes::default();
    // A failover since the claim may have lost a takeover, with an attempt of its own.
    let lost_lately = canary.look_ups_first(view.now_ms);
    let answer = match refusal(view, release, lost_lately) {
        Some(why) => ReleaseAnswer::NotReleased(why),
        None => {
            let mut gone = view.record.cloned();
            writes.counters =
                gone.as_mut().map(|gone| counters::give_back(view, gone)).unwrap_or_default();
            writes.record = RecordWrite::Delete;
            writes.due = DueWrite::Never;
            writes.wake = view.record.is_some_and(|record| record.waiter);
            ReleaseAnswer::Released
        }
    };
    if stamped {
        writes.canary = Some(canary);
    }
    (writes, answer)
}

fn refusal(view: &View<'_>, release: &Release, lost_lately: bool) -> Option<WhyKept> {
    let Some(record) = view.record else {
        return Some(WhyKept::Gone);
    };
    if too_new(view, record) {
        return Some(WhyKept::TooNew);
    }
    if !record.state.is_unresolved() {
        return Some(WhyKept::Resolved);
    }
    if !record.is_held_by(release.fence) {
        return Some(WhyKept::Fenced);
    }
    may_have_arrived(record, lost_lately).then_some(WhyKept::Ambiguous)
}

fn may_have_arrived(record: &Record, lost_lately: bool) -> bool {
    (record.ambiguous || lost_lately) && !mutants::is_on(Mutant::ReleaseOfAmbiguous)
}
