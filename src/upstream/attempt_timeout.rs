//! The time of one try, from the connection to the answer's last byte.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::TransportError;
use super::around::{Answer, Around, Boxed, Exchange, pass_on};
use super::terms::{AttemptEnds, WaitingSince};

/// Ends a try that takes too long; its request may have arrived.
pub(super) struct AttemptTimeout(pub(super) Duration);

impl Around for AttemptTimeout {
    async fn around<S: Exchange>(&self, mut request: Boxed, rest: &S) -> Answer {
        WaitingSince::begin(&request);
        let ends = Instant::now() + self.0;
        // For whoever tells of the try, which is dropped then.
        request.extensions_mut().insert(AttemptEnds(ends));
        timeout_at(ends, pass_on(request, rest)).await.unwrap_or(Err(TransportError::TimedOut))
    }
}
