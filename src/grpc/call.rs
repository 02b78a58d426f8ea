//! One call from its arrival to its answer: identity, deadline, id, span, log line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status};

use super::asked::Message;
use super::deadline::Deadlines;
use super::held::Places;
use super::told::{Answered, End, Told};
use super::{status, trace};
use crate::admission::Admission;
use crate::domain::{Caller, Operation, Reference};
use crate::error::{Culprit, Error, MoneyMoved, Reason, Retry};
use crate::gateway;
use crate::listen::Peer;
use crate::shutdown::Draining;
use crate::telemetry::audit::Promised;
use crate::telemetry::trace::{RequestId, trace_id};
use crate::telemetry::trace_context::TRACEPARENT;
use crate::telemetry::{Asked, Telemetry};

/// How long a call that comes once the end has begun is asked to wait, in milliseconds: for the
/// goodbye on its connection to arrive first. Between the two chance decides, so that those who
/// were refused together do not come to another sidecar together.
const ELSEWHERE_MS: std::ops::Range<u64> = 100..250;

/// What every call of a listener has in common.
#[derive(Clone)]
pub struct CallSettings {
    /// How deadlines are dealt with.
    pub deadlines: Deadlines,
    /// Whether new calls are still taken.
    pub draining: Draining,
    /// How many calls are taken at once.
    pub admission: Admission,
    /// The calls under way; whoever ends the process waits for them, and for nothing else.
    pub under_way: TaskTracker,
    /// Where calls are told.
    pub telemetry: Telemetry,
}

/// When a call came, and whether a handler has begun with it, which then tells of it. Clones share
/// that.
#[derive(Clone)]
pub(super) struct Arrival {
    at: Instant,
    is_begun: Arc<AtomicBool>,
}

impl Arrival {
    /// It comes now.
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), is_begun: Arc::default() }
    }

    /// Whether a handler has begun with it.
    pub(super) fn is_begun(&self) -> bool {
        self.is_begun.load(Ordering::Relaxed)
    }

    /// A handler begins with it; tells when it came.
    fn begin(&self) -> Instant {
        self.is_begun.store(true, Ordering::Relaxed);
        self.at
    }
}

/// What is known of a call that no handler has begun with.
pub(super) struct Unread {
    /// None where there is no such method.
    pub(super) operation: Option<Operation>,
    /// As it came.
    pub(super) traceparent: Option<HeaderValue>,
    /// When it came, and whether a handler has begun with it meanwhile.
    pub(super) arrival: Arrival,
}

/// A call under way. Dropped before it was told of, it ends as cancelled: its caller hung up.
pub(super) struct Call<'a> {
    telemetry: &'a Telemetry,
    operation: Operation,
    caller: Caller,
    request_id: String,
    /// Before its message did.
    arrived: Instant,
    reference: Option<Reference>,
    context: Context,
    promised: Promised,
    is_told: bool,
    /// It has lines of its own. Metrics and spans count it either way.
    has_lines: bool,
}

impl CallSettings {
    /// Runs one call: `handle` gets the message and what it needs to know of the call.
    pub(super) async fn run<M, T, F>(
        &self,
        operation: Operation,
        request: Request<M>,
        handle: impl FnOnce(gateway::Call, M) -> F,
    ) -> Result<Response<T>, Status>
    where
        M: Message,
        F: Future<Output = Result<Answered<T>, Error>>,
    {
        // Counted before it is admitted, so that none is admitted that nobody waits for.
        let under_way = self.under_way.token();
        let now = Instant::now();
        let (metadata, mut extensions, message) = request.into_parts();
        let arrived = extensions.get().map_or(now, Arrival::begin);
        let Some(peer) = extensions.get::<Peer>() else {
            // No connection leaves it out; a call of nobody is nobody's.
            return Err(status::from_error(&Error::new(Reason::CallerNotAllowed), ""));
        };
        let call = self.begin(operation, peer.caller(), &metadata, message.reference(), arrived);
        let result = match self.admit(&metadata, peer, arrived, now) {
            Ok(admitted) => {
                // Beside the work, the answer holds them: until its caller has taken it.
                let places = Places { _admitted: admitted.admitted.clone(), _under_way: under_way };
                extensions.insert(places);
                let work = handle(admitted, message).with_context(call.context.clone());
                work.await
            }
            // Who is refused puts off no end: a stream of such calls may never have a gap.
            Err(error) => {
                drop(under_way);
                let _in_context = call.context.clone().attach();
                Err(self.account(&call.caller, message.asked(), error))
            }
        };
        let result = result.map_err(|error| call.complete(error));
        let answer = call.finish(result)?;
        Ok(Response::from_parts(MetadataMap::new(), answer, extensions))
    }

