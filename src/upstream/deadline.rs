//! The outermost layer: the time of the whole operation.

use tokio::time::{Instant, timeout_at};

use super::around::{Answer, Around, Boxed, Exchange, pass_on};
use super::{Effect, Terms, TransportError};

/// Begins nothing that is late, and ends reads that are. A write is never cut off here: it may
/// have arrived, and its answer is worth waiting for; so is what became of a payment.
pub(super) struct Deadline;

impl Around for Deadline {
    async fn around<S: Exchange>(&self, request: Boxed, rest: &S) -> Answer {
        let (effect, deadline) = Terms::read(&request, |terms| (terms.effect, terms.deadline));
        let Some(deadline) = deadline else { return pass_on(request, rest).await };
        if Instant::now() >= deadline {
            return Err(TransportError::NoTime);
        }
        match effect {
            Effect::Write | Effect::LookUp => pass_on(request, rest).await,
            Effect::Read => timeout_at(deadline, pass_on(request, rest))
                .await
                .unwrap_or(Err(TransportError::TimedOut)),
        }
    }
}
