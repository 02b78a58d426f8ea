//! The composition root: the only module that knows all others.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

mod reconciling;

pub use reconciling::{Reconciling, reconcile, reconcile_over};

use crate::admin;
use crate::admission::Admission;
use crate::clock::Clock;
use crate::config::{ListenAddress, Settings};
use crate::engine::{Engine, EngineParts};
use crate::failpoint;
use crate::gateway::Gateway;
use crate::grpc::{CallSettings, Server};
use crate::idempotency::machine::Format;
use crate::idempotency::redis::{RedisSettings, RedisStore, StoreUrl};
use crate::idempotency::{FingerprintKeys, MemoryStore, ObservedStore, Store};
use crate::listen::tls::Terms;
use crate::listen::{Connections, Listener};
use crate::policy::Policies;
use crate::readiness;
use crate::reconciler::Reconciler;
use crate::shutdown::Draining;
use crate::telemetry::Telemetry;
use crate::upstream::{self, Jitter, StackParts, StackSettings, StackState, Upstream};
use crate::zentra::Zentra;

/// How long connections may stay once no call is under way: for the last answers and the goodbye
/// to leave.
const GOODBYE: Duration = Duration::from_millis(250);

/// What is kept of the time to drain for what comes after the calls: the goodbye, and the last
/// spans and metrics.
const LAST_WORDS: Duration = Duration::from_millis(600);

/// Why a sidecar did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be bound.
    #[error("cannot listen on {address}: {fault}")]
    Bind {
        /// The address.
        address: String,
        /// What the system says.
        fault: io::Error,
    },
    /// The client towards Zentra could not be made.
    #[error("cannot make the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The compiled contract could not be read.
    #[error("cannot read the compiled contract: {0}")]
    Contract(#[from] tonic_reflection::server::Error),
}

/// A sidecar that serves.
pub struct Running {
    addresses: Vec<String>,
    admin_address: SocketAddr,
    server: Server,
    gateway: Gateway,
    draining: Draining,
    drain: Duration,
    listeners: JoinSet<()>,
    admin: tokio::task::JoinHandle<()>,
}

/// How a sidecar ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every call ended.
    Clean,
    /// The time to drain was over first; payments under way were cut off and are unknown.
    CutOff,
}

/// What a sidecar is put together from.
pub struct Parts {
    /// The way to Zentra.
    pub upstream: Upstream,
    /// The state of that way, for those who watch it.
    pub upstream_state: StackState,
    /// What remembers payments.
    pub store: Arc<dyn Store>,
    /// What tells commands apart.
    pub keys: Arc<FingerprintKeys>,
    /// Where operators are told.
    pub telemetry: Telemetry,
    /// Whether the process is about to end.
    pub draining: Draining,
}

impl Parts {
    /// The parts that the settings ask for. No store is declared new here: an earlier process may
    /// have made payments that an empty one knows nothing of.
    ///
    /// # Errors
    /// Where the HTTP client cannot be made.
    pub fn of(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        telemetry: Telemetry,
    ) -> Result<Self, reqwest::Error> {
        let StackSettings { limits, .. } = settings.upstream;
        let transport = upstream::over_reqwest(limits, settings.zentra_proxy.as_ref())?;
        Ok(Self::over(transport, settings, clock, telemetry))
    }

    /// The same over any transport, which production's layers are put around.
    #[must_use]
    pub fn over(
        transport: Upstream,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        telemetry: Telemetry,
    ) -> Self {
        let jitter: Jitter = Arc::new(rand::random::<f64>);
        let credentials = settings.zentra_key.clone();
        let upstream_state = StackState::new(&settings.upstream, jitter.clone());
        let draining = Draining::within(settings.drain);
        let parts = StackParts {
            credentials,
            clock,
            jitter,
            telemetry: telemetry.clone(),
            draining: draining.clone(),
        };
        let upstream =
            upstream::stack(transport, &settings.upstream, parts, upstream_state.clone());
        let store = open_store(settings, &telemetry);
        let keys = settings.store.keys.clone();
        let keys = keys.unwrap_or_else(|| Arc::new(FingerprintKeys::ephemeral(rand::random())));
        Self { upstream, upstream_state, store, keys, telemetry, draining }
    }
}

