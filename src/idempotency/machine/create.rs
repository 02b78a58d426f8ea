//! A record that has vanished is created again by its owner.

use super::View;
use crate::idempotency::record::{Record, State};
use crate::idempotency::step::Work;

/// The record of `work` after the store lost it: UNKNOWN, and ambiguous, as what else was lost
/// with it (a takeover, another owner's attempt) cannot be known.
///
/// None where the owner names no fingerprint.
pub(super) fn again(view: &View<'_>, work: &Work) -> Option<Record> {
    Some(Record {
        version: view.format.writes,
        state: State::Unknown,
        fence: work.fence,
        lease_end_ms: 0,
        first_sent_ms: work.first_sent_ms,
        ambiguous: true,
        born_ambiguous: true,
        subject: work.subject.clone(),
        fingerprint: *work.fingerprints.first()?,
        // The counters were lost with the record: nothing is held, and nothing goes back.
        reservations: Vec::new(),
        reservations_held: false,
        outcome: None,
        contrary: None,
        attempts: Vec::new(),
        posts: 0,
        waiter: false,
        settled_by: None,
        expires_ms: None,
    })
}
