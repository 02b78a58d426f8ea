//! The way to Zentra: a stack of layers around one HTTP exchange.
//!
//! It repeats only what is provably unprocessed, and reads. Doubt about a write returns to the
//! engine, the one place that looks up and posts again. Nothing here knows of payments.

mod around;
mod attempt_timeout;
mod breaker;
mod budget;
mod circuit;
mod classify;
mod deadline;
mod fenced_body;
mod lease_check;
mod observe;
mod pool;
mod queue;
mod rate_limit;
mod retry;
mod send_fence;
mod sign;
mod terms;
mod transport;

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower::util::BoxCloneSyncService;

pub use budget::{Budget, BudgetSettings};
pub use circuit::{Circuit, CircuitSettings, CircuitState};
pub use rate_limit::RateLimit;
pub use retry::RetrySettings;
pub use send_fence::SendFence;
pub use sign::Credentials;
pub use terms::{Effect, Repeated, Terms, Tries, TryNumber};
pub use transport::{Limits, ProxyUrl, TransportError, over_reqwest};

use crate::clock::Clock;
use crate::shutdown::Draining;
use crate::telemetry::Telemetry;
use around::AroundLayer;

/// The service that carries a request to Zentra and brings the whole answer back.
pub type Upstream = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, TransportError>;

/// Draws a number from 0 up to, but not including, 1.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// How the stack behaves.
#[derive(Clone, Debug)]
pub struct StackSettings {
    /// The limits of one exchange.
    pub limits: Limits,
    /// How exchanges are repeated.
    pub retry: RetrySettings,
    /// How many repeats there may be.
    pub budget: BudgetSettings,
    /// When nothing more is sent.
    pub circuit: CircuitSettings,
    /// Requests at Zentra at once; more wait their turn.
    pub requests_in_flight: usize,
}

impl Default for StackSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            retry: RetrySettings::default(),
            budget: BudgetSettings::default(),
            circuit: CircuitSettings::default(),
            requests_in_flight: 256,
        }
    }
}

/// What the layers share with those who watch them. Clones share everything.
#[derive(Clone)]
pub struct StackState {
    /// Whether anything is sent at all.
    pub circuit: Arc<Circuit>,
    /// What is left for repeats.
    pub budget: Arc<Budget>,
    /// What Zentra last said of its rate limit.
    pub rate_limit: Arc<RateLimit>,
    /// The free places among those at Zentra at once.
    pub places: Arc<Semaphore>,
}

impl StackState {
    /// The state of a stack that has not sent anything yet.
    #[must_use]
    pub fn new(settings: &StackSettings, jitter: Jitter) -> Self {
        Self {
            circuit: Arc::new(Circuit::new(settings.circuit, jitter)),
            budget: Arc::new(Budget::new(settings.budget)),
            rate_limit: Arc::new(RateLimit::default()),
            places: Arc::new(Semaphore::new(settings.requests_in_flight)),
        }
    }
}

/// What the stack is told from outside.
#[derive(Clone)]
pub struct StackParts {
    /// Whoever has Zentra's key.
    pub credentials: Arc<dyn Credentials>,
    /// The wall clock, for dates in `Retry-After`.
    pub clock: Arc<dyn Clock>,
    /// The chance in the pauses.
    pub jitter: Jitter,
    /// Where each try is told.
    pub telemetry: Telemetry,
    /// Whether the process is about to end, and waits have to come to one.
    pub draining: Draining,
}

/// Puts the layers around `transport`, outermost first.
#[must_use]
pub fn stack(
    transport: Upstream,
    settings: &StackSettings,
    parts: StackParts,
    state: StackState,
) -> Upstream {
    let StackParts { credentials, clock, jitter, telemetry, draining } = parts;
    let StackState { circuit, budget, rate_limit, places } = state;
    let connect_timeout = settings.limits.connect_timeout;
    let retry = settings.retry;
    let repeats =
        retry::Repeats { settings: retry, budget, jitter, clock, draining: draining.clone() };
    let service = ServiceBuilder::new()
        // As the layers hand it on.
        .map_request(Box::new)
        // Around the repeats and their pauses: the caller's time is one budget for all of them.
        .layer(AroundLayer::new(deadline::Deadline))
        // Repeats what is provably unprocessed. Each repeat passes all that follows once more.
        .layer(AroundLayer::new(repeats))
        // Inside the repeats, so that each try counts; before the queue, so that nobody waits
        // for a place to be refused. Who has waited is asked once more, by the queue itself.
        .layer(AroundLayer::new(breaker::Breaker { circuit: circuit.clone() }))
        // Waiting for a place is not waiting for Zentra: it stands outside the try's own time,
        // and a pause before a repeat takes nobody's place.
        .layer(AroundLayer::new(queue::Queue { places, circuit, draining }))
        // The time of one try.
        .layer(AroundLayer::new(attempt_timeout::AttemptTimeout(settings.limits.attempt_timeout)))
        // After all that may wait here: what leaves is still this call's to send. Where it waits
        // for a stream of its connection, its body looks once more (`fenced_body`).
        .layer(AroundLayer::new(lease_check::LeaseCheck { connect_timeout }))
        // The key of this very moment, and the number of the try.
        .map_request(sign::sign(credentials))
        .map_response(sign::note(rate_limit))
        // Each try's own span and time. It waits for nothing, so that the lease check stays true.
        .layer(observe::ObserveLayer { telemetry })
        .service(transport);
    BoxCloneSyncService::new(service)
}
