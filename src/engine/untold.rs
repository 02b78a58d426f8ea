//! What operators are told of the work on a payment, once, however it ends.

use opentelemetry::Context;

use super::Executed;
use super::payment::Payment;
use super::progress::Progress;
use crate::domain::{Caller, Reference};
use crate::error::{Error, Reason};
use crate::idempotency::KeyDigest;
use crate::telemetry::audit::Decision;
use crate::telemetry::trace::current_trace_id;
use crate::telemetry::{Asked, Telemetry};

/// Work on a payment that nobody has been told the end of. Dropped so, as where it breaks off or the
/// process ends first, even before it had begun, it has its line of the audit log all the same.
pub(super) struct Untold {
    telemetry: Telemetry,
    caller: Caller,
    digest: KeyDigest,
    asked: Asked,
    progress: Progress,
    /// The call's, which nobody sets where work is dropped: request, trace and rule are in it.
    context: Context,
    is_told: bool,
}

impl Untold {
    /// Work of the current call.
    pub(super) fn new(
        telemetry: Telemetry,
        caller: Caller,
        digest: KeyDigest,
        asked: Asked,
        progress: Progress,
    ) -> Self {
        let context = Context::current();
        Self { telemetry, caller, digest, asked, progress, context, is_told: false }
    }

    /// The call's context, for the work itself.
    pub(super) fn context(&self) -> Context {
        self.context.clone()
    }

    /// Tells operators what the work came to, whatever has become of the caller.
    pub(super) fn tell<P: Payment>(mut self, result: &Result<Executed<P::Value>, Error>) {
        self.is_told = true;
        let (audit, digest) = (self.telemetry.audit(), self.digest.to_string());
        let (caller, asked, begun) = (&self.caller, &self.asked, self.progress.begun());
        let begun = begun.as_ref();
        match result {
            Ok(done) => {
                let came = P::came(&done.value);
                let measures = self.telemetry.measures();
                measures.payment(asked.operation, came.status, done.execution.path);
                audit.payment(caller, &digest, asked, begun, Ok((&came, &done.execution)));
            }
            Err(error) => {
                alert(error, self.digest, asked.reference.as_ref());
                let decision = decided(&self.progress, error);
                audit.payment(caller, &digest, asked, begun, Err((error, Some(decision))));
            }
        }
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        let _in_context = self.context.clone().attach();
        let (error, decision) = self.progress.broken_off();
        let (digest, begun) = (self.digest.to_string(), self.progress.begun());
        let failed = Err((&error, decision));
        self.telemetry.audit().payment(&self.caller, &digest, &self.asked, begun.as_ref(), failed);
    }
}

/// Whether a payment that came to this error was let through. It was where its work began, and where
/// its record says what is told, or that another call is at it.
fn decided(progress: &Progress, error: &Error) -> Decision {
    match error.reason() {
        _ if progress.is_at_zentra() => Decision::Allowed,
        Reason::OutcomeConflict
        | Reason::OutcomeSettled
        | Reason::OutcomeUnknown
        | Reason::IdempotencyInProgress => Decision::Allowed,
        _ => Decision::Refused,
    }
}

/// What only an operator can end is told to one, whatever has become of the caller.
fn alert(error: &Error, digest: KeyDigest, reference: Option<&Reference>) {
    if matches!(error.reason(), Reason::OutcomeConflict | Reason::OutcomeUnresolved) {
        let (reason, detail) = (error.reason().as_str(), error.for_operator());
        let reference = reference.map(Reference::as_str);
        let trace_id = current_trace_id();
        tracing::error!(reason, reference, %digest, trace_id, detail, "a payment needs an operator");
    }
}
