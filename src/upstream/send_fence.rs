//! Until when a call may send.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Until when a call may send, on this process's own monotonic clock.
///
/// The time begins before the claim or renewal left for the store, so that it is over here
/// before it is over there. It travels in the request's terms; clones share it.
#[derive(Clone, Debug)]
pub struct SendFence {
    base: Instant,
    until_ms: Arc<AtomicU64>,
}

impl SendFence {
    /// A fence that is open for `lease` from `since`.
    #[must_use]
    pub fn new(since: Instant, lease: Duration) -> Self {
        let fence = Self { base: since, until_ms: Arc::default() };
        fence.extend(since, lease);
        fence
    }

    /// Open for `lease` from `since`.
    pub fn extend(&self, since: Instant, lease: Duration) {
        let until = since.saturating_duration_since(self.base) + lease;
        let until_ms = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.until_ms.store(until_ms, Ordering::Release);
    }

    /// Shut for good: another call owns the payment.
    pub fn shut(&self) {
        self.until_ms.store(0, Ordering::Release);
    }

    /// True where the fence stays open for at least `time` from now.
    #[must_use]
    pub fn covers(&self, time: Duration) -> bool {
        let until = Duration::from_millis(self.until_ms.load(Ordering::Acquire));
        self.base.elapsed() + time < until
    }
}
