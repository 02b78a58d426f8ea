//! The canary in the mine: tells when the store has lost its memory.

use super::View;
use crate::idempotency::record::Record;

/// What an account last knew of the store's life. It dies with the store's content, and it does
/// not fit after a failover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The life of the store that wrote it.
    pub generation: String,
    /// Until when look-ups come before every first send.
    pub look_up_first_until_ms: u64,
    /// When the last loss was noticed; none where the store was declared new since.
    pub lost_at_ms: Option<u64>,
    /// A record was born since it was created: the store is not new and empty.
    pub used: bool,
}

/// The canary as it has to be now, and whether that is to be written.
///
/// A missing one, or one of another life, starts the time in which look-ups come first; a time
/// that already runs is never shortened.
pub(super) fn stamp(view: &View<'_>, look_up_first_ms: u64) -> (Canary, bool) {
    if let Some(canary) = view.canary
        && canary.generation == view.generation
    {
        return (canary.clone(), false);
    }
    let until = view.now_ms.saturating_add(look_up_first_ms);
    let canary = Canary {
        generation: view.generation.to_owned(),
        look_up_first_until_ms: view
            .canary
            .map_or(until, |old| old.look_up_first_until_ms.max(until)),
        lost_at_ms: Some(view.now_ms),
        used: view.canary.is_some_and(|old| old.used),
    };
    (canary, true)
}

/// True where the store may have lost, since the owner of `record` claimed, what says that it is
/// another's by now. Records that are claimed while look-ups come first are ambiguous.
pub(super) fn lost_since(view: &View<'_>, record: &Record) -> bool {
    view.canary.is_none_or(|canary| {
        let unaware = !record.ambiguous && canary.look_ups_first(view.now_ms);
        canary.generation != view.generation || unaware
    })
}

impl Canary {
    /// True while the store's silence about a payment proves nothing.
    #[must_use]
    pub fn look_ups_first(&self, now_ms: u64) -> bool {
        self.look_up_first_until_ms > now_ms
    }
}
