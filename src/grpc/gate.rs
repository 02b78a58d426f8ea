//! What every request passes before a service sees it: may its peer call at all, and is there
//! room to take it in.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, FutureExt as _};
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming};
use tokio::sync::OwnedSemaphorePermit;
use tonic::body::Body;
use tower::Service;

use super::arriving::Arriving;
use super::request_body::RequestBody;
use super::status;
use crate::error::{Error, Reason};
use crate::listen::Peer;

/// How the paths of health and reflection begin.
const ASIDE: &str = "/grpc.";
/// How those of payments begin. Who may not call is refused there too, in words that go into the
/// audit log.
const PAYMENTS: &str = "/zentra.gateway.v1.PaymentService/";

/// The gate before the services.
#[derive(Clone)]
pub(super) struct Gate<S> {
    inner: S,
    arriving: Arriving,
}

type Refused = Ready<Result<Response<Body>, Infallible>>;
type Taken<F> = Either<F, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

impl<S> Gate<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, arriving: Arriving::default() }
    }
}

impl<S> Service<Request<Incoming>> for Gate<S>
where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Refused, Taken<S::Future>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let peer = request.extensions().get::<Peer>();
        let path = request.uri().path();
        let Some(peer) = peer.filter(|it| it.is_allowed() || path.starts_with(PAYMENTS)) else {
            return refuse(Reason::CallerNotAllowed, peer);
        };
        if !path.starts_with(ASIDE) {
            let body = |body| RequestBody::arriving(body, self.arriving.clone());
            return Either::Right(Either::Left(self.inner.call(request.map(body))));
        }
        let Some(place) = peer.aside() else {
            return refuse(Reason::Overloaded, Some(peer));
        };
        let answer = self.inner.call(request.map(RequestBody::without_end));
        let held =
            |answer: Response<Body>| answer.map(|body| Body::new(Held { body, _place: place }));
        Either::Right(Either::Right(answer.map(|answer| answer.map(held)).boxed()))
    }
}

fn refuse<F>(reason: Reason, peer: Option<&Peer>) -> Either<Refused, F> {
    let request_id = format!("{:032x}", rand::random::<u128>());
    let caller = peer.map(|peer| peer.caller().as_str());
    tracing::info!(caller, request_id, outcome = reason.as_str(), "call");
    let status = status::from_error(&Error::new(reason), &request_id);
    Either::Left(ready(Ok(status.into_http())))
}

/// An answer that keeps its place until it has ended.
struct Held {
    body: Body,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
