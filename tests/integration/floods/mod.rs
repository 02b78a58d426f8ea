//! Peers that send what no honest client sends, beside one that goes on being served.

mod connections;
mod frames;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::task::JoinHandle;
use tokio::time::timeout;
use zentra_sidecar::simulator::{self, Options, Simulator};

use crate::support::process::Serving;
use crate::support::requests;
use crate::support::sidecar::StandingClock;

/// What a flood may add to the memory of the process, in KiB.
const MOST_ADDED_KIB: u64 = 16 * 1024;

/// How long an honest call may take beside a flood: a second at most, on a machine that is busy
/// with other things too.
const MOST_TIME: std::time::Duration = std::time::Duration::from_secs(5);

/// The real binary, and a client that calls it all the time.
struct Town {
    serving: Serving,
    _zentra: Simulator,
    done: Arc<AtomicBool>,
    made: Arc<AtomicU32>,
    honest: JoinHandle<()>,
    resident_kib: u64,
}

impl Town {
    async fn start(flags: &[&str]) -> Self {
        let zentra = simulator::start(Options::default(), Arc::new(StandingClock)).await.unwrap();
        let serving = Serving::start(&zentra.url(), flags).await;
        let mut client = serving.client().await;
        // Memory is measured once it works.
        client.list_charges(requests::list_charges(1, "")).await.unwrap();
        let (done, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (end, count) = (done.clone(), made.clone());
        let honest = tokio::spawn(async move {
            while !end.load(Ordering::Relaxed) {
                let call = client.list_charges(requests::list_charges(1, ""));
                timeout(MOST_TIME, call).await.expect("it is served all the while").unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let resident_kib = serving.resident_kib();
        Self { serving, _zentra: zentra, done, made, honest, resident_kib }
    }

    /// What the process has now is what a flood is measured against.
    fn remember_memory(&mut self) {
        self.resident_kib = self.serving.resident_kib();
    }

    /// The honest client was served all the while, another can still come, and memory is
    /// bounded.
    async fn stands(self) {
        let before = self.made.load(Ordering::Relaxed);
        let mut client = self.serving.client().await;
        let call = client.list_charges(requests::list_charges(1, ""));
        timeout(MOST_TIME, call).await.expect("another can come").unwrap();
        while self.made.load(Ordering::Relaxed) < before + 10 {
            tokio::task::yield_now().await;
        }
        self.done.store(true, Ordering::Relaxed);
        self.honest.await.unwrap();
        // At its peak, which is what a limit of the container looks at.
        let added = self.serving.peak_kib().saturating_sub(self.resident_kib);
        assert!(added < MOST_ADDED_KIB, "{added} KiB were added");
    }
}
