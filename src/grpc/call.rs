//! One call from its arrival to its answer: identity, deadline, id, log line.

use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use super::deadline::Deadlines;
use super::status;
use crate::admission::Admission;
use crate::domain::{Caller, Operation};
use crate::error::{Culprit, Error, MoneyMoved, Reason};
use crate::gateway;
use crate::listen::Peer;
use crate::shutdown::Draining;

/// What every call of a listener has in common.
#[derive(Clone, Debug)]
pub struct CallSettings {
    /// How deadlines are dealt with.
    pub deadlines: Deadlines,
    /// Whether new calls are still taken.
    pub draining: Draining,
    /// How many calls are taken at once.
    pub admission: Admission,
    /// The calls under way; whoever ends the process waits for them, and for nothing else.
    pub under_way: TaskTracker,
}

/// A call under way.
pub(super) struct Call {
    operation: Operation,
    caller: Caller,
    request_id: String,
    started: Instant,
    reference: Option<String>,
}

impl CallSettings {
    /// Runs one call: `handle` gets the message and what it needs to know of the call.
    pub(super) async fn run<M, T, F>(
        &self,
        operation: Operation,
        request: Request<M>,
        reference: impl FnOnce(&M) -> Option<&str>,
        handle: impl FnOnce(gateway::Call, M) -> F,
    ) -> Result<Response<T>, Status>
    where
        F: Future<Output = Result<T, Error>>,
    {
        // Counted before it is admitted, so that none is admitted that nobody waits for.
        let under_way = self.under_way.token();
        let started = Instant::now();
        let (metadata, extensions, message) = request.into_parts();
        let Some(caller) = extensions.get::<Peer>().map(Peer::caller) else {
            // No connection leaves it out; a call of nobody is nobody's.
            return Err(status::from_error(&Error::new(Reason::CallerNotAllowed), ""));
        };
        let call = Call {
            operation,
            caller: caller.clone(),
            request_id: format!("{:032x}", rand::random::<u128>()),
            started,
            // Only a reference that is one may stand in a log.
            reference: reference(&message)
                .and_then(|text| crate::domain::Reference::new(text).ok())
                .map(|reference| reference.to_string()),
        };
        let (result, _under_way) = match self.admit(&metadata, caller, started) {
            Ok(admitted) => (handle(admitted, message).await, Some(under_way)),
            // Who is refused puts off no end: a stream of such calls may never have a gap.
            Err(error) => {
                drop(under_way);
                (Err(error), None)
            }
        };
        let result = result.map_err(|error| call.complete(error));
        call.finish(result)
    }

    fn admit(
        &self,
        metadata: &tonic::metadata::MetadataMap,
        caller: &Caller,
        now: Instant,
    ) -> Result<gateway::Call, Error> {
        if self.draining.is_draining() {
            return Err(Error::new(Reason::ShuttingDown));
        }
        let answer_by = self.deadlines.answer_by(metadata, now)?;
        let admitted = self.admission.enter()?;
        Ok(gateway::Call { caller: caller.clone(), answer_by, admitted })
    }
}

impl Call {
    /// Adds what every error of this call says, whoever raised it.
    fn complete(&self, error: Error) -> Error {
        // A read or Verify moves no money, so that it has nothing to say of it.
        let error = match self.operation.is_write() {
            true => error,
            false => error.money_moved(MoneyMoved::NotApplicable),
        };
        match &self.reference {
            Some(reference) => error.reference(reference),
            None => error,
        }
    }

    /// Writes the call's log line and makes its answer.
    fn finish<T>(self, result: Result<T, Error>) -> Result<Response<T>, Status> {
        let duration_ms = self.started.elapsed().as_secs_f64() * 1000.0;
        let operation = self.operation.as_str();
        let caller = self.caller.as_str();
        let reference = self.reference.as_deref();
        let request_id = self.request_id.as_str();
        match &result {
            Ok(_) => tracing::info!(
                operation,
                caller,
                reference,
                request_id,
                duration_ms,
                outcome = "OK",
                "call"
            ),
            Err(error) => {
                let outcome = error.reason().as_str();
                let note = error.provider_note();
                let provider_request_id = note.request_id.as_ref().map(|id| id.as_str());
                let (provider_code, detail) = (note.code, error.for_operator());
                match error.reason().culprit() {
                    Culprit::Caller => tracing::info!(
                        operation,
                        caller,
                        reference,
                        request_id,
                        duration_ms,
                        outcome,
                        provider_request_id,
                        provider_code,
                        detail,
                        "call"
                    ),
                    Culprit::Zentra | Culprit::Sidecar => tracing::warn!(
                        operation,
                        caller,
                        reference,
                        request_id,
                        duration_ms,
                        outcome,
                        provider_request_id,
                        provider_code,
                        detail,
                        "call"
                    ),
                }
            }
        }
        result.map(Response::new).map_err(|error| status::from_error(&error, &self.request_id))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tonic_types::StatusExt;

    use super::*;
    use crate::admission::AdmissionSettings;

    fn settings() -> CallSettings {
        let second = Duration::from_secs(1);
        CallSettings {
            deadlines: Deadlines { minimum: second, margin: second, default: second },
            draining: Draining::default(),
            admission: Admission::new(AdmissionSettings::default()),
            under_way: TaskTracker::new(),
        }
    }

    async fn refused(settings: &CallSettings) -> Status {
        let handle = |_, _| async { panic!("no work begins") };
        let mut request = Request::new("order-1".to_owned());
        let caller = Caller::new("local").unwrap();
        request.extensions_mut().insert(Peer::new(caller, true));
        let answer: Result<Response<()>, _> =
            settings.run(Operation::Charge, request, |it| Some(it), handle).await;
        answer.unwrap_err()
    }

    /// Its log line is where a refused call spends its time.
    #[tokio::test]
    async fn a_refused_call_is_not_waited_for() {
        let settings = settings();
        settings.draining.begin();
        let counted = Arc::new(Mutex::new(Vec::new()));
        let (tracker, seen) = (settings.under_way.clone(), counted.clone());
        let writer = move || {
            seen.lock().unwrap().push(tracker.len());
            std::io::sink()
        };
        let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        refused(&settings).await;
        assert_eq!(*counted.lock().unwrap(), [0]);
    }

    #[tokio::test]
    async fn a_call_of_nobody_is_refused() {
        let handle = |_, ()| async { panic!("no work begins") };
        let request = Request::new(());
        let answer: Result<Response<()>, _> =
            settings().run(Operation::Charge, request, |()| None, handle).await;
        assert_eq!(answer.unwrap_err().code(), tonic::Code::PermissionDenied);
    }

    #[tokio::test]
    async fn no_new_call_is_taken_once_the_end_has_begun() {
        let settings = settings();
        settings.draining.begin();
        let status = refused(&settings).await;
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), &*info.reason), (tonic::Code::Unavailable, "SHUTTING_DOWN"));
        assert_eq!(info.metadata["sent"], "false");
        assert_eq!(info.metadata["money_moved"], "unknown");
        assert_eq!(info.metadata["reference"], "order-1");
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "0");
    }
}
