//! The limit of requests that are at Zentra at once. Those above it wait their turn, in order.
//!
//! Not tower's `ConcurrencyLimit`: that waits in `poll_ready`, where it is not known yet which
//! request it is for and until when that has time.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::around::{Answer, Around, Boxed, Exchange, pass_on};
use super::circuit::{Circuit, Pass};
use super::{Terms, TransportError};
use crate::shutdown::Draining;

/// Lets so many through at once.
pub(super) struct Queue {
    pub(super) places: Arc<Semaphore>,
    pub(super) circuit: Arc<Circuit>,
    pub(super) draining: Draining,
}

impl Around for Queue {
    async fn around<S: Exchange>(&self, request: Boxed, rest: &S) -> Answer {
        let _place = match self.places.try_acquire() {
            Ok(place) => Some(place),
            Err(_) => {
                let deadline = Terms::read(&request, |terms| terms.deadline);
                let place = self.turn(deadline).await?;
                self.is_still_let_through(&request)?;
                place
            }
        };
        pass_on(request, rest).await
    }
}

impl Queue {
    /// A place, once it is this request's turn. Waiters are served in order; who finds a free
    /// place has nobody before it.
    async fn turn(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Option<SemaphorePermit<'_>>, TransportError> {
        let turn = async {
            tokio::select! {
                biased;
                // The semaphore is never closed; were it, there would be no limit to keep.
                place = self.places.acquire() => Ok(place.ok()),
                () = self.draining.waiting_is_over() => Err(TransportError::Ending),
            }
        };
        match deadline {
            Some(deadline) => {
                timeout_at(deadline, turn).await.unwrap_or(Err(TransportError::NoTime))
            }
            None => turn.await,
        }
    }

    /// Those before it may have shown, while it waited, that Zentra is better left alone.
    fn is_still_let_through(&self, request: &Request<Bytes>) -> Result<(), TransportError> {
        let pass = request.extensions().get::<Pass>();
        match pass.and_then(|pass| self.circuit.refuses_now(*pass, Instant::now())) {
            Some(retry_after) => Err(TransportError::CircuitOpen { retry_after }),
            None => Ok(()),
        }
    }
}
