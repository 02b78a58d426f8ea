//! Renew: the owner goes on working.

use super::canary::lost_since;
use super::{View, Writes, due, too_new};
use crate::idempotency::step::{Renew, RenewAnswer};

/// Renews the lease, also one that has run out and that nobody has taken over; not one that the
/// owner gave up, and not in another life of the store, which may have forgotten a takeover.
#[must_use]
pub fn renew(view: &View<'_>, renew: &Renew) -> (Writes, RenewAnswer) {
    let held = view.record.filter(|record| {
        let working = record.state.is_unresolved() && record.lease_end_ms > 0;
        let held = record.is_held_by(renew.fence) && !lost_since(view, record);
        working && held && !too_new(view, record)
    });
    let Some(record) = held else {
        return (Writes::default(), RenewAnswer::Lost);
    };
    let mut next = record.clone();
    let lease_end_ms = view.now_ms.saturating_add(renew.lease_ms);
    next.lease_end_ms = lease_end_ms;
    // What is forgotten some time after the lease is forgotten so much later.
    next.expires_ms = record
        .expires_ms
        .map(|it| it.saturating_add(lease_end_ms.saturating_sub(record.lease_end_ms)));
    let writes = Writes { due: due(&next, lease_end_ms), ..Writes::put(next) };
    (writes, RenewAnswer::Renewed)
}
