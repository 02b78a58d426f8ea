//! Wakes those of this process who wait for the end of a payment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::KeyDigest;

/// One channel a payment that is waited for. It is as large as there are waiting calls, which
/// admission limits.
#[derive(Default)]
pub(super) struct Waiters {
    channels: Arc<Mutex<Channels>>,
}

type Channels = HashMap<KeyDigest, Arc<Channel>>;

/// Wakes its waiters in the order in which they wait: a `watch` does so in a random one, and the
/// simulation's runs could not be repeated.
#[derive(Default)]
struct Channel {
    wake_ups: AtomicU64,
    notify: Notify,
}

impl Channel {
    fn wake(&self) {
        self.wake_ups.fetch_add(1, Ordering::Release);
        self.notify.notify_waiters();
    }
}

/// Waits for the end of one payment.
pub struct Waiter {
    channel: Arc<Channel>,
    /// The wake-ups that it has seen.
    seen: u64,
    digest: KeyDigest,
    channels: Arc<Mutex<Channels>>,
}

impl Waiters {
    /// Listens from now on.
    pub(super) fn subscribe(&self, digest: &KeyDigest) -> Waiter {
        let mut channels = lock(&self.channels);
        let channel = Arc::clone(channels.entry(*digest).or_default());
        let seen = channel.wake_ups.load(Ordering::Acquire);
        Waiter { channel, seen, digest: *digest, channels: Arc::clone(&self.channels) }
    }

    /// Wakes all who wait for this payment.
    pub(super) fn wake(&self, digest: &KeyDigest) {
        if let Some(channel) = lock(&self.channels).get(digest) {
            channel.wake();
        }
    }

    /// Wakes everybody: messages may have been lost.
    pub(super) fn wake_all(&self) {
        for channel in lock(&self.channels).values() {
            channel.wake();
        }
    }
}

impl Waiter {
    /// Resolves once the payment has (or may have) ended since the last call, or the
    /// subscription. Cancel safe.
    pub async fn woken(&mut self) {
        loop {
            // Before the look: a wake-up between the two is not lost.
            let notified = self.channel.notify.notified();
            let wake_ups = self.channel.wake_ups.load(Ordering::Acquire);
            if wake_ups != self.seen {
                self.seen = wake_ups;
                return;
            }
            notified.await;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut channels = lock(&self.channels);
        // One is held by the map, and one by this waiter.
        let last = Arc::strong_count(&self.channel) <= 2;
        if last {
            channels.remove(&self.digest);
        }
    }
}

fn lock(channels: &Mutex<Channels>) -> std::sync::MutexGuard<'_, Channels> {
    channels.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: &str) -> KeyDigest {
        KeyDigest::from_hex(&byte.repeat(32)).unwrap()
    }

    #[tokio::test]
    async fn a_wake_up_between_subscribing_and_waiting_is_not_lost() {
        let waiters = Waiters::default();
        let mut waiter = waiters.subscribe(&digest("01"));
        waiters.wake(&digest("01"));
        waiter.woken().await;
    }

    #[tokio::test]
    async fn nothing_stays_behind_the_last_waiter() {
        let waiters = Waiters::default();
        let one = waiters.subscribe(&digest("01"));
        let two = waiters.subscribe(&digest("01"));
        drop(one);
        assert_eq!(lock(&waiters.channels).len(), 1);
        drop(two);
        assert!(lock(&waiters.channels).is_empty());
    }
}
