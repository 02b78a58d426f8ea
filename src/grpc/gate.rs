//! What every request passes before a service sees it: may its peer call at all, and is there
//! room to take it in.

use std::convert::Infallible;
use std::future::{self, Ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::Either;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tower::Service;

use super::CallSettings;
use super::call::{Arrival, Unread};
use super::held::{Answer, Held, Places};
use super::request_body::{Arriving, MAX_ARRIVING, RequestBody};
use super::strangers::Strangers;
use super::{status, trace};
use crate::domain::Operation;
use crate::error::{Error, Overload, Reason};
use crate::listen::Peer;
use crate::telemetry::trace_context::TRACEPARENT;

/// How the paths of health and reflection begin.
const ASIDE: &str = "/grpc.";
/// How those of health begin, whose requests are one message each. Those of reflection are streams.
const HEALTH: &str = "/grpc.health.";
/// Streams of reflection at once, over all connections: it is there for people with tools, and one
/// stream may keep a message on its way in and two large answers.
const MAX_REFLECTIONS: usize = 64;

/// The gate before the services.
#[derive(Clone)]
pub(super) struct Gate<S> {
    inner: S,
    settings: Arc<CallSettings>,
    arriving: Arriving,
    reflections: Arc<Semaphore>,
    strangers: Strangers,
}

type Refused = Ready<Result<Response<Answer>, Infallible>>;

impl<S> Gate<S> {
    pub(super) fn new(inner: S, settings: CallSettings) -> Self {
        let arriving = Arriving::new(MAX_ARRIVING);
        let reflections = Arc::new(Semaphore::new(MAX_REFLECTIONS));
        let strangers = Strangers::new(settings.telemetry.clone());
        Self { inner, settings: Arc::new(settings), arriving, reflections, strangers }
    }
}

impl<S> Service<Request<Incoming>> for Gate<S>
where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Either<Refused, Taken<S::Future>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let path = request.uri().path();
        let Some(peer) = request.extensions().get::<Peer>() else {
            // No connection leaves it out; a call of nobody is nobody's.
            return self.refuse(path, &Error::new(Reason::CallerNotAllowed), None, true);
        };
        if !peer.is_allowed() {
            // Nothing of what it sends is read. An attempt to pay goes on record.
            let operation = trace::operation(path);
            let is_write = operation.is_some_and(Operation::is_write);
            let is_told = self.strangers.is_told(peer.caller(), is_write);
            return match operation {
                Some(operation) => self.turn_away(operation, request.headers(), peer, is_told),
                None => {
                    self.refuse(path, &Error::new(Reason::CallerNotAllowed), Some(peer), is_told)
                }
            };
        }
        let (is_aside, is_stream) = (path.starts_with(ASIDE), !path.starts_with(HEALTH));
        let mut held = Held::Nothing;
        if is_aside {
            let mut places: Vec<_> = peer.aside().into_iter().collect();
            if is_stream {
                places.extend(self.reflections.clone().try_acquire_owned());
            }
            if places.len() < 1 + usize::from(is_stream) {
                return self.refuse(path, &Error::overloaded(Overload::Aside), Some(peer), true);
            }
            held = Held::UntilEnded { _places: places };
        }
        let peer = peer.clone();
        let unread = (!is_aside).then(|| Unread {
            operation: trace::operation(path),
            traceparent: request.headers().get(TRACEPARENT).cloned(),
            arrival: Arrival::now(),
        });
        if let Some(Unread { arrival, .. }) = &unread {
            request.extensions_mut().insert(arrival.clone());
        }
        let body = |body| match is_aside && is_stream {
            true => RequestBody::without_end(body),
            false => RequestBody::arriving(body, peer.clone(), self.arriving.clone()),
        };
        let answer = self.inner.call(request.map(body));
        let settings = self.settings.clone();
        Either::Right(Taken { answer, peer, held, settings, unread })
    }
}

impl<S> Gate<S> {
    fn turn_away<F>(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        peer: &Peer,
        is_told: bool,
    ) -> Either<Refused, F> {
        let metadata = MetadataMap::from_headers(headers.clone());
        let status = self.settings.turn_away(operation, &metadata, peer, is_told);
        Either::Left(future::ready(Ok(status.into_http().map(of_refusal))))
    }

    /// Refuses what is no call of payments.
    fn refuse<F>(
        &self,
        path: &str,
        error: &Error,
        peer: Option<&Peer>,
        is_told: bool,
    ) -> Either<Refused, F> {
        let request_id = format!("{:032x}", rand::random::<u128>());
        if is_told {
            let caller = peer.map(|peer| peer.caller().as_str());
            tracing::info!(caller, request_id, outcome = error.reason().as_str(), "call");
        }
        let status = status::from_error(error, &request_id);
        let (measures, code) = (self.settings.telemetry.measures(), status.code());
        error.overload().into_iter().for_each(|at| measures.call_refused(at));
        // As of those who may call: health and reflection are no calls, a method that there is not is.
        if !path.starts_with(ASIDE) {
            let is_error = trace::is_server_error(code);
            measures.call(trace::OTHER, trace::code_name(code), is_error, Duration::ZERO);
        }
        Either::Left(future::ready(Ok(status.into_http().map(of_refusal))))
    }
}

fn of_refusal(body: Body) -> Answer {
    Answer::new(body, Held::Nothing)
}

/// An answer on its way.
pub(super) struct Taken<F> {
    answer: F,
    peer: Peer,
    held: Held,
    settings: Arc<CallSettings>,
    /// Of a call of payments, or of no service that there is.
    unread: Option<Unread>,
}

impl<F> Taken<F> {
    /// Tells of a call that was answered before a handler had begun with it.
    fn tell_unread(&self, answer: &HeaderMap) {
        let Some(unread) = &self.unread else { return };
        let Some(status) = answer.get(Status::GRPC_STATUS) else { return };
        if !unread.arrival.is_begun() {
            let code = Code::from_bytes(status.as_bytes());
            self.settings.tell_unread(unread, self.peer.caller(), code);
        }
    }
}

impl<F> Future for Taken<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = Result<Response<Answer>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = ready!(Pin::new(&mut self.answer).poll(context))?;
        self.tell_unread(answer.headers());
        let held = match answer.extensions_mut().remove::<Places>() {
            Some(places) => Held::UntilTaken { _places: places, _untaken: self.peer.answer() },
            None => std::mem::replace(&mut self.held, Held::Nothing),
        };
        Poll::Ready(Ok(answer.map(|body| Answer::new(body, held))))
    }
}
