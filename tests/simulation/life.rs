//! A process: what it does reaches the world only while it lives, and not while it is stopped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// One life of a process. All that it asks of the store or of Zentra, and all that its callers
/// hear of it, passes [`Life::gate`]: a dead process passes no more, and its tasks hang there for
/// good, as if they were gone; one that is stopped passes once it is resumed.
#[derive(Debug)]
pub(crate) struct Life {
    /// Which process, for the trace.
    pub(crate) number: usize,
    dead: AtomicBool,
    died: Notify,
    stopped_until: Mutex<Option<Instant>>,
    stops: AtomicU64,
}

impl Life {
    pub(crate) fn new(number: usize) -> Arc<Self> {
        Arc::new(Self {
            number,
            dead: AtomicBool::new(false),
            died: Notify::new(),
            stopped_until: Mutex::new(None),
            stops: AtomicU64::new(0),
        })
    }

    /// As `kill -9`.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.died.notify_waiters();
    }

    /// As SIGSTOP, and SIGCONT after `time`.
    pub(crate) fn stop(&self, time: Duration) {
        let until = Instant::now() + time;
        self.stops.fetch_add(1, Ordering::Relaxed);
        let mut stopped = self.lock();
        *stopped = Some(stopped.map_or(until, |before| before.max(until)));
    }

    /// How often it was stopped.
    pub(crate) fn stops(&self) -> u64 {
        self.stops.load(Ordering::Relaxed)
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Until when it is stopped; none where it runs.
    pub(crate) fn stopped_until(&self) -> Option<Instant> {
        self.lock().filter(|until| *until > Instant::now())
    }

    /// Returns once the process may go on.
    pub(crate) async fn gate(&self) {
        loop {
            if self.is_dead() {
                std::future::pending::<()>().await;
            }
            let Some(until) = self.stopped_until() else { return };
            sleep_until(until).await;
        }
    }

    /// Returns when the process dies.
    pub(crate) async fn death(&self) {
        let died = self.died.notified();
        if !self.is_dead() {
            died.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.stopped_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
