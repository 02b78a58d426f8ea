//! The end of the process: a signal goes down, and whoever drains tells when it is done.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Tells whether the process is about to end. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<End>);

#[derive(Debug, Default)]
struct End {
    token: CancellationToken,
    begun_at: OnceLock<Instant>,
    patience: Duration,
}

impl Draining {
    /// Not ending yet. Once the end has begun, those who only wait may go on for half of `drain`:
    /// what they then still do has the other half.
    #[must_use]
    pub fn within(drain: Duration) -> Self {
        Self(Arc::new(End { patience: drain / 2, ..End::default() }))
    }

    /// True from the moment the end began.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.token.is_cancelled()
    }

    /// Begins the end.
    pub fn begin(&self) {
        // First, so that whoever sees the end sees since when.
        self.0.begun_at.get_or_init(Instant::now);
        self.0.token.cancel();
    }

    /// Cancelled when the end begins.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.0.token.clone()
    }

    /// Returns when the end has begun.
    pub async fn begun(&self) {
        self.0.token.cancelled().await;
    }

    /// Whether whoever only waits has to come to an end.
    #[must_use]
    pub fn is_waiting_over(&self) -> bool {
        self.0.begun_at.get().is_some_and(|begun| begun.elapsed() >= self.0.patience)
    }

    /// Returns when whoever only waits, for another call's payment or for Zentra to be ready, has
    /// to come to an end.
    pub async fn waiting_is_over(&self) {
        self.begun().await;
        let begun_at = self.0.begun_at.get().copied().unwrap_or_else(Instant::now);
        sleep_until(begun_at + self.0.patience).await;
    }
}

/// SIGTERM and SIGINT, heard from the moment this is made.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to listen; the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// Where the process cannot listen for signals.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns at the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_only_waits_has_half_of_the_time_to_drain() {
        let draining = Draining::within(Duration::from_secs(20));
        let waits = tokio::spawn({
            let draining = draining.clone();
            async move { draining.waiting_is_over().await }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!waits.is_finished() && !draining.is_waiting_over(), "the end has not begun");
        draining.begin();
        let began = Instant::now();
        waits.await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(10));
        assert!(draining.is_draining() && draining.is_waiting_over());
        draining.begin();
        draining.waiting_is_over().await;
        assert_eq!(began.elapsed(), Duration::from_secs(10), "the end begins once");
    }
}
