//! The story of each operation: admit, execute once, translate.
//!
//! It knows nothing of gRPC and nothing of HTTP.

mod outlive;
mod reads;
mod trouble;
mod verify;
mod writes;

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub use verify::Verified;
pub use writes::Executed;

use crate::domain::{Account, Caller, Environment};
use crate::zentra::Zentra;

/// Whether `Tokenize` is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardData {
    /// Refused, which keeps callers and sidecar out of the scope of card data.
    Refuse,
    /// Accepted, and held in memory only.
    Accept,
}

/// Who calls, and until when an answer is of use.
#[derive(Clone, Debug)]
pub struct Call {
    /// The calling service.
    pub caller: Caller,
    /// The answer leaves at this moment at the latest.
    pub answer_by: Instant,
}

/// The operations, over one account of Zentra's.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    zentra: Zentra,
    account: Account,
    environment: Environment,
    card_data: CardData,
    /// Work that moves money and outlives its caller.
    work: TaskTracker,
}

impl Gateway {
    /// Serves one account over `zentra`.
    #[must_use]
    pub fn new(
        zentra: Zentra,
        account: Account,
        environment: Environment,
        card_data: CardData,
    ) -> Self {
        let work = TaskTracker::new();
        Self { shared: Arc::new(Shared { zentra, account, environment, card_data, work }) }
    }

    /// Waits until no payment is under way; for the end of the process.
    pub async fn finish(&self) {
        self.shared.work.close();
        self.shared.work.wait().await;
    }
}
