//! A simulated Zentra and a sidecar in front of it, in this process.

use std::sync::Arc;

use zentra_sidecar::grpc::proto::{Charge, ChargeRequest};
use zentra_sidecar::simulator::{self, Options, Simulator};

use super::requests;
use super::sidecar::{Client, Sidecar, StandingClock, transport};
use super::tap::{Tap, tapped};

pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    pub(crate) sidecar: Sidecar,
    /// Tells of each exchange between the two.
    pub(crate) tap: Tap,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default(), &[]).await
    }

    pub(crate) async fn with(options: Options, flags: &[&str]) -> Self {
        // The same ids in every run.
        let options = Options { seed: 7, ..options };
        let simulator = simulator::start(options, Arc::new(StandingClock)).await.unwrap();
        let (upstream, tap) = tapped(transport());
        let sidecar = Sidecar::over(&simulator.url(), flags, upstream).await;
        Self { simulator, sidecar, tap }
    }

    pub(crate) fn client(&self) -> Client {
        self.sidecar.client()
    }

    /// A token for this card.
    pub(crate) async fn token(&self, card_number: &str) -> String {
        let answer = self.client().tokenize(requests::card(card_number)).await.unwrap();
        answer.into_inner().token.unwrap().id
    }

    /// A request to charge this card, which has become a token.
    pub(crate) async fn charge_on(&self, card_number: &str, reference: &str) -> ChargeRequest {
        let payment_token_id = self.token(card_number).await;
        ChargeRequest { payment_token_id, ..requests::charge(reference) }
    }

    /// A charge that was made.
    pub(crate) async fn charged(&self, card_number: &str, reference: &str) -> Charge {
        let request = self.charge_on(card_number, reference).await;
        self.client().charge(request).await.unwrap().into_inner().charge.unwrap()
    }
}