fn open_store(settings: &Settings, telemetry: &Telemetry) -> Arc<dyn Store> {
    match &settings.store.url {
        StoreUrl::Memory => {
            let started = Instant::now();
            let now_ms = move || u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            Arc::new(MemoryStore::new(now_ms))
        }
        StoreUrl::Redis(url) => {
            let store = RedisStore::new(RedisSettings {
                url: url.clone(),
                password_file: settings.store.password_file.clone(),
                ca_file: settings.store.ca_file.clone(),
                step_timeout: settings.store.step_timeout,
                account: settings.account.clone(),
                environment: settings.environment(),
                format: format(),
            });
            let server = store.server();
            Arc::new(ObservedStore::new(Arc::new(store), server, telemetry.clone()))
        }
    }
}

/// Which record formats this build writes and reads.
fn format() -> Format {
    let usual = Format::default();
    let writes = failpoint::format_written(usual.writes);
    Format { writes, reads: usual.reads.max(writes) }
}

/// The engine of the settings' account, for `serve` and for the operators' commands.
#[must_use]
pub fn engine(settings: &Settings, clock: Arc<dyn Clock>, parts: Parts) -> Engine {
    let Parts { upstream, upstream_state, store, keys, telemetry, draining } = parts;
    let zentra = Zentra::new(
        settings.zentra_url.clone(),
        settings.zentra_key.clone(),
        (upstream, upstream_state),
        clock.clone(),
    );
    let (account, environment) = (settings.account.clone(), settings.environment());
    let parts =
        EngineParts { zentra, store, keys, clock, account, environment, telemetry, draining };
    Engine::new(parts, settings.engine)
}

/// Starts a sidecar.
///
/// # Errors
/// A [`StartError`]; nothing is left bound.
pub async fn start(
    settings: Settings,
    clock: Arc<dyn Clock>,
    telemetry: Telemetry,
) -> Result<Running, StartError> {
    let parts = Parts::of(&settings, clock.clone(), telemetry)?;
    start_over(settings, clock, parts).await
}

/// Starts a sidecar over any transport and store.
///
/// # Errors
/// As [`start`].
pub async fn start_over(
    settings: Settings,
    clock: Arc<dyn Clock>,
    parts: Parts,
) -> Result<Running, StartError> {
    let bound = bind_all(&settings).await?;
    let admin_listener = TcpListener::bind(settings.admin_listen)
        .await
        .map_err(|fault| bind_error(&settings.admin_listen, fault))?;
    let admin_address =
        admin_listener.local_addr().map_err(|fault| bind_error(&settings.admin_listen, fault))?;
    let addresses = bound.iter().map(Listener::address).collect();

    let draining = parts.draining.clone();
    let (store, keys) = (parts.store.clone(), parts.keys.checks());
    let (readiness, monitor) = readiness::checked(store, keys, draining.clone()).await;
    let admission = Admission::new(settings.admission);
    let door = Connections::new(settings.connections);
    let telemetry = parts.telemetry.clone();
    let states = admin::States {
        readiness: readiness.clone(),
        upstream: parts.upstream_state.clone(),
        key: settings.zentra_key.clone(),
        account: (settings.account.clone(), settings.environment()),
    };
    states.show(&telemetry);
    telemetry.measures().expect_calls();
    admin::show_policies(&telemetry, &settings.policies);
    let doors = admin::Doors {
        admission: admission.clone(),
        connections: door.clone(),
        tls: settings.tls.clone(),
    };
    doors.show(&telemetry);
    let engine = engine(&settings, clock.clone(), parts);
    let gateway = Gateway::new(
        engine.clone(),
        settings.card_data,
        readiness.clone(),
        settings.policies.clone(),
    );
    let calls = CallSettings {
        deadlines: settings.deadlines,
        draining: draining.clone(),
        admission,
        under_way: TaskTracker::new(),
        telemetry: telemetry.clone(),
    };
    let server = Server::new(gateway.clone(), calls, clock.clone()).await?;
    server.set_serving(readiness.fault().is_none()).await;

    let mut listeners = JoinSet::new();
    for listener in bound {
        listeners.spawn(server.clone().serve(listener, door.clone()));
    }
    let admin = tokio::spawn(admin::serve(admin_listener, readiness, telemetry));
    let health = server.clone();
    engine.spawn(monitor.run(move |serving| {
        let health = health.clone();
        async move { health.set_serving(serving).await }
    }));
    watch_files(&engine, settings.tls, settings.policies, &draining, clock);
    let reconciler = Reconciler::new(engine.clone(), settings.reconciler);
    engine.spawn(reconciler.run(draining.clone()));
    let drain = settings.drain;
    Ok(Running { addresses, admin_address, server, gateway, draining, drain, listeners, admin })
}

