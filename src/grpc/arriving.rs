//! Requests that have begun to arrive and have not ended. Each may hold a part of a message for
//! as long as it likes to, so that there is a limit to how many there are; and it is the one that
//! has waited longest that has to go, which is never a caller who just sends a message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Unfinished requests at once, over all connections. Each may hold up to 64 KiB.
const MAX_ARRIVING: usize = 256;

/// All of them. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Arriving(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// In the order in which they came.
    waiting: BTreeMap<u64, CancellationToken>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Unfinished {
    number: u64,
    /// Cancelled where it has to go.
    pub(super) given_up: CancellationToken,
    all: Arriving,
}

impl Arriving {
    /// One more, for which the one that has waited longest may have to go.
    pub(super) fn enter(&self) -> Unfinished {
        let given_up = CancellationToken::new();
        let mut queue = self.lock();
        if queue.waiting.len() >= MAX_ARRIVING
            && let Some((_, oldest)) = queue.waiting.pop_first()
        {
            oldest.cancel();
        }
        let number = queue.next;
        queue.next += 1;
        queue.waiting.insert(number, given_up.clone());
        Unfinished { number, given_up, all: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.all.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_has_waited_longest_goes() {
        let all = Arriving::default();
        let mut waiting: Vec<_> = (0..MAX_ARRIVING).map(|_| all.enter()).collect();
        assert!(waiting.iter().all(|it| !it.given_up.is_cancelled()));
        drop(waiting.remove(0));
        let _room = all.enter();
        assert!(waiting.iter().all(|it| !it.given_up.is_cancelled()), "there was room");
        let newest = all.enter();
        let given_up: Vec<_> = waiting.iter().map(|it| it.given_up.is_cancelled()).collect();
        assert!(given_up[0] && given_up[1..].iter().all(|it| !it));
        assert!(!newest.given_up.is_cancelled());
        drop((waiting, newest, _room));
        assert!(all.lock().waiting.is_empty(), "nothing is left of those who went");
    }
}
