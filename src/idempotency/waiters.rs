//! Wakes those of this process who wait for the end of a payment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::KeyDigest;

/// One channel a payment that is waited for. It is as large as there are waiting calls, which
/// admission limits.
#[derive(Default)]
pub(super) struct Waiters {
    channels: Arc<Mutex<Channels>>,
}

type Channels = HashMap<KeyDigest, watch::Sender<()>>;

/// Waits for the end of one payment.
pub struct Waiter {
    receiver: watch::Receiver<()>,
    digest: KeyDigest,
    channels: Arc<Mutex<Channels>>,
}

impl Waiters {
    /// Listens from now on.
    pub(super) fn subscribe(&self, digest: &KeyDigest) -> Waiter {
        let mut channels = lock(&self.channels);
        let sender = channels.entry(*digest).or_insert_with(|| watch::channel(()).0);
        Waiter {
            receiver: sender.subscribe(),
            digest: *digest,
            channels: Arc::clone(&self.channels),
        }
    }

    /// Wakes all who wait for this payment.
    pub(super) fn wake(&self, digest: &KeyDigest) {
        if let Some(sender) = lock(&self.channels).get(digest) {
            sender.send_replace(());
        }
    }

    /// Wakes everybody: messages may have been lost.
    pub(super) fn wake_all(&self) {
        for sender in lock(&self.channels).values() {
            sender.send_replace(());
        }
    }
}

impl Waiter {
    /// Resolves once the payment has (or may have) ended since the last call, or the
    /// subscription. Cancel safe.
    pub async fn woken(&mut self) {
        // The sender lives in the map for as long as this waiter does.
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut channels = lock(&self.channels);
        let last = channels.get(&self.digest).is_some_and(|sender| sender.receiver_count() <= 1);
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
