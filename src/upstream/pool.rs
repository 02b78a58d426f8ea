//! The HTTP client in use, which a fresh one replaces every few minutes.
//!
//! A connection under steady load never rests, and a single one of HTTP/2 carries everything. It
//! would live as long as the process, and the name of Zentra's host would be resolved once: who
//! moves the service elsewhere would be followed only when the old place is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use reqwest::Client;
use tokio::time::Instant;

/// Makes a client with no connections.
pub(super) type Make = Box<dyn Fn() -> reqwest::Result<Client> + Send + Sync>;

/// The client in use, and how to make the next one.
pub(super) struct Pool {
    current: ArcSwap<Aged>,
    make: Make,
    longest_life: Duration,
    /// One is made at a time.
    is_making: AtomicBool,
}

struct Aged {
    client: Client,
    since: Instant,
}

impl Pool {
    /// Uses each client of `make` for `longest_life`.
    pub(super) fn new(make: Make, longest_life: Duration) -> reqwest::Result<Arc<Self>> {
        let current = ArcSwap::from_pointee(Aged { client: make()?, since: Instant::now() });
        Ok(Arc::new(Self { current, make, longest_life, is_making: AtomicBool::new(false) }))
    }

    /// The client in use. Where it is too old the next one is made behind the call's back; the
    /// old one ends with the last exchange that it carries.
    pub(super) fn client(self: &Arc<Self>) -> Client {
        let current = self.current.load();
        if current.since.elapsed() >= self.longest_life
            && !self.is_making.swap(true, Ordering::AcqRel)
        {
            let pool = self.clone();
            // It reads root certificates.
            tokio::task::spawn_blocking(move || pool.renew());
        }
        current.client.clone()
    }

    fn renew(&self) {
        let client = (self.make)().unwrap_or_else(|fault| {
            tracing::warn!(%fault, "no fresh connections to Zentra; the old ones go on");
            self.current.load().client.clone()
        });
        self.current.store(Arc::new(Aged { client, since: Instant::now() }));
        self.is_making.store(false, Ordering::Release);
    }
}
