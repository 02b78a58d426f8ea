//! Who is at the other end of a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::MAX_ASIDE;
use crate::domain::Caller;

/// Who calls, established once for a connection. It goes with every request of it, and is the
/// only word on the matter: metadata never is.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    caller: Caller,
    is_allowed: bool,
    aside: Arc<Semaphore>,
    untaken: Untaken,
}

impl Peer {
    /// The peer of a new connection. One that is not allowed is told so in each answer.
    #[must_use]
    pub fn new(caller: Caller, is_allowed: bool) -> Self {
        let aside = Arc::new(Semaphore::new(MAX_ASIDE));
        Self(Arc::new(Shared { caller, is_allowed, aside, untaken: Untaken::default() }))
    }

    /// The caller's one canonical text.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// Whether it may call at all.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.0.is_allowed
    }

    /// A place for a call that is no payment, such as one that watches health: its stream may
    /// stay open as long as the connection, which therefore has few of them. None where all are
    /// taken.
    #[must_use]
    pub fn aside(&self) -> Option<OwnedSemaphorePermit> {
        self.0.aside.clone().try_acquire_owned().ok()
    }

    /// Tells this connection from all others for as long as somebody has a clone of this.
    #[must_use]
    pub fn connection(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// An answer is there for the peer to take. Once it is taken, or is given up, this is dropped;
    /// where that does not come soon the connection is closed.
    #[must_use]
    pub fn answer(&self) -> UntakenAnswer {
        let turn = self.0.untaken.turn.load(Ordering::Relaxed);
        self.0.untaken.waiting[turn].fetch_add(1, Ordering::Relaxed);
        UntakenAnswer { peer: self.clone(), turn }
    }

    /// Begins another turn. True where an answer has waited for a whole one.
    pub(super) fn leaves_answers(&self) -> bool {
        let untaken = &self.0.untaken;
        let last = 1 - untaken.turn.load(Ordering::Relaxed);
        let leaves = untaken.waiting[last].load(Ordering::Relaxed) > 0;
        if !leaves {
            untaken.turn.store(last, Ordering::Relaxed);
        }
        leaves
    }
}

/// Answers that wait to be taken, counted by the turn in which they began to: two counters are
/// enough to know that none is too old, whatever their number.
#[derive(Debug, Default)]
struct Untaken {
    turn: AtomicUsize,
    waiting: [AtomicUsize; 2],
}

/// An answer that its peer has not taken.
#[derive(Debug)]
pub struct UntakenAnswer {
    peer: Peer,
    turn: usize,
}

impl Drop for UntakenAnswer {
    fn drop(&mut self) {
        self.peer.0.untaken.waiting[self.turn].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_left_once_it_has_waited_for_a_whole_turn() {
        let peer = Peer::new(Caller::new("shop/checkout").unwrap(), true);
        let taken = peer.answer();
        assert!(!peer.leaves_answers());
        let left = peer.answer();
        drop(taken);
        assert!(!peer.leaves_answers(), "less than a turn");
        assert!(peer.leaves_answers());
        drop(left);
        assert!(!peer.leaves_answers());
    }
}
