//! The innermost service: one HTTP exchange over reqwest.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use reqwest::{Client, redirect, retry};
use tokio::time::timeout;
use tower::util::BoxCloneSyncService;

use super::send_fence;

/// The service that carries a request to Zentra and brings the whole answer back.
pub type Upstream = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, TransportError>;

/// The limits of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long an exchange may take, from the connection to the answer's last byte.
    pub attempt_timeout: Duration,
    /// The largest answer, in bytes. A page of 100 charges takes about 60 KiB.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            attempt_timeout: Duration::from_secs(10),
            answer_bytes: 1024 * 1024,
        }
    }
}

/// An exchange that brought no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The request could not be made or no connection came about: provably nothing was sent.
    #[error("no connection to Zentra")]
    NotSent,
    /// The call no longer owns the payment: nothing was sent.
    #[error("the lease on the payment is over")]
    LeaseOver,
    /// The time was over; the request may have arrived.
    #[error("Zentra did not answer in time")]
    TimedOut,
    /// The connection broke; the request may have arrived.
    #[error("the connection to Zentra broke")]
    Broken,
    /// The answer was larger than the limit and was dropped.
    #[error("Zentra's answer was larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
}

impl TransportError {
    /// True where the request may have arrived.
    #[must_use]
    pub fn may_have_arrived(self) -> bool {
        !matches!(self, Self::NotSent | Self::LeaseOver)
    }
}

/// Makes the transport that production uses.
///
/// # Errors
/// Where the TLS configuration cannot be made, for instance as no root certificates are found.
pub fn over_reqwest(limits: Limits) -> Result<Upstream, reqwest::Error> {
    // An error means that a provider stands already: the same one, as this crate links no other.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .connect_timeout(limits.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(1024)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(15))
        // A redirect would carry the key and the payment to an address that nobody checked.
        .redirect(redirect::Policy::none())
        // Whether a request is repeated is decided above, where it is known what it does.
        .retry(retry::never())
        // A proxy in the environment of some other program must not see payments.
        .no_proxy()
        .build()?;
    let service = tower::service_fn(move |request| exchange(client.clone(), request, limits));
    Ok(stack(BoxCloneSyncService::new(service), limits))
}

/// Puts the layers that every transport needs around `transport`.
#[must_use]
pub fn stack(transport: Upstream, limits: Limits) -> Upstream {
    send_fence::checked(transport, limits.connect_timeout)
}

async fn exchange(
    client: Client,
    request: Request<Bytes>,
    limits: Limits,
) -> Result<Response<Bytes>, TransportError> {
    let request = reqwest::Request::try_from(request).map_err(|_| TransportError::NotSent)?;
    timeout(limits.attempt_timeout, whole_answer(client, request, limits.answer_bytes))
        .await
        .unwrap_or(Err(TransportError::TimedOut))
}

async fn whole_answer(
    client: Client,
    request: reqwest::Request,
    limit_bytes: usize,
) -> Result<Response<Bytes>, TransportError> {
    let mut answer = client.execute(request).await.map_err(|error| classify(&error))?;
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| TransportError::Broken)? {
        if body.len() + chunk.len() > limit_bytes {
            return Err(TransportError::TooLarge { limit_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body.freeze());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

fn classify(error: &reqwest::Error) -> TransportError {
    if error.is_connect() || error.is_builder() {
        TransportError::NotSent
    } else if error.is_timeout() {
        TransportError::TimedOut
    } else {
        TransportError::Broken
    }
}
