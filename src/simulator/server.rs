//! Starts and stops a simulator, and gives tests typed access to it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::core::{Charge, Event, Fault, FaultId, LedgerView, ResendOrder, SettingsChange, Zentra};
use super::options::url_from_here;
use super::shared::Shared;
use super::{Options, connection, webhooks};
use crate::clock::Clock;

/// The wait after an accept that failed, as when no file descriptors are left.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(50);
/// How long [`Simulator::shutdown`] waits for tasks that do not end by themselves.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(5);

/// A running simulator. Dropping it stops it.
pub struct Simulator {
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

/// Binds and starts a simulator. Its clock is `clock`, moved by [`Simulator::advance`].
///
/// # Errors
/// When the address cannot be bound, or the webhook client cannot be made.
pub async fn start(options: Options, clock: Arc<dyn Clock>) -> io::Result<Simulator> {
    let listener = TcpListener::bind(options.listen).await?;
    let local_addr = listener.local_addr()?;
    let client = webhooks::client()?;
    let zentra = Zentra::new(options.settings(local_addr, clock.now()));
    let shared = Arc::new(Shared::new(zentra, clock));
    shared.tasks.spawn(webhooks::run(shared.clone(), client));
    shared.tasks.spawn(accept(listener, shared.clone(), options.connections.max(1)));
    Ok(Simulator { local_addr, shared })
}

/// Takes connections in; when all are taken the next ones wait in the kernel's queue.
async fn accept(listener: TcpListener, shared: Arc<Shared>, connections: usize) {
    let permits = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
    let work = async {
        loop {
            let Ok(permit) = permits.clone().acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let shared = shared.clone();
                    shared.tasks.clone().spawn(async move {
                        connection::serve(stream, shared).await;
                        drop(permit);
                    });
                }
                Err(_) => tokio::time::sleep(AFTER_FAILED_ACCEPT).await,
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = shared.stop.cancelled() => {}
    }
}

impl Simulator {
    /// The bound address.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The base URL as this machine reaches it, such as `http://127.0.0.1:8089`.
    #[must_use]
    pub fn url(&self) -> String {
        url_from_here(self.local_addr)
    }

    /// A copy of everything that happened.
    #[must_use]
    pub fn ledger(&self) -> LedgerView {
        self.shared.with(|zentra, now| zentra.ledger(now))
    }

    /// Adds a fault.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.shared.with(|zentra, _| zentra.faults().inject(fault))
    }

    /// Takes all faults away. Late effects that are under way still land.
    pub fn clear_faults(&self) {
        self.shared.with(|zentra, _| zentra.faults().clear());
    }

    /// Forgets everything that happened, what is due, and all faults. Settings and clock stay.
    pub fn reset(&self) {
        self.shared.with(|zentra, _| zentra.reset());
    }

    /// Moves the simulator's clock. What becomes due has happened when this returns, webhooks
    /// excepted: those are then on their way.
    pub fn advance(&self, by: Duration) {
        self.shared.advance(by);
    }

    /// The simulator's time.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.shared.with(|_, now| now)
    }

    /// Changes settings while it runs.
    pub fn configure(&self, change: SettingsChange) {
        self.shared.with(|zentra, _| zentra.configure(change));
    }

    /// Sets a charge to any status, with a failure's code where it has one. `None` where there is
    /// no such charge.
    pub fn settle(&self, reference: &str, status: &str, failure: Option<&str>) -> Option<Charge> {
        self.shared.with(|zentra, now| zentra.settle(now, reference, status, failure))
    }

    /// Completes, or fails, a charge that waits for its customer. False where it does not.
    #[must_use]
    pub fn customer_acts(&self, charge_id: &str, completes: bool) -> bool {
        self.shared.with(|zentra, now| zentra.customer_acts(now, charge_id, completes))
    }

    /// Sends events again, each `copies` times. Gives how many events that were.
    pub fn resend_webhooks(
        &self,
        wanted: impl Fn(&Event) -> bool,
        copies: u32,
        order: ResendOrder,
    ) -> usize {
        self.shared.with(|zentra, now| zentra.resend_webhooks(now, wanted, copies, order))
    }

    /// Stops: the port is free and all connections are closed when this returns.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        let _ = tokio::time::timeout(SHUTDOWN_WITHIN, self.shared.tasks.wait()).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