    /// Tells the audit log of a write that is refused before anything is decided of it.
    pub(super) fn account(&self, caller: &Caller, asked: Option<Asked>, error: Error) -> Error {
        let Some(asked) = asked else { return error };
        self.telemetry.audit().refused(caller, &asked, &error);
        error.audited()
    }

    /// Refuses a call of somebody who may not call, without a look at its message; with lines of its
    /// own, or as one of many.
    pub(super) fn turn_away(
        &self,
        operation: Operation,
        metadata: &MetadataMap,
        peer: &Peer,
        has_lines: bool,
    ) -> Status {
        let mut call = self.begin(operation, peer.caller(), metadata, None, Instant::now());
        call.has_lines = has_lines;
        let error = call.complete(Error::new(Reason::CallerNotAllowed));
        call.refuse(&error)
    }

    /// Tells of a call that the gRPC stack has answered with an error before a handler had begun with
    /// it: its message could not be read, is too large or did not come, or there is no such method.
    pub(super) fn tell_unread(&self, unread: &Unread, caller: &Caller, code: Code) {
        let name = trace::code_name(code);
        let Some(operation) = unread.operation else {
            let (elapsed, is_error) = (unread.arrival.at.elapsed(), trace::is_server_error(code));
            self.telemetry.measures().call(trace::OTHER, name, is_error, elapsed);
            let request_id = format!("{:032x}", rand::random::<u128>());
            tracing::info!(caller = caller.as_str(), request_id, outcome = name, "call");
            return;
        };
        let mut metadata = MetadataMap::new();
        if let Some(parent) = &unread.traceparent {
            metadata.as_mut().insert(TRACEPARENT, parent.clone());
        }
        let mut call = self.begin(operation, caller, &metadata, None, unread.arrival.at);
        call.tell(code, End::Unread(name));
    }

    fn begin(
        &self,
        operation: Operation,
        caller: &Caller,
        metadata: &MetadataMap,
        reference: Option<&str>,
        arrived: Instant,
    ) -> Call<'_> {
        let request_id = format!("{:032x}", rand::random::<u128>());
        let caller_span = trace::caller_span(metadata);
        let context = self.telemetry.tracer().server(
            caller_span,
            trace::method(operation),
            arrived.elapsed(),
        );
        let promised = Promised::default();
        let context = context.with_value(RequestId(request_id.clone()));
        Call {
            telemetry: &self.telemetry,
            operation,
            caller: caller.clone(),
            arrived,
            // Only a reference that is one may stand in a log.
            reference: reference.and_then(|text| Reference::new(text).ok()),
            context: context.with_value(promised.clone()),
            promised,
            is_told: false,
            has_lines: true,
            request_id,
        }
    }

    fn admit(
        &self,
        metadata: &MetadataMap,
        peer: &Peer,
        arrived: Instant,
        now: Instant,
    ) -> Result<gateway::Call, Error> {
        if !peer.is_allowed() {
            return Err(Error::new(Reason::CallerNotAllowed));
        }
        if self.draining.is_draining() {
            let wait = Duration::from_millis(rand::random_range(ELSEWHERE_MS));
            return Err(Error::new(Reason::ShuttingDown).retry(Retry::After(wait)));
        }
        let answer_by = self.deadlines.answer_by(metadata, arrived, now)?;
        let admitted = self.admission.enter()?;
        Ok(gateway::Call { caller: peer.caller().clone(), answer_by, admitted })
    }
}

