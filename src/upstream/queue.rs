//! The limit of requests that are at Zentra at once. Those above it wait their turn, in order.
//!
//! Not tower's `ConcurrencyLimit`: that waits in `poll_ready`, where it is not known yet which
//! request it is for and until when that has time.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use super::around::{Answer, Around, Exchange, pass_on};
use super::{Terms, TransportError};

/// Lets so many through at once.
pub(super) struct Queue {
    pub(super) places: Arc<Semaphore>,
}

impl Around for Queue {
    async fn around<S: Exchange>(&self, request: Request<Bytes>, rest: S) -> Answer {
        let turn = self.places.acquire();
        let place = match Terms::of(&request).deadline {
            Some(deadline) => {
                timeout_at(deadline, turn).await.map_err(|_| TransportError::NoTime)?
            }
            None => turn.await,
        };
        // The semaphore is never closed; were it, there would be no limit to keep.
        let _place = place.ok();
        pass_on(request, rest).await
    }
}
