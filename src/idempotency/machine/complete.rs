//! Complete: an answer from Zentra is evidence, whoever brings it.

use super::canary::stamp;
use super::counters;
use super::create;
use super::merge::{Merge, merge};
use super::{DueWrite, View, Writes, abandoned, due, too_new, unresolved_expiry};
use crate::idempotency::fingerprint::{Match, compare};
use crate::idempotency::record::{Class, Outcome, Record, State};
use crate::idempotency::step::{CompleteAnswer, Evidence, Source, Verdict};

/// Stores evidence. A fenced owner's counts too: what Zentra did, it did.
#[must_use]
pub fn complete(view: &View<'_>, evidence: &Evidence) -> (Writes, CompleteAnswer) {
    let created = match (view.record, &evidence.source) {
        (Some(_), _) => None,
        (None, Source::Owner(work)) => create::again(view, work),
        (None, Source::Observer { .. }) => None,
    };
    let Some(record) = view.record.or(created.as_ref()) else {
        return (Writes::default(), CompleteAnswer::Absent);
    };
    if too_new(view, record) {
        let version = record.version;
        return (Writes::default(), CompleteAnswer::TooNew { version });
    }
    if !counts(view, &evidence.source, record) {
        return (Writes::default(), CompleteAnswer::Absent);
    }
    let mut next = match evidence.source {
        Source::Owner(_) => None,
        Source::Observer { .. } => abandoned(view, record),
    }
    .unwrap_or_else(|| record.clone());
    next.log(&evidence.attempts);
    let (mut writes, answer) = judge(view, evidence, next);
    writes.index_reference =
        matches!(evidence.source, Source::Owner(_)) && record.subject.reference.is_some();
    (writes, answer)
}

/// What an observer saw may be another payment under the same reference, from before this one was
/// sent: it does not end what somebody works on, nor what somebody has worked on since.
fn counts(view: &View<'_>, source: &Source, record: &Record) -> bool {
    match source {
        Source::Owner(_) => true,
        Source::Observer { fence, .. } => {
            let at_work = record.state.is_unresolved() && record.lease_end_ms > view.now_ms;
            record.is_held_by(*fence) && !at_work
        }
    }
}

fn judge(view: &View<'_>, evidence: &Evidence, next: Record) -> (Writes, CompleteAnswer) {
    let outcome = match &evidence.verdict {
        Verdict::Outcome(outcome) if is_same_payment(&next, &evidence.source) => outcome,
        Verdict::Outcome(contrary) | Verdict::Contradiction(contrary) => {
            return conflict(view, evidence, next, Some(contrary));
        }
    };
    if next.state == State::Conflict {
        return conflict(view, evidence, next, None);
    }
    if !is_bare_decline(&next, outcome) {
        return accept(view, evidence, next, outcome);
    }
    // A failover since the claim may have lost a takeover, with an attempt of its own.
    let (canary, stamped) = stamp(view, evidence.periods.look_up_first_ms);
    let (mut writes, answer) =
        if canary.look_ups_first(view.now_ms) || proves_nothing(evidence, &next) {
            not_proof(view, evidence, next)
        } else {
            accept(view, evidence, next, outcome)
        };
    if stamped {
        writes.canary = Some(canary);
    }
    (writes, answer)
}

fn accept(
    view: &View<'_>,
    evidence: &Evidence,
    next: Record,
    outcome: &Outcome,
) -> (Writes, CompleteAnswer) {
    match next.outcome.as_ref().map(|stored| merge(stored, outcome)) {
        None | Some(Merge::Replace) => store(view, evidence, next, outcome),
        Some(Merge::Keep) => keep(next),
        Some(Merge::Contradiction) => conflict(view, evidence, next, Some(outcome)),
    }
}

