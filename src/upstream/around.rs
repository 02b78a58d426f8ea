//! A layer as one function around the rest of the stack, so that each layer's file shows only
//! what it does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt};

use super::TransportError;

/// What an exchange comes to.
pub(super) type Answer = Result<Response<Bytes>, TransportError>;

/// A request on its way through the layers. In a box, as each layer's future holds it more than
/// once: bare, it would make each of them larger than what an allocator has at hand.
pub(super) type Boxed = Box<Request<Bytes>>;

/// A service that layers can stand around.
pub(super) trait Exchange:
    Service<Boxed, Response = Response<Bytes>, Error = TransportError, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Exchange for S where
    S: Service<Boxed, Response = Response<Bytes>, Error = TransportError, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// What a layer does around the rest.
pub(super) trait Around: Send + Sync + 'static {
    /// Passes `request` on to `rest`, or answers in its stead.
    fn around<S: Exchange>(&self, request: Boxed, rest: &S) -> impl Future<Output = Answer> + Send;
}

/// Passes a request on, once the rest is ready for it.
pub(super) async fn pass_on<S: Exchange>(request: Boxed, rest: &S) -> Answer {
    rest.clone().oneshot(request).await
}

/// Makes a tower layer of what stands around.
pub(super) struct AroundLayer<A>(Arc<A>);

impl<A> AroundLayer<A> {
    pub(super) fn new(around: A) -> Self {
        Self(Arc::new(around))
    }
}

impl<A, S> Layer<S> for AroundLayer<A> {
    type Service = AroundService<A, S>;

    fn layer(&self, rest: S) -> Self::Service {
        AroundService(Arc::new((self.0.clone(), rest)))
    }
}

/// A layer in its place, and all that it stands around. Clones share both, so that passing on costs
/// no copy of all that is below.
pub(super) struct AroundService<A, S>(Arc<(Arc<A>, S)>);

impl<A, S> Clone for AroundService<A, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Around, S: Exchange> Service<Boxed> for AroundService<A, S> {
    type Response = Response<Bytes>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    /// Always: what is below is asked when the layer has decided to pass a request on.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Boxed) -> Self::Future {
        let layer = self.0.clone();
        Box::pin(async move {
            let (around, rest) = &*layer;
            around.around(request, rest).await
        })
    }
}
