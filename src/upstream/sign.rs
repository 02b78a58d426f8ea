//! The innermost steps: Zentra's key goes onto each try, and what its answer notes is taken down.
//!
//! Below the retries, so that a repeat goes out with the key of that moment; as plain functions,
//! so that nothing that waits comes between the lease check and the transport.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};

use super::around::Boxed;
use super::rate_limit::RateLimit;
use super::{Terms, TryNumber};

/// Whoever has Zentra's key.
pub trait Credentials: Send + Sync + 'static {
    /// The `Authorization` header of this moment, marked as sensitive.
    fn authorization(&self) -> HeaderValue;
}

/// Signs and numbers each try, which leaves its box here.
pub(super) fn sign(credentials: Arc<dyn Credentials>) -> impl Fn(Boxed) -> Request<Bytes> + Clone {
    move |mut request: Boxed| {
        let number = Terms::read(&request, |terms| terms.tries.next());
        request.headers_mut().insert(AUTHORIZATION, credentials.authorization());
        request.extensions_mut().insert(TryNumber(number));
        *request
    }
}

/// Takes down what each answer says of the rate limit.
pub(super) fn note(
    rate_limit: Arc<RateLimit>,
) -> impl Fn(Response<Bytes>) -> Response<Bytes> + Clone {
    move |answer| {
        rate_limit.note(answer.headers());
        answer
    }
}
