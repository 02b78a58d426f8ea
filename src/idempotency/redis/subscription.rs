//! The process's one subscription: who waits for a payment's end is woken by the account's channel.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::locator::Locator;
use crate::idempotency::KeyDigest;
use crate::idempotency::store::StoreError;
use crate::idempotency::waiters::Waiters;

/// How long to wait before subscribing anew.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs until it is dropped.
pub(super) struct Subscription {
    live: watch::Receiver<bool>,
    task: AbortHandle,
}

impl Subscription {
    /// Begins to subscribe, in a task of its own.
    pub(super) fn start(locator: Locator, channel: String, waiters: Arc<Waiters>) -> Self {
        let (live, receiver) = watch::channel(false);
        let task = tokio::spawn(async move {
            loop {
                // Polling stands behind the subscription, so a failure is not told to anybody.
                let _ended = listen(&locator, &channel, &waiters, &live).await;
                live.send_replace(false);
                // What was published meanwhile is lost.
                waiters.wake_all();
                sleep(PAUSE).await;
            }
        });
        Self { live: receiver, task: task.abort_handle() }
    }

    /// Resolves once messages arrive.
    pub(super) fn live(&self) -> watch::Receiver<bool> {
        self.live.clone()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    locator: &Locator,
    channel: &str,
    waiters: &Waiters,
    live: &watch::Sender<bool>,
) -> Result<(), StoreError> {
    let mut subscriber = locator.subscriber().await?;
    subscriber
        .subscribe(channel)
        .await
        .map_err(|error| StoreError::Unreachable(error.to_string()))?;
    // Those who gave up waiting for the subscription may have missed their message.
    waiters.wake_all();
    live.send_replace(true);
    let mut messages = subscriber.into_on_message();
    while let Some(message) = messages.next().await {
        let text: Option<String> = message.get_payload().ok();
        if let Some(digest) = text.as_deref().and_then(KeyDigest::from_hex) {
            waiters.wake(&digest);
        }
    }
    Ok(())
}
