//! Settle: an operator ends what Zentra can no longer tell.

use super::counters;
use super::{DueWrite, View, Writes, too_new};
use crate::idempotency::record::{Fence, Record, State};
use crate::idempotency::step::{Settle, SettleAnswer, SettleBegin, WhyNotSettled};

/// Takes the record over for the operator, who looks up once more before settling.
#[must_use]
pub fn begin(view: &View<'_>, begin: &SettleBegin) -> (Writes, SettleAnswer) {
    let record = match settleable(view) {
        Ok(record) => record,
        Err(why) => return (Writes::default(), SettleAnswer::Refused(why)),
    };
    let own = record.fence.owner == begin.owner;
    if record.lease_end_ms > view.now_ms && !own {
        let why = WhyNotSettled::Leased;
        return (Writes::default(), SettleAnswer::Refused(why));
    }
    let resend_until_ms = record.first_sent_ms.saturating_add(begin.resend_window_ms);
    if record.state.is_unresolved() && resend_until_ms > view.now_ms {
        let why = WhyNotSettled::ResendAllowed;
        return (Writes::default(), SettleAnswer::Refused(why));
    }
    let mut next = record.clone();
    if !own {
        next.fence = Fence { owner: begin.owner, epoch: record.fence.epoch + 1 };
    }
    next.ambiguous = true;
    next.lease_end_ms = view.now_ms.saturating_add(begin.lease_ms);
    let answer = SettleAnswer::Begun { fence: next.fence, record: Box::new(next.clone()) };
    (Writes::put(next), answer)
}

/// Stores the operator's word. Evidence to the contrary that comes later is a conflict again.
#[must_use]
pub fn settle(view: &View<'_>, settle: &Settle) -> (Writes, SettleAnswer) {
    let record = match settleable(view) {
        Ok(record) => record,
        // Told again by the same operator, as the first answer was lost.
        Err(WhyNotSettled::Resolved) if is_settled_so(view.record, settle) => {
            return (Writes::default(), SettleAnswer::Settled);
        }
        Err(why) => return (Writes::default(), SettleAnswer::Refused(why)),
    };
    if !record.is_held_by(settle.fence) {
        let why = WhyNotSettled::Fenced;
        return (Writes::default(), SettleAnswer::Refused(why));
    }
    if !settle.outcome.class.is_final() {
        let why = WhyNotSettled::OutcomeOpen;
        return (Writes::default(), SettleAnswer::Refused(why));
    }
    let mut next = record.clone();
    next.state = State::Done;
    next.lease_end_ms = 0;
    next.expires_ms = Some(view.now_ms.saturating_add(settle.periods.retention_ms));
    let counters = counters::end(view, &mut next, settle.outcome.class, settle.amount);
    next.outcome = Some(settle.outcome.clone());
    next.settled_by = Some(settle.settled_by.clone());
    let wake = std::mem::take(&mut next.waiter);
    let writes = Writes { due: DueWrite::Never, wake, counters, ..Writes::put(next) };
    (writes, SettleAnswer::Settled)
}

fn settleable<'a>(view: &View<'a>) -> Result<&'a Record, WhyNotSettled> {
    let record = view.record.ok_or(WhyNotSettled::Absent)?;
    if too_new(view, record) {
        return Err(WhyNotSettled::TooNew);
    }
    match record.state {
        State::Done => Err(WhyNotSettled::Resolved),
        State::Sent | State::Unknown | State::Conflict => Ok(record),
    }
}

fn is_settled_so(record: Option<&Record>, settle: &Settle) -> bool {
    record.is_some_and(|record| {
        record.is_held_by(settle.fence) && record.settled_by.as_ref() == Some(&settle.settled_by)
    })
}
