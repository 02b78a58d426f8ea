//! The account as connections, the control API and the webhook sender share it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::core::{Zentra, later};
use crate::clock::Clock;

/// The account, its time, and the tasks that run on it.
pub(crate) struct Shared {
    account: Mutex<Account>,
    clock: Arc<dyn Clock>,
    /// Wakes the webhook sender: something may have become due.
    pub(crate) due: Notify,
    /// Wakes delays: the clock was moved.
    moved: Notify,
    /// Goes down when the simulator stops.
    pub(crate) stop: CancellationToken,
    /// Counts the tasks, so that stopping can wait for them.
    pub(crate) tasks: TaskTracker,
}

struct Account {
    zentra: Zentra,
    /// How far the simulator's clock is ahead of the machine's.
    ahead: Duration,
}

impl Shared {
    pub(crate) fn new(zentra: Zentra, clock: Arc<dyn Clock>) -> Self {
        Self {
            account: Mutex::new(Account { zentra, ahead: Duration::ZERO }),
            clock,
            due: Notify::new(),
            moved: Notify::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Works on the account at the present time; wakes the sender afterwards.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Zentra, Timestamp) -> T) -> T {
        let result = self.quietly(work);
        self.due.notify_one();
        result
    }

    /// The same without waking the sender: for the sender itself.
    pub(crate) fn quietly<T>(&self, work: impl FnOnce(&mut Zentra, Timestamp) -> T) -> T {
        // A poisoned lock means that a task failed midway; the ledger is still the best evidence.
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let now = later(self.clock.now(), account.ahead);
        account.zentra.tick(now);
        work(&mut account.zentra, now)
    }

    /// Moves the simulator's clock; what becomes due happens before this returns.
    pub(crate) fn advance(&self, by: Duration) -> Timestamp {
        {
            let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
            account.ahead = account.ahead.saturating_add(by);
        }
        let now = self.with(|_, now| now);
        self.moved.notify_waiters();
        now
    }

    /// Waits for `delay` from `since` on, or until the simulator's clock was moved beyond that.
    ///
    /// `since` is taken together with what the delay follows, so that no move of the clock falls
    /// between the two.
    pub(crate) async fn pause(&self, since: Timestamp, delay: Duration) {
        if delay.is_zero() {
            return;
        }
        let due = later(since, delay);
        let elapsed = tokio::time::sleep(delay);
        tokio::pin!(elapsed);
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // Listening begins before the check, so that no move falls in between.
            moved.as_mut().enable();
            if self.quietly(|_, now| now) >= due {
                return;
            }
            tokio::select! {
                () = &mut elapsed => return,
                () = moved => {}
            }
        }
    }
}