/// After a store loss the key may have been used for something else: an owner of an earlier life
/// must not complete that. No key in common proves no difference; the reference still has to fit.
fn is_same_payment(record: &Record, source: &Source) -> bool {
    match source {
        Source::Observer { .. } => true,
        Source::Owner(work) => {
            compare(&record.fingerprint, &work.fingerprints) != Match::Different
                && record.subject.reference == work.subject.reference
        }
    }
}

/// A decline that names no object, of a payment without an outcome.
fn is_bare_decline(record: &Record, outcome: &Outcome) -> bool {
    outcome.class == Class::Failed && outcome.provider_id.is_none() && record.state.is_unresolved()
}

/// Such a decline is final only where no other attempt can have arrived.
fn proves_nothing(evidence: &Evidence, record: &Record) -> bool {
    let fenced = match &evidence.source {
        Source::Owner(work) => !record.is_held_by(work.fence),
        Source::Observer { .. } => true,
    };
    fenced || record.ambiguous
}

/// The present owner gives up, as in a doubt; anybody else changes nothing.
fn not_proof(view: &View<'_>, evidence: &Evidence, mut next: Record) -> (Writes, CompleteAnswer) {
    let held = matches!(&evidence.source, Source::Owner(work) if next.is_held_by(work.fence));
    let mut writes = Writes::default();
    if held {
        next.state = State::Unknown;
        next.ambiguous = true;
        next.lease_end_ms = 0;
        next.expires_ms = unresolved_expiry(&next, view.now_ms, evidence.periods.retention_ms);
        writes.due = due(&next, view.now_ms.saturating_add(evidence.next_check_after_ms));
        writes.wake = std::mem::take(&mut next.waiter);
    }
    let record = Box::new(next.clone());
    writes.record = super::RecordWrite::Put(Box::new(next));
    (writes, CompleteAnswer::NotProof { record })
}

fn store(
    view: &View<'_>,
    evidence: &Evidence,
    mut next: Record,
    outcome: &Outcome,
) -> (Writes, CompleteAnswer) {
    let periods = &evidence.periods;
    let is_final = outcome.class.is_final();
    next.state = State::Done;
    let before = next.outcome.replace(outcome.clone()).map(|before| before.class);
    next.lease_end_ms = 0;
    let kept_ms = if is_final { periods.retention_ms } else { periods.open_retention_ms };
    next.expires_ms = Some(view.now_ms.saturating_add(kept_ms));
    // A failed payment gives back all that it took, once; another counts as what it came to.
    let counters = counters::end(view, &mut next, outcome.class, evidence.amount);
    let due = if is_final {
        DueWrite::Never
    } else {
        due(&next, view.now_ms.saturating_add(evidence.next_check_after_ms))
    };
    let answer = CompleteAnswer::Stored { posts: next.posts, before };
    let wake = std::mem::take(&mut next.waiter);
    let writes = Writes { due, wake, counters, ..Writes::put(next) };
    (writes, answer)
}

fn keep(next: Record) -> (Writes, CompleteAnswer) {
    let record = Box::new(next.clone());
    (Writes::put(next), CompleteAnswer::Kept { record })
}

/// Only an operator ends a conflict: it has no time of its own, and the reconciler leaves it. It
/// counts, whatever a failure has given back before: money may have moved.
///
/// That of a Tokenize moved none, and is forgotten: what it holds is a hash over a card's number.
fn conflict(
    view: &View<'_>,
    evidence: &Evidence,
    mut next: Record,
    contrary: Option<&Outcome>,
) -> (Writes, CompleteAnswer) {
    let counters = counters::keep(view, &mut next);
    next.state = State::Conflict;
    next.lease_end_ms = 0;
    next.expires_ms = unresolved_expiry(&next, view.now_ms, evidence.periods.retention_ms);
    if next.contrary.is_none() {
        next.contrary = contrary.cloned();
    }
    let wake = std::mem::take(&mut next.waiter);
    let record = Box::new(next.clone());
    let writes = Writes { due: DueWrite::Never, wake, counters, ..Writes::put(next) };
    (writes, CompleteAnswer::Conflict { record })
}