impl Running {
    /// Where gRPC is served, as callers write it.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Where health over HTTP is served.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// How long the end may take, most of which calls under way have.
    #[must_use]
    pub fn drain(&self) -> Duration {
        self.drain
    }

    /// Ends in order: not ready; new calls are told so; calls under way end or are cut off;
    /// connections are closed, those without a call after no longer than a goodbye takes.
    pub async fn shut_down(mut self) -> End {
        // First, so that the store's monitor cannot call the sidecar ready again.
        self.draining.begin();
        self.server.set_serving(false).await;
        let drained = async {
            self.server.calls_ended().await;
            // What outlives its caller counts too.
            self.gateway.finish().await;
        };
        let end = match timeout(self.drain.saturating_sub(LAST_WORDS), drained).await {
            Ok(()) => End::Clean,
            Err(_) => End::CutOff,
        };
        self.server.close().await;
        if end == End::Clean {
            let closed = async { while self.listeners.join_next().await.is_some() {} };
            // Whoever still holds a connection has no call on it.
            let _ = timeout(GOODBYE, closed).await;
        }
        self.listeners.shutdown().await;
        self.admin.abort();
        end
    }

    /// Returns only where a listener breaks.
    pub async fn broken(&mut self) -> &'static str {
        match self.listeners.join_next().await {
            // What it panicked with may be anything.
            Some(Err(_)) => "a listener broke off",
            Some(Ok(())) | None => "a listener ended",
        }
    }
}

/// Takes new keys, certificates and policies when their files change, until the end begins.
fn watch_files(
    engine: &Engine,
    tls: Option<Arc<Terms>>,
    policies: Arc<Policies>,
    draining: &Draining,
    clock: Arc<dyn Clock>,
) {
    let until_the_end = |watch: Pin<Box<dyn Future<Output = ()> + Send>>| {
        let end = draining.clone();
        engine.spawn(async move {
            tokio::select! {
                () = end.begun() => {}
                () = watch => {}
            }
        });
    };
    let key = engine.zentra().key().clone();
    until_the_end(Box::pin(async move { key.watch().await }));
    until_the_end(Box::pin(async move { policies.watch().await }));
    if let Some(terms) = tls {
        until_the_end(Box::pin(async move { terms.watch(clock).await }));
    }
}

async fn bind_all(settings: &Settings) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::with_capacity(settings.listen.len());
    for address in &settings.listen {
        let caller = settings.caller.clone();
        let listener = match (address, &settings.tls) {
            (ListenAddress::Tcp(address), _) => Listener::tcp(*address, caller).await,
            (ListenAddress::Unix(path), _) => {
                Listener::unix(path, caller, settings.unix_peer_uids.clone()).await
            }
            (ListenAddress::Tls(address), Some(terms)) => {
                Listener::tls(*address, terms.clone()).await
            }
            // The settings do not come without.
            (ListenAddress::Tls(_), None) => Err(io::Error::other("there is no certificate")),
        };
        listeners.push(listener.map_err(|fault| bind_error(address, fault))?);
    }
    Ok(listeners)
}

fn bind_error(address: &impl ToString, fault: io::Error) -> StartError {
    StartError::Bind { address: address.to_string(), fault }
}
