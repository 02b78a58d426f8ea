//! Whether calls are taken: the store is fit for money, and the process is not about to end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::error::{Error, Reason};
use crate::idempotency::{KeyCheck, Store};
use crate::shutdown::Draining;

/// The time between two checks of the store.
const INTERVAL: Duration = Duration::from_secs(2);

/// What the last check of the store said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fitness {
    /// The store is fit.
    Fit,
    /// It answers, and must not be used.
    Unfit(String),
    /// It does not answer; a later claim may find that it does again.
    Silent(String),
}

/// The present state, for probes and for admission. Clones share it.
#[derive(Clone)]
pub struct Readiness {
    fitness: watch::Receiver<Fitness>,
    draining: Draining,
}

/// Keeps [`Readiness`] true to the store.
pub struct Monitor {
    store: Arc<dyn Store>,
    keys: Vec<KeyCheck>,
    fitness: watch::Sender<Fitness>,
    draining: Draining,
}

/// A readiness and its monitor, after the first check.
pub async fn checked(
    store: Arc<dyn Store>,
    keys: Vec<KeyCheck>,
    draining: Draining,
) -> (Readiness, Monitor) {
    let first = check(&*store, &keys).await;
    let (sender, fitness) = watch::channel(first);
    let readiness = Readiness { fitness, draining: draining.clone() };
    (readiness, Monitor { store, keys, fitness: sender, draining })
}

impl Readiness {
    /// Why calls are not taken; none where they are.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.draining.is_draining() {
            return Some("draining".to_owned());
        }
        match &*self.fitness.borrow() {
            Fitness::Fit => None,
            Fitness::Unfit(fault) | Fitness::Silent(fault) => Some(fault.clone()),
        }
    }

    /// True where the store answered the last check, whatever it said.
    #[must_use]
    pub fn store_answers(&self) -> bool {
        !matches!(&*self.fitness.borrow(), Fitness::Silent(_))
    }

    /// Refuses writes while the store must not be used. One that merely does not answer is found
    /// out by the claim itself.
    ///
    /// # Errors
    /// `IDEMPOTENCY_STORE_UNAVAILABLE`.
    pub fn admit_write(&self) -> Result<(), Error> {
        match &*self.fitness.borrow() {
            Fitness::Fit | Fitness::Silent(_) => Ok(()),
            Fitness::Unfit(fault) => {
                Err(Error::new(Reason::IdempotencyStoreUnavailable).operator_text(fault.as_str()))
            }
        }
    }
}

impl Monitor {
    /// Checks again and again, and calls `changed` with whether calls are taken whenever that
    /// changes; until draining begins.
    pub async fn run<F: Future<Output = ()>>(self, changed: impl Fn(bool) -> F) {
        loop {
            tokio::select! {
                () = sleep(INTERVAL) => {}
                () = self.draining.begun() => return,
            }
            let now = check(&*self.store, &self.keys).await;
            let before = self.fitness.send_replace(now.clone());
            if before == now {
                continue;
            }
            match &now {
                Fitness::Fit => tracing::info!("the store is fit for use"),
                Fitness::Unfit(fault) | Fitness::Silent(fault) => {
                    tracing::error!(fault, "not ready");
                }
            }
            changed(now == Fitness::Fit).await;
            // The end may have begun after the check, and said so first: not ready comes last.
            if self.draining.is_draining() {
                changed(false).await;
                return;
            }
        }
    }
}

async fn check(store: &dyn Store, keys: &[KeyCheck]) -> Fitness {
    match store.readiness(keys).await {
        Ok(faults) if faults.is_empty() => Fitness::Fit,
        Ok(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Fitness::Unfit(faults.join("; "))
        }
        Err(fault) => Fitness::Silent(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::idempotency::{FingerprintKeys, MemoryStore};

    #[tokio::test(start_paused = true)]
    async fn not_ready_is_the_last_word_of_a_process_that_ends() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(|| 0));
        let keys = FingerprintKeys::ephemeral([1; 32]).checks();
        let draining = Draining::default();
        let (_, monitor) = checked(store, keys, draining.clone()).await;
        monitor.fitness.send_replace(Fitness::Silent("it was gone for a while".to_owned()));
        let said = Mutex::new(Vec::new());
        // Just as the store is found to be back, the end begins.
        let changed = async |ready| {
            draining.begin();
            said.lock().unwrap().push(ready);
        };
        monitor.run(changed).await;
        assert_eq!(said.lock().unwrap().last(), Some(&false));
    }

    #[tokio::test]
    async fn a_process_with_another_fingerprint_key_takes_no_writes() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(|| 0));
        let ready = async |byte: u8| {
            let key = std::array::from_fn(|index| byte.wrapping_add(index as u8));
            let keys = FingerprintKeys::ephemeral(key).checks();
            checked(store.clone(), keys, Draining::default()).await.0
        };
        let first = ready(1).await;
        assert_eq!(first.fault(), None);
        let other = ready(2).await;
        assert!(other.fault().unwrap().contains("is not in this process's file"));
        let refused = other.admit_write().err().map(|error| error.reason());
        assert_eq!(refused, Some(Reason::IdempotencyStoreUnavailable));
    }
}
