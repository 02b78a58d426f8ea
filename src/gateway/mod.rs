//! The story of each operation: admit, execute once, translate.
//!
//! It knows nothing of gRPC and nothing of HTTP.

mod charge_facts;
mod observe;
pub mod payments;
mod policy;
mod reads;
mod ruler;
mod trouble;
mod verify;
mod writes;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use ruler::{Ruler, Ruling};
pub use verify::Verified;

use crate::admission::Admitted;
use crate::domain::Caller;
use crate::engine::Engine;
use crate::error::{Error, MoneyMoved, Reason};
use crate::policy::Policies;
use crate::readiness::Readiness;

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
    /// Its place among the calls that are under way.
    pub admitted: Admitted,
}

/// The operations, over one account of Zentra's. Clones share everything.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    card_data: CardData,
    readiness: Readiness,
    paid_charges: charge_facts::PaidCharges,
    ruler: Ruler,
    /// Bounds the writes that follow reads.
    observations: Arc<Semaphore>,
}

impl Gateway {
    /// Serves one account over `engine`, as far as `policies` permit.
    #[must_use]
    pub fn new(
        engine: Engine,
        card_data: CardData,
        readiness: Readiness,
        policies: Arc<Policies>,
    ) -> Self {
        let ruler = Ruler::new(policies, engine.telemetry().clone());
        let observations = Arc::new(Semaphore::new(observe::MAX_UNDER_WAY));
        Self {
            shared: Arc::new(Shared {
                engine,
                card_data,
                readiness,
                paid_charges: charge_facts::PaidCharges::default(),
                ruler,
                observations,
            }),
        }
    }

    /// Says whether a payment method may be handed to [`Gateway::tokenize`].
    ///
    /// # Errors
    /// `CARD_DATA_REFUSED` where this sidecar takes no card data.
    pub fn takes_card_data(&self) -> Result<(), Error> {
        match self.shared.card_data {
            CardData::Accept => Ok(()),
            CardData::Refuse => {
                Err(Error::new(Reason::CardDataRefused).money_moved(MoneyMoved::No))
            }
        }
    }

    fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// Waits until no payment is under way; for the end of the process.
    pub async fn finish(&self) {
        self.engine().finish().await;
    }
}
