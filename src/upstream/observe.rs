//! What each try looks like from outside: its span, its time, and the trace that Zentra is told.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use opentelemetry::KeyValue;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::around::Answer;
use super::terms::AttemptEnds;
use super::{Terms, TransportError, TryNumber};
use crate::telemetry::Telemetry;
use crate::telemetry::measure::Exchange;
use crate::telemetry::names::attribute;
use crate::telemetry::trace::{ClientSpan, inject};

/// Tells of each try. Innermost, so that what it times is the exchange alone.
///
/// It is ready when the transport is, and not before: the lease check outside of it has to wait for
/// that first, and look at the lease last.
pub(super) struct ObserveLayer {
    pub(super) telemetry: Telemetry,
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, transport: S) -> Self::Service {
        Observe { telemetry: self.telemetry.clone(), hosts: Hosts::default(), transport }
    }
}

/// What carries a try.
pub(super) trait Transport:
    Service<Request<Bytes>, Response = Response<Bytes>, Error = TransportError, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Transport for S where
    S: Service<Request<Bytes>, Response = Response<Bytes>, Error = TransportError, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// A transport whose tries are told.
#[derive(Clone)]
pub(super) struct Observe<S> {
    telemetry: Telemetry,
    hosts: Hosts,
    transport: S,
}

impl<S: Transport> Service<Request<Bytes>> for Observe<S> {
    type Response = Response<Bytes>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.transport.poll_ready(context)
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        // The one that said it was ready is the one that is called.
        let spare = self.transport.clone();
        let mut ready = Self {
            telemetry: self.telemetry.clone(),
            hosts: self.hosts.clone(),
            transport: std::mem::replace(&mut self.transport, spare),
        };
        Box::pin(async move { ready.told(request).await })
    }
}

impl<S: Transport> Observe<S> {
    async fn told(&mut self, mut request: Request<Bytes>) -> Answer {
        let exchange = self.exchange(&request);
        let span = self.telemetry.tracer().client(|| {
            let name = format!("{} {}", request.method(), exchange.template);
            (name.into(), described(&request, exchange.labels()))
        });
        inject(span.as_ref(), request.headers_mut());
        let ends = request.extensions().get::<AttemptEnds>().map(|it| it.0);
        let began = Instant::now();
        let open = Open { exchange, span, began, ends };
        let mut untold = Untold { telemetry: &self.telemetry, open: Some(open) };
        let answer = self.transport.call(request).await;
        let status = answer.as_ref().ok().map(Response::status);
        untold.tell(status, error_type(&answer));
        answer
    }

    fn exchange(&self, request: &Request<Bytes>) -> Exchange {
        let (uri, method) = (request.uri(), request.method());
        let usual_port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        Exchange {
            // Zentra's routes know these two.
            method: if *method == Method::GET { "GET" } else { "POST" },
            host: self.hosts.get(uri.host().unwrap_or_default()),
            port: uri.port_u16().unwrap_or(usual_port),
            template: Terms::read(request, |terms| terms.route),
        }
    }
}

/// The host that all requests go to, once one has gone there.
#[derive(Clone, Default)]
struct Hosts(Arc<OnceLock<Arc<str>>>);

impl Hosts {
    fn get(&self, host: &str) -> Arc<str> {
        let first = self.0.get_or_init(|| host.into());
        if **first == *host { first.clone() } else { host.into() }
    }
}

/// A try that was begun.
struct Open {
    exchange: Exchange,
    span: Option<ClientSpan>,
    began: Instant,
    /// When its own time is over.
    ends: Option<Instant>,
}

/// Tells of a try once: by its answer, or when it is dropped without one, as where its time is over
/// or its caller has gone.
struct Untold<'a> {
    telemetry: &'a Telemetry,
    open: Option<Open>,
}

impl Untold<'_> {
    fn tell(&mut self, status: Option<StatusCode>, error: Option<Cow<'static, str>>) {
        let Some(Open { exchange, span, began, .. }) = self.open.take() else { return };
        let (time, status) = (began.elapsed(), status.map(|it| it.as_u16()));
        self.telemetry.measures().exchange(exchange, status, error.clone(), time);
        if let Some(mut span) = span {
            let status = status.map(i64::from);
            span.set(status.map(|it| KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, it)));
            span.end(error);
        }
    }
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        let ends = self.open.as_ref().and_then(|open| open.ends);
        // The time of a try ends outside of here, by dropping it.
        let is_over = ends.is_some_and(|ends| Instant::now() >= ends);
        self.tell(None, Some(if is_over { "timeout" } else { "cancelled" }.into()));
    }
}

/// What is known of a request when it leaves, with room for what comes of it.
fn described(request: &Request<Bytes>, labels: [KeyValue; 4]) -> Vec<KeyValue> {
    let try_number = request.extensions().get::<TryNumber>().map_or(1, |number| number.0);
    let mut attributes = Vec::with_capacity(labels.len() + 4);
    attributes.extend(labels);
    attributes.push(KeyValue::new(attribute::URL_FULL, request.uri().to_string()));
    if try_number > 1 {
        let resent = i64::from(try_number) - 1;
        attributes.push(KeyValue::new(attribute::HTTP_REQUEST_RESEND_COUNT, resent));
    }
    attributes
}

/// The status where it is an error's, else what went wrong by its kind.
fn error_type(answer: &Answer) -> Option<Cow<'static, str>> {
    let kind = match answer {
        Ok(answer) if is_error(answer.status()) => {
            return Some(answer.status().as_u16().to_string().into());
        }
        Ok(_) => return None,
        Err(TransportError::NotSent) => "not_sent",
        Err(TransportError::TimedOut) => "timeout",
        Err(TransportError::Broken | TransportError::CutOff { .. }) => "broken",
        Err(TransportError::TooLarge { .. }) => "too_large",
        // The layers outside of this one give these.
        Err(
            TransportError::LeaseOver
            | TransportError::NoTime
            | TransportError::Ending
            | TransportError::CircuitOpen { .. },
        ) => "kept_back",
    };
    Some(kind.into())
}

/// For a client, 4xx are errors too.
fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}
