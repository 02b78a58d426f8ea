//! The layer of the circuit breaker.

use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::around::{Answer, Around, Boxed, Exchange, pass_on};
use super::circuit::{Circuit, Health, Pass};
use super::terms::WaitingSince;
use super::{Effect, Terms, TransportError};

/// Answers for a Zentra that does not, so that neither callers nor it wait for nothing.
pub(super) struct Breaker {
    pub(super) circuit: Arc<Circuit>,
}

/// An exchange that was let through. Dropped without an answer, as when its caller's time is over
/// or its caller gone, it has shown how long Zentra was silent.
struct Watched<'a> {
    circuit: &'a Circuit,
    pass: Pass,
    waiting: WaitingSince,
    health: Option<Health>,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let silent = || self.waiting.elapsed().map_or(Health::Untold, Health::Silent);
        self.circuit.leave(self.pass, self.health.unwrap_or_else(silent), Instant::now());
    }
}

impl Around for Breaker {
    async fn around<S: Exchange>(&self, mut request: Boxed, rest: &S) -> Answer {
        // What became of a payment is asked whatever the circuit says. Nor does the answer say
        // anything to it: where Zentra reads but cannot write, each failed write is followed by a
        // look-up that works.
        let effect = Terms::read(&request, |terms| terms.effect);
        if effect == Effect::LookUp {
            return pass_on(request, rest).await;
        }
        let entered = self.circuit.enter(effect, Instant::now());
        let pass = entered.map_err(|retry_after| TransportError::CircuitOpen { retry_after })?;
        let waiting = WaitingSince::default();
        request.extensions_mut().insert(waiting.clone());
        request.extensions_mut().insert(pass);
        let mut watched = Watched { circuit: &self.circuit, pass, waiting, health: None };
        let answer = pass_on(request, rest).await;
        watched.health = Some(health(&answer));
        answer
    }
}

fn health(answer: &Answer) -> Health {
    match answer {
        // What it says tells more than whether it was heard out.
        Ok(answer) => spoken(answer.status()),
        Err(TransportError::TooLarge { status, .. } | TransportError::CutOff { status }) => {
            spoken(*status)
        }
        Err(TransportError::NotSent | TransportError::TimedOut | TransportError::Broken) => {
            Health::Fails
        }
        Err(
            TransportError::LeaseOver
            | TransportError::NoTime
            | TransportError::Ending
            | TransportError::CircuitOpen { .. },
        ) => Health::Untold,
    }
}

/// Zentra speaks, be it to refuse.
fn spoken(status: StatusCode) -> Health {
    if status.is_server_error() { Health::Fails } else { Health::Works }
}
