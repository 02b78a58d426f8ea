//! Work that moves money outlives its caller.

use std::future::Future;

use tokio::time::timeout_at;

use super::{Call, Gateway};
use crate::error::{Error, Reason};

impl Gateway {
    /// Runs `work` to its end, whatever becomes of the caller, and answers in time.
    ///
    /// A caller that hangs up drops only the waiting. Where the answer's time comes first, the
    /// outcome is unknown and the work goes on.
    ///
    /// # Errors
    /// What `work` brings, or `OUTCOME_UNKNOWN`.
    pub(super) async fn outlive<T: Send + 'static>(
        &self,
        call: &Call,
        reference: Option<&str>,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let task = self.shared.work.spawn(work);
        let unknown = |why: &'static str| {
            let error = Error::new(Reason::OutcomeUnknown).sent(true).operator_text(why);
            match reference {
                Some(reference) => error.reference(reference),
                None => error,
            }
        };
        match timeout_at(call.answer_by, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(unknown("the work on the payment ended abnormally")),
            Err(_) => Err(unknown("the caller's time is over; the work goes on")),
        }
    }
}
