//! Claim: the right to make a payment, or what became of it.

use super::canary::{Canary, stamp};
use super::counters;
use super::{RecordWrite, View, Writes, due, too_new, unresolved_expiry};
use crate::idempotency::fingerprint::{Match, compare};
use crate::idempotency::limit::Stop;
use crate::idempotency::record::{Fence, Record, State, Subject};
use crate::idempotency::step::{Claim, ClaimAnswer};

/// Decides a claim.
#[must_use]
pub fn claim(view: &View<'_>, claim: &Claim) -> (Writes, ClaimAnswer) {
    let (mut canary, stamped) = stamp(view, claim.periods.look_up_first_ms);
    let (mut writes, answer) = match view.record {
        Some(record) => existing(view, &canary, claim, record),
        None => absent(view, &canary, claim),
    };
    let born = view.record.is_none() && matches!(writes.record, RecordWrite::Put(_));
    let first_birth = born && !canary.used;
    if first_birth {
        canary.used = true;
    }
    if stamped || first_birth {
        writes.canary = Some(canary);
    }
    (writes, answer)
}

/// An existing record beats every refusal.
fn existing(
    view: &View<'_>,
    canary: &Canary,
    claim: &Claim,
    record: &Record,
) -> (Writes, ClaimAnswer) {
    let told = || Box::new(record.clone());
    if too_new(view, record) {
        let version = record.version;
        return (Writes::default(), ClaimAnswer::TooNew { version });
    }
    // Before all else: other content must neither hear of the payment nor take it over.
    match compare(&record.fingerprint, &claim.fingerprints) {
        Match::Equal => {}
        Match::Different => {
            return (Writes::default(), ClaimAnswer::KeyReused { record: told() });
        }
        Match::KeyUnknown => return (Writes::default(), ClaimAnswer::FingerprintKeyUnknown),
    }
    match record.state {
        State::Done => (Writes::default(), ClaimAnswer::Replay { record: told() }),
        State::Conflict => (Writes::default(), ClaimAnswer::Conflict { record: told() }),
        State::Sent | State::Unknown => unresolved(view, canary, claim, record),
    }
}

fn unresolved(
    view: &View<'_>,
    canary: &Canary,
    claim: &Claim,
    record: &Record,
) -> (Writes, ClaimAnswer) {
    let is_leased = record.lease_end_ms > view.now_ms;
    let own = record.fence.owner == claim.owner;
    // Its owner's again: the first answer was lost, and nothing has been done on it.
    if own && (is_leased || record.state == State::Sent) {
        return repeated(view, canary, claim, record);
    }
    if is_leased {
        let lease_left_ms = record.lease_end_ms - view.now_ms;
        let writes = if record.waiter {
            Writes::default()
        } else {
            let mut next = record.clone();
            next.waiter = true;
            Writes::put(next)
        };
        return (writes, ClaimAnswer::Busy { lease_left_ms });
    }
    let mut next = record.clone();
    next.state = State::Unknown;
    next.fence = Fence { owner: claim.owner, epoch: record.fence.epoch + 1 };
    // The old owner's attempt may be on its way.
    next.ambiguous = true;
    recover(view, claim, next)
}

/// Renews the lease and tells what the first answer told.
fn repeated(
    view: &View<'_>,
    canary: &Canary,
    claim: &Claim,
    record: &Record,
) -> (Writes, ClaimAnswer) {
    let mut next = record.clone();
    // A failover may have come between the two, and lost another owner's takeover.
    next.ambiguous |= canary.look_ups_first(view.now_ms);
    if record.fence.epoch > 1 || claim.refused || stopped(view, claim).is_some() {
        return recover(view, claim, next);
    }
    let answer = ClaimAnswer::Run {
        epoch: next.fence.epoch,
        look_up_first: next.ambiguous,
        first_sent_ms: next.first_sent_ms,
        over: Vec::new(),
    };
    (hold(leased(view, claim, next)), answer)
}

fn recover(view: &View<'_>, claim: &Claim, next: Record) -> (Writes, ClaimAnswer) {
    let next = leased(view, claim, next);
    let is_stopped = stopped(view, claim).is_some();
    let answer = ClaimAnswer::Recover {
        epoch: next.fence.epoch,
        record: Box::new(next.clone()),
        look_up_only: claim.refused || is_stopped,
        is_stopped,
    };
    (hold(next), answer)
}

/// The lease runs anew; a time at which the record would be forgotten is called off.
fn leased(view: &View<'_>, claim: &Claim, mut next: Record) -> Record {
    next.lease_end_ms = view.now_ms.saturating_add(claim.periods.lease_ms);
    next.expires_ms = unresolved_expiry(&next, next.lease_end_ms, claim.periods.retention_ms);
    next
}

/// The reconciler cares once the lease is over.
fn hold(next: Record) -> Writes {
    Writes {
        due: due(&next, next.lease_end_ms),
        index_reference: next.subject.reference.is_some(),
        ..Writes::put(next)
    }
}

/// Without a record a refusal stands; else the record is born.
fn absent(view: &View<'_>, canary: &Canary, claim: &Claim) -> (Writes, ClaimAnswer) {
    let look_ups_first = canary.look_ups_first(view.now_ms);
    if claim.refused {
        return (Writes::default(), ClaimAnswer::Refused { look_ups_first });
    }
    if let Some(stop) = stopped(view, claim) {
        let stop = Box::new(stop.clone());
        return (Writes::default(), ClaimAnswer::Stopped { stop, look_ups_first });
    }
    if let Some(other) = view.reference_of {
        let same_caller = other.subject.caller == claim.subject.caller;
        let outcome = other.outcome.clone().filter(|_| same_caller);
        let answer = ClaimAnswer::ReferenceTaken { same_caller, outcome, look_ups_first };
        return (Writes::default(), answer);
    }
    let Some(fingerprint) = claim.fingerprints.first() else {
        return (Writes::default(), ClaimAnswer::FingerprintKeyUnknown);
    };
    let born = match counters::take(view, canary, claim) {
        Ok(born) => born,
        Err(full) => return (Writes::default(), ClaimAnswer::Full { full, look_ups_first }),
    };
    let record = Record {
        version: view.format.writes,
        state: State::Sent,
        fence: Fence { owner: claim.owner, epoch: 1 },
        lease_end_ms: 0,
        first_sent_ms: view.now_ms,
        ambiguous: look_ups_first,
        born_ambiguous: look_ups_first,
        subject: claim.subject.clone(),
        fingerprint: *fingerprint,
        reservations_held: !born.reservations.is_empty(),
        reservations: born.reservations,
        outcome: None,
        contrary: None,
        attempts: Vec::new(),
        posts: 0,
        waiter: false,
        settled_by: None,
        expires_ms: None,
    };
    let answer = ClaimAnswer::Run {
        epoch: 1,
        look_up_first: look_ups_first,
        first_sent_ms: view.now_ms,
        over: born.over,
    };
    (Writes { counters: born.writes, ..hold(leased(view, claim, record)) }, answer)
}

/// The stop that keeps this claim from sending; of several, the first by name.
fn stopped<'a>(view: &View<'a>, claim: &Claim) -> Option<&'a Stop> {
    let Subject { operation, caller, .. } = &claim.subject;
    view.stops.iter().find(|stop| stop.covers(view.now_ms, *operation, caller, claim.currency))
}
