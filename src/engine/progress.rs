//! How far a call has come, for the answer where its time is over first.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::answer::unknown;
use crate::admission::Admitted;
use crate::error::{Error, ProviderNote, Reason};
use crate::telemetry::Beginning;
use crate::telemetry::audit::Decision;
use crate::upstream::Tries;

/// Clones share it: the work on a payment has one, whoever waits for it the other.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stage: AtomicU8,
    admitted: Admitted,
    sent: Mutex<Sent>,
    begun: Mutex<Option<Beginning>>,
}

/// What Zentra was sent for the payment, and what it said.
#[derive(Default)]
struct Sent {
    /// POSTs that have ended, by whichever owner.
    posts: u32,
    /// Those of earlier owners among them.
    posts_before: u32,
    /// The one that is under way.
    under_way: Option<Tries>,
    last_told: ProviderNote,
}

impl Sent {
    /// POSTs that have left, by whichever owner. One that is under way may have.
    fn until_now(&self) -> u32 {
        self.under_way.as_ref().map_or(self.posts, Tries::sent)
    }

    /// Whether one of them may be this call's.
    fn is_any_ours(&self) -> bool {
        self.until_now() > self.posts_before
    }
}

impl Progress {
    const WAITING: u8 = 1;
    const AT_ZENTRA: u8 = 2;

    /// Of a call in this place.
    pub(super) fn of(admitted: Admitted) -> Self {
        Self(Arc::new(Inner { admitted, ..Inner::default() }))
    }

    pub(super) fn admitted(&self) -> &Admitted {
        &self.0.admitted
    }

    /// It waits for another call.
    pub(super) fn waiting(&self) {
        self.0.stage.store(Self::WAITING, Ordering::Relaxed);
        self.0.admitted.waits();
    }

    /// It is at work on the payment, of which earlier owners have made so many POSTs.
    pub(super) fn at_zentra(&self, posts: u32) {
        self.posts(posts);
        self.sent().posts_before = posts;
        self.0.stage.store(Self::AT_ZENTRA, Ordering::Relaxed);
    }

    pub(super) fn is_at_zentra(&self) -> bool {
        self.0.stage.load(Ordering::Relaxed) == Self::AT_ZENTRA
    }

    /// An earlier call has begun the payment, in this way.
    pub(super) fn was_begun(&self, beginning: Beginning) {
        *self.0.begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(beginning);
    }

    /// How the payment was begun, where this call is told of one that was there.
    pub(super) fn begun(&self) -> Option<Beginning> {
        self.0.begun.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A POST begins, whose tries these are.
    pub(super) fn posting(&self, tries: &Tries) {
        self.sent().under_way = Some(tries.clone());
    }

    /// There have been so many by now, and none is under way.
    pub(super) fn posts(&self, posts: u32) {
        let mut sent = self.sent();
        (sent.posts, sent.under_way) = (posts, None);
    }

    /// Keeps what Zentra said, for whoever is told of the payment's end.
    pub(super) fn tells(&self, note: &ProviderNote) {
        if *note != ProviderNote::default() {
            self.sent().last_told = note.clone();
        }
    }

    /// Says of an error what Zentra was sent until now, and what it said last.
    pub(super) fn note(&self, error: Error) -> Error {
        let sent = self.sent();
        error.attempts(sent.until_now()).last_provider(&sent.last_told)
    }

    /// What a caller hears whose time is over.
    pub(super) fn late(&self) -> Error {
        match self.0.stage.load(Ordering::Relaxed) {
            Self::WAITING => Error::new(Reason::IdempotencyInProgress),
            Self::AT_ZENTRA => {
                self.note(unknown(true, "the caller's time is over; the work goes on"))
            }
            _ => Error::new(Reason::IdempotencyStoreUnavailable)
                .operator_text("the store did not answer within the caller's time"),
        }
    }

    /// What is told of work that ends here and now, by no answer of its own; and whether it had been
    /// let through, where that was decided.
    pub(super) fn broken_off(&self) -> (Error, Option<Decision>) {
        const WHY: &str = "the work on the payment ended abnormally";
        match self.0.stage.load(Ordering::Relaxed) {
            Self::AT_ZENTRA => {
                let has_sent = self.sent().is_any_ours();
                (self.note(unknown(has_sent, WHY)), Some(Decision::Allowed))
            }
            // Another call was let through with it.
            Self::WAITING => (unknown(false, WHY), Some(Decision::Allowed)),
            _ => (unknown(false, WHY), None),
        }
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.0.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(progress: &Progress) -> (bool, Option<u32>, Option<Decision>) {
        let (error, decision) = progress.broken_off();
        assert_eq!(error.reason(), Reason::OutcomeUnknown);
        (error.was_sent(), error.attempts_made(), decision)
    }

    /// What an earlier owner has sent this call has not.
    #[test]
    fn work_that_breaks_off_tells_how_far_it_had_come() {
        let progress = Progress::default();
        assert_eq!(told(&progress), (false, None, None));
        progress.waiting();
        assert_eq!(told(&progress), (false, None, Some(Decision::Allowed)));
        progress.at_zentra(2);
        assert_eq!(told(&progress), (false, Some(2), Some(Decision::Allowed)));
        progress.posts(3);
        assert_eq!(told(&progress), (true, Some(3), Some(Decision::Allowed)));
    }
}