impl Call<'_> {
    /// Adds what every error of this call says, whoever raised it.
    fn complete(&self, error: Error) -> Error {
        // A read or Verify moves no money, so that it has nothing to say of it.
        let error = match self.operation.is_write() {
            true => error,
            false => error.money_moved(MoneyMoved::NotApplicable),
        };
        match &self.reference {
            Some(reference) => error.reference(reference.as_str()),
            None => error,
        }
    }

    /// Tells operators of the call, and makes its answer.
    fn finish<T>(mut self, result: Result<Answered<T>, Error>) -> Result<T, Status> {
        match result {
            Ok(answered) => {
                self.tell(Code::Ok, End::Answered(&answered.told));
                Ok(answered.message)
            }
            Err(error) => Err(self.refuse(&error)),
        }
    }

    fn refuse(mut self, error: &Error) -> Status {
        let status = status::from_error(error, &self.request_id);
        self.tell(status.code(), End::Failed(error));
        status
    }

    fn tell(&mut self, code: Code, end: End<'_>) {
        self.is_told = true;
        let _in_context = self.context.clone().attach();
        if self.operation.is_write() && self.has_lines {
            self.account(end);
        }
        let measures = self.telemetry.measures();
        let (name, is_error) = (trace::code_name(code), trace::is_server_error(code));
        let method = trace::method(self.operation);
        measures.call(method, name, is_error, self.arrived.elapsed());
        if let Some(error) = end.error() {
            measures.call_error(self.operation, error.reason());
            error.overload().into_iter().for_each(|at| measures.call_refused(at));
        }
        if self.has_lines {
            self.log(end);
        }
        let came = trace::Came {
            caller: self.caller.as_str(),
            request_id: &self.request_id,
            reference: self.reference.as_ref().map(Reference::as_str),
        };
        trace::end(&self.context, &came, code, end);
    }

    /// Tells the audit log of a write that nobody has told it of, and nobody will.
    fn account(&self, end: End<'_>) {
        let known =
            || Asked { reference: self.reference.clone(), ..Asked::nothing(self.operation) };
        let asked = || self.promised.asked().cloned().unwrap_or_else(known);
        let audit = self.telemetry.audit();
        match end {
            // What it asks for is not known.
            End::Answered(_) | End::Unread(_) => {}
            End::Failed(error) if error.is_audited() => {}
            End::Failed(error) => audit.refused(&self.caller, &asked(), error),
            End::Cancelled | End::Broken if self.promised.is_promised() => {}
            End::Cancelled | End::Broken => {
                audit.undecided(&self.caller, &asked(), end.word());
            }
        }
    }

    /// Writes the call's line; docs/LOGGING.md lists the fields.
    fn log(&self, end: End<'_>) {
        let none = Told::default();
        let (told, error) = match end {
            End::Answered(told) => (told, None),
            End::Failed(_) | End::Cancelled | End::Broken | End::Unread(_) => (&none, end.error()),
        };
        let note = error.map(Error::provider_note);
        let provider_request_id = note.map_or(&told.provider_request_id, |it| &it.request_id);
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    operation = self.operation.as_str(),
                    caller = self.caller.as_str(),
                    reference = self.reference.as_ref().map(Reference::as_str),
                    outcome = end.word(),
                    status = told.status,
                    attempts = told.attempts.or(error.and_then(Error::attempts_made)),
                    path = told.path.map(|path| path.as_str()),
                    duration_ms = millis(self.arrived.elapsed()),
                    request_id = self.request_id.as_str(),
                    provider_request_id = provider_request_id.as_ref().map(|id| id.as_str()),
                    provider_code = note.and_then(|note| note.code),
                    trace_id = shown(&trace_id(&self.context)),
                    rule_id = error.and_then(Error::policy).and_then(|it| it.rule_id.as_deref()),
                    rule_message =
                        error.and_then(Error::policy).and_then(|it| it.message.as_deref()),
                    policy_hash =
                        error.and_then(Error::policy).and_then(|it| it.policy_hash.as_deref()),
                    detail = error.and_then(|error| shown(error.for_operator())),
                    "call"
                )
            };
        }
        let culprit = match end {
            End::Answered(_) | End::Cancelled | End::Unread(_) => Culprit::Caller,
            End::Failed(error) => error.reason().culprit(),
            End::Broken => Culprit::Sidecar,
        };
        match culprit {
            Culprit::Caller => line!(tracing::Level::INFO),
            Culprit::Zentra | Culprit::Sidecar => line!(tracing::Level::WARN),
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        match std::thread::panicking() {
            true => self.tell(Code::Internal, End::Broken),
            false => self.tell(Code::Cancelled, End::Cancelled),
        }
    }
}

