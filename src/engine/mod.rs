//! Exactly once: a command becomes one payment, whatever crashes, is cut off or comes twice.
//!
//! The engine stands around the decoded command, between the gateway and Zentra: claim, look up
//! where an attempt may have arrived, send, and store what came of it. The rules of the record
//! are in [`crate::idempotency`]; which steps are taken, and what a caller may be told, is here.

mod answer;
mod attempts;
mod execute;
mod lease;
mod mutated;
mod news;
mod observed;
mod over;
mod payment;
mod progress;
mod steps;
mod terms;
mod untold;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::context::FutureExt as _;

use tokio_util::task::TaskTracker;

pub(crate) use news::News;
pub(crate) use observed::{Observed, observed};
pub use payment::{Found, Payment};
pub(crate) use steps::repeated;
pub use terms::Terms;

use crate::clock::Clock;
use crate::domain::{Account, Environment, Execution};
use crate::idempotency::{AfterLoss, FingerprintKeys, Periods, Store};
use crate::shutdown::Draining;
use crate::telemetry::Telemetry;
use crate::telemetry::seldom::Seldom;
use crate::zentra::Zentra;

/// The engine's limits.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// How long things last at the store.
    pub periods: Periods,
    /// How long after its first send a payment may be sent again: the time for which Zentra
    /// remembers keys, less a margin.
    pub resend_window: Duration,
    /// POSTs that one call may make of one payment.
    pub posts_per_call: u32,
    /// The pause before a look-up that follows a doubtful POST; doubled each time.
    pub look_up_pause: Duration,
    /// How often a waiting duplicate looks for itself, behind the store's wake-up.
    pub waiting_check: Duration,
    /// When the reconciler first looks a doubtful payment up.
    pub reconcile_after: Duration,
    /// Whether limits are full after the store has lost what they count.
    pub after_loss: AfterLoss,
    /// How long a refund that Zentra gave a reference of its own is kept, to be found by it.
    pub own_reference_retention: Duration,
}

impl Default for EngineSettings {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            periods: Periods::default(),
            resend_window: 23 * HOUR,
            posts_per_call: 3,
            look_up_pause: Duration::from_millis(200),
            waiting_check: Duration::from_secs(1),
            reconcile_after: Duration::from_secs(30),
            after_loss: AfterLoss::default(),
            own_reference_retention: 400 * 24 * HOUR,
        }
    }
}

/// The value of a write, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed<T> {
    /// The payment or token.
    pub value: T,
    /// How it came about.
    pub execution: Execution,
}

/// Executes payments of one account. Clones share everything.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// What an engine works with.
pub struct EngineParts {
    /// Where payments are made.
    pub zentra: Zentra,
    /// What remembers them.
    pub store: Arc<dyn Store>,
    /// What tells commands apart.
    pub keys: Arc<FingerprintKeys>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Whose payments they are.
    pub account: Account,
    /// Which of Zentra's environments it is.
    pub environment: Environment,
    /// Where operators are told.
    pub telemetry: Telemetry,
    /// Whether the process is about to end.
    pub draining: Draining,
}

struct Shared {
    parts: EngineParts,
    settings: EngineSettings,
    /// Work that moves money and outlives its caller.
    work: TaskTracker,
    /// Lines about limits that are not enforced.
    over: Seldom,
}

impl Deref for Shared {
    type Target = EngineParts;

    fn deref(&self) -> &EngineParts {
        &self.parts
    }
}

impl Engine {
    /// Makes payments with `parts`.
    #[must_use]
    pub fn new(parts: EngineParts, settings: EngineSettings) -> Self {
        let work = TaskTracker::new();
        let over = Seldom::default();
        Self { shared: Arc::new(Shared { parts, settings, work, over }) }
    }

    /// Where it tells what it does.
    #[must_use]
    pub fn telemetry(&self) -> &Telemetry {
        &self.shared.telemetry
    }

    /// Which Zentra it is.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.shared.environment
    }

    /// Zentra itself, for reads.
    #[must_use]
    pub fn zentra(&self) -> &Zentra {
        &self.shared.zentra
    }

    /// Whether the process is about to end.
    #[must_use]
    pub fn draining(&self) -> &Draining {
        &self.shared.draining
    }

    /// The store, for those who look after its records.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// What time it is.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// The engine's limits.
    #[must_use]
    pub fn settings(&self) -> &EngineSettings {
        &self.shared.settings
    }

    /// When the reconciler first looks, in milliseconds from now.
    pub(crate) fn reconcile_after_ms(&self) -> u64 {
        u64::try_from(self.shared.settings.reconcile_after.as_millis()).unwrap_or(u64::MAX)
    }

    /// Runs `work` so that the end of the process waits for it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.shared.work.spawn(work);
    }

    /// Does work to its end, whatever becomes of whoever waits for it; none where it broke off.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.shared.work.spawn(work.with_current_context()).await.ok()
    }

    /// Waits until no payment is under way; for the end of the process.
    pub async fn finish(&self) {
        self.shared.work.close();
        self.shared.work.wait().await;
    }
}
