//! The innermost service: one HTTP exchange over reqwest.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use reqwest::{Body, Client, ClientBuilder, redirect, retry};
use tower::util::BoxCloneSyncService;
use url::Url;

use super::fenced_body::{FencedBody, LeaseWasOver};
use super::pool::{self, Pool};
use super::{Terms, Upstream};

#[cfg(test)]
mod tests;

/// How often a silent connection is asked whether it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a connection without a request is kept; shorter than load balancers usually keep
/// theirs, so that this side closes first.
const IDLE: Duration = Duration::from_secs(30);

/// The limits of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long an exchange may take, from the connection to the answer's last byte.
    pub attempt_timeout: Duration,
    /// How long connections are used at most, an exchange under way excepted; after that the name
    /// of Zentra's host is resolved anew.
    pub connections_live: Duration,
    /// The largest answer, in bytes. A page of 100 charges takes about 60 KiB.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            attempt_timeout: Duration::from_secs(10),
            connections_live: Duration::from_secs(300),
            answer_bytes: 1024 * 1024,
        }
    }
}

/// The address of an HTTP proxy that all requests go through, inside a tunnel where Zentra's
/// address is https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// Takes `http://host[:port]` or `https://host[:port]`.
    ///
    /// # Errors
    /// A sentence for the operator, where it is something else or holds a password.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be http://HOST[:PORT] or https://HOST[:PORT]";
        let url = Url::parse(text).map_err(|_| FORM)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must hold no name and password: arguments can be read by everybody");
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let known = matches!(url.scheme(), "http" | "https") && url.host().is_some();
        if bare && known { Ok(Self(url)) } else { Err(FORM) }
    }
}

impl ProxyUrl {
    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str())
    }
}

/// An exchange that brought no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The request could not be made, no connection came about, or Zentra said that it did not
    /// begin with it: provably nothing was processed.
    #[error("no connection to Zentra")]
    NotSent,
    /// The call no longer owns the payment: nothing was sent.
    #[error("the lease on the payment is over")]
    LeaseOver,
    /// The call's time was over before its request could leave: nothing was sent.
    #[error("the time was over before the request could leave")]
    NoTime,
    /// The process is about to end, and who has not been let through waits no longer.
    #[error("the process is about to end")]
    Ending,
    /// Zentra has failed again and again, so that nothing is sent for a while.
    #[error("the circuit to Zentra is open")]
    CircuitOpen {
        /// When a probe is sent next.
        retry_after: Duration,
    },
    /// The time was over; the request may have arrived.
    #[error("Zentra did not answer in time")]
    TimedOut,
    /// The connection broke; the request may have arrived.
    #[error("the connection to Zentra broke")]
    Broken,
    /// It broke in the midst of the answer's body.
    #[error("the connection to Zentra broke within the answer")]
    CutOff {
        /// The answer's status.
        status: StatusCode,
    },
    /// The answer was larger than the limit and was dropped.
    #[error("Zentra's answer was larger than {limit_bytes} bytes")]
    TooLarge {
        /// The answer's status.
        status: StatusCode,
        /// The limit.
        limit_bytes: usize,
    },
}

/// Makes the transport that production uses: a pool of kept connections, HTTP/2 where Zentra
/// offers it, names resolved anew for each connection, and no connection for ever.
///
/// # Errors
/// Where the TLS configuration cannot be made, for instance as no root certificates are found.
pub fn over_reqwest(limits: Limits, proxy: Option<&ProxyUrl>) -> Result<Upstream, reqwest::Error> {
    // An error means that a provider stands already: the same one, as this crate links no other.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let proxy = proxy.cloned();
    over(limits, Box::new(move || client(limits, proxy.as_ref())?.build()))
}

fn over(limits: Limits, make: pool::Make) -> reqwest::Result<Upstream> {
    let pool = Pool::new(make, limits.connections_live)?;
    let service = tower::service_fn(move |request| exchange(pool.client(), request, limits));
    Ok(BoxCloneSyncService::new(service))
}

fn client(limits: Limits, proxy: Option<&ProxyUrl>) -> reqwest::Result<ClientBuilder> {
    let builder = Client::builder()
        .connect_timeout(limits.connect_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1024)
        .tcp_nodelay(true)
        .tcp_keepalive(KEEP_ALIVE)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .http2_keep_alive_timeout(KEEP_ALIVE)
        // A redirect would carry the key and the payment to an address that nobody checked.
        .redirect(redirect::Policy::none())
        // Whether a request is repeated is decided above, where it is known what it does.
        .retry(retry::never())
        // A proxy in the environment of some other program must not see payments.
        .no_proxy();
    Ok(match proxy {
        Some(ProxyUrl(url)) => builder.proxy(reqwest::Proxy::all(url.clone())?),
        None => builder,
    })
}

async fn exchange(
    client: Client,
    request: Request<Bytes>,
    limits: Limits,
) -> Result<Response<Bytes>, TransportError> {
    let request = fenced(request).map_err(|_| TransportError::NotSent)?;
    let mut answer = client.execute(request).await.map_err(|error| classify(&error))?;
    let (status, limit_bytes) = (answer.status(), limits.answer_bytes);
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| TransportError::CutOff { status })? {
        if body.len() + chunk.len() > limit_bytes {
            return Err(TransportError::TooLarge { status, limit_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body.freeze());
    *response.status_mut() = status;
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

/// The request as the client takes it. A payment's body looks at the lease once more when it is
/// about to leave.
fn fenced(request: Request<Bytes>) -> reqwest::Result<reqwest::Request> {
    let (fence, url) = Terms::read(&request, |terms| (terms.fence.clone(), terms.url.clone()));
    let request = request.map(|bytes| match fence {
        Some(fence) => Body::wrap(FencedBody::new(fence, bytes)),
        None => Body::from(bytes),
    });
    let Some(url) = url else { return reqwest::Request::try_from(request) };
    debug_assert_eq!(request.uri().to_string(), url.as_str(), "spans and metrics tell the first");
    let (parts, body) = request.into_parts();
    let mut request = reqwest::Request::new(parts.method, Url::clone(&url));
    *request.headers_mut() = parts.headers;
    *request.body_mut() = Some(body);
    Ok(request)
}

fn classify(error: &reqwest::Error) -> TransportError {
    if caused_by::<LeaseWasOver>(error).is_some() {
        TransportError::LeaseOver
    } else if error.is_connect() || error.is_builder() || was_refused(error) {
        TransportError::NotSent
    } else if error.is_timeout() {
        TransportError::TimedOut
    } else {
        TransportError::Broken
    }
}

/// True where Zentra's HTTP/2 says that it did not begin with the request (RFC 9113, 8.7). A
/// goodbye is no such proof here: which requests it covers is not told beside the error.
fn was_refused(error: &reqwest::Error) -> bool {
    caused_by::<h2::Error>(error).is_some_and(|fault| {
        let refused = fault.reason() == Some(h2::Reason::REFUSED_STREAM);
        refused && fault.is_reset() && fault.is_remote()
    })
}

/// The first cause of this type.
fn caused_by<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut cause = error.source();
    while let Some(fault) = cause {
        if let Some(found) = fault.downcast_ref() {
            return Some(found);
        }
        cause = fault.source();
    }
    None
}
