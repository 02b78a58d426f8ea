//! An operator's stop that came after the claim: what was not sent yet is not sent any more.

use super::Session;
use crate::engine::answer::unknown;
use crate::engine::payment::Payment;
use crate::engine::steps::repeated;
use crate::error::Error;
use crate::idempotency::Stop;

impl<P: Payment> Session<'_, P> {
    /// Why nothing more may be sent, where a stop says so by now.
    ///
    /// For whatever does not follow the claim at once: a look-up, a pause or a wait for a place may
    /// have taken minutes, and what the claim said of stops is as old. A first POST has no need of it,
    /// so that this round trip to the store is paid for by repeats alone.
    pub(super) async fn stopped_meanwhile(&self) -> Option<Error> {
        let (call, sent) = (self.call, self.posts_here > 0);
        let stops = repeated(|| self.shared.store.stops());
        let told = match self.lease.while_held(stops).await {
            Ok(told) => told,
            // The next try begins with a look-up, which is as good and sends nothing.
            Err(fault) => return Some(unknown(sent, format!("stops could not be read: {fault}"))),
        };
        let (operation, currency) = (call.subject.operation, call.payment.currency());
        let covers =
            |stop: &&Stop| stop.covers(told.now_ms, operation, &call.subject.caller, currency);
        let stop = told.answer.iter().find(covers)?;
        Some(unknown(
            sent,
            format!("{} covers it: it was looked up, and not sent", stop.id.as_str()),
        ))
    }
}