/// With three decimals: a longer fraction may look like anything, a card number included.
fn millis(time: Duration) -> f64 {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}

/// A field that says nothing is left out.
fn shown(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tonic_types::StatusExt;

    use super::*;
    use crate::admission::AdmissionSettings;
    use crate::grpc::proto::ChargeRequest;

    fn settings() -> CallSettings {
        let second = Duration::from_secs(1);
        CallSettings {
            deadlines: Deadlines { minimum: second, margin: second, default: second },
            draining: Draining::default(),
            admission: Admission::new(AdmissionSettings::default()),
            under_way: TaskTracker::new(),
            telemetry: Telemetry::quiet(),
        }
    }

    fn request() -> Request<ChargeRequest> {
        let reference = "order-1".to_owned();
        Request::new(ChargeRequest { reference, ..ChargeRequest::default() })
    }

    async fn refused(settings: &CallSettings) -> Status {
        let handle = |_, _| async { panic!("no work begins") };
        let mut request = request();
        request.extensions_mut().insert(Peer::new(Caller::new("local").unwrap(), true));
        let answer: Result<Response<()>, _> =
            settings.run(Operation::Charge, request, handle).await;
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

    /// Of a message that takes long to come the call tells the whole time, and has its own after that.
    #[tokio::test(start_paused = true)]
    async fn a_call_is_timed_from_its_arrival_and_a_deadline_of_our_own_from_its_message() {
        let settings = settings();
        let mut request = request();
        request.extensions_mut().insert(Peer::new(Caller::new("local").unwrap(), true));
        let arrival = Arrival::now();
        request.extensions_mut().insert(arrival.clone());
        tokio::time::advance(Duration::from_secs(3)).await;
        let begun = Instant::now();
        let handle = |call: gateway::Call, _| async move {
            let time = call.answer_by.saturating_duration_since(begun);
            assert_eq!(time, Duration::from_secs(1));
            Ok(Told::default().with(()))
        };
        settings.run(Operation::Charge, request, handle).await.unwrap();
        assert!(arrival.is_begun());
        let text = settings.telemetry.prometheus_text();
        let sum = text.lines().find(|it| it.starts_with("rpc_server_call_duration_seconds_sum"));
        assert!(sum.is_some_and(|it| it.ends_with(" 3")), "{text}");
    }

    /// A caller does not wait longer because its message was slow.
    #[tokio::test(start_paused = true)]
    async fn a_callers_deadline_runs_from_its_calls_arrival() {
        let settings = settings();
        let mut request = request();
        request.set_timeout(Duration::from_secs(10));
        request.extensions_mut().insert(Peer::new(Caller::new("local").unwrap(), true));
        request.extensions_mut().insert(Arrival::now());
        let arrived = Instant::now();
        tokio::time::advance(Duration::from_secs(3)).await;
        let handle = |call: gateway::Call, _| async move {
            // But for the margin.
            assert_eq!(call.answer_by - arrived, Duration::from_secs(9));
            Ok(Told::default().with(()))
        };
        settings.run(Operation::Charge, request, handle).await.unwrap();
    }

    #[tokio::test]
    async fn a_call_of_nobody_is_refused() {
        let handle = |_, _| async { panic!("no work begins") };
        let answer: Result<Response<()>, _> =
            settings().run(Operation::Charge, request(), handle).await;
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
        let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
        assert!(ELSEWHERE_MS.contains(&pushback.to_str().unwrap().parse().unwrap()));
    }
}
