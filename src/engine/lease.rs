//! The owner's hold on a payment while it works.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::steps::repeated;
use crate::idempotency::{Fence, KeyDigest, Renew, RenewAnswer};
use crate::upstream::SendFence;

/// The share of the lease after which it is renewed.
const RENEWALS_PER_LEASE: u32 = 3;

/// A claim's hold: the fence at the store, and the time on this process's own clock.
pub(super) struct Lease<'a> {
    shared: &'a Shared,
    digest: KeyDigest,
    fence: Fence,
    send_fence: SendFence,
}

impl<'a> Lease<'a> {
    /// Held since a moment before the claim left.
    pub(super) fn new(
        shared: &'a Shared,
        digest: KeyDigest,
        fence: Fence,
        claimed_at: Instant,
    ) -> Self {
        let send_fence = SendFence::new(claimed_at, shared.lease());
        Self { shared, digest, fence, send_fence }
    }

    /// The fence that goes with every attempt.
    pub(super) fn send_fence(&self) -> &SendFence {
        &self.send_fence
    }

    /// Runs `work`, and renews the lease for as long as that takes. What `work` does goes on when
    /// the lease is lost: a late answer is evidence.
    pub(super) async fn while_held<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = self.keep() => match never {},
        }
    }

    /// Renews once; false where the payment is another's, or the store does not say.
    pub(super) async fn renew(&self) -> bool {
        let since = Instant::now();
        let lease_ms = self.shared.settings.periods.lease_ms;
        let renew = Renew { digest: self.digest, fence: self.fence, lease_ms };
        match repeated(|| self.shared.store.renew(&renew)).await {
            Ok(stamped) if stamped.answer == RenewAnswer::Renewed => {
                self.send_fence.extend(since, self.shared.lease());
                true
            }
            Ok(_) => {
                self.send_fence.shut();
                false
            }
            // Nobody can say; the time that is left still counts.
            Err(_) => false,
        }
    }

    async fn keep(&self) -> Infallible {
        loop {
            sleep_until(Instant::now() + self.shared.lease() / RENEWALS_PER_LEASE).await;
            self.renew().await;
        }
    }
}

impl Shared {
    fn lease(&self) -> Duration {
        Duration::from_millis(self.settings.periods.lease_ms)
    }
}
