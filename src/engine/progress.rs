//! How far a call has come, for the answer where its time is over first.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::answer::unknown;
use crate::admission::Admitted;
use crate::error::{Error, ProviderNote, Reason};
use crate::upstream::Tries;

/// Clones share it: the work on a payment has one, whoever waits for it the other.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stage: AtomicU8,
    admitted: Admitted,
    sent: Mutex<Sent>,
}

/// What Zentra was sent for the payment, and what it said.
#[derive(Default)]
struct Sent {
    /// POSTs that have ended, by whichever owner.
    posts: u32,
    /// The one that is under way.
    under_way: Option<Tries>,
    last_told: ProviderNote,
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

    /// It is at work on the payment, of which there have been so many POSTs.
    pub(super) fn at_zentra(&self, posts: u32) {
        self.posts(posts);
        self.0.stage.store(Self::AT_ZENTRA, Ordering::Relaxed);
    }

    pub(super) fn is_at_zentra(&self) -> bool {
        self.0.stage.load(Ordering::Relaxed) == Self::AT_ZENTRA
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
        let posts = sent.under_way.as_ref().map_or(sent.posts, Tries::sent);
        error.attempts(posts).last_provider(&sent.last_told)
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

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.0.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
