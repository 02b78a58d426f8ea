//! The composition root: the only module that knows all others.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::admin;
use crate::clock::Clock;
use crate::config::{ListenAddress, Settings};
use crate::gateway::Gateway;
use crate::grpc::{CallSettings, Listener, Server};
use crate::shutdown::Draining;
use crate::upstream::{self, Upstream};
use crate::zentra::Zentra;

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
    listeners: JoinSet<Result<(), tonic::transport::Error>>,
    admin: tokio::task::JoinHandle<io::Result<()>>,
}

/// How a sidecar ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every call ended.
    Clean,
    /// The time to drain was over first; payments under way were cut off and are unknown.
    CutOff,
}

/// Starts a sidecar over the production transport.
///
/// # Errors
/// A [`StartError`]; nothing is left bound.
pub async fn start(settings: Settings, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    let upstream = upstream::over_reqwest(settings.upstream)?;
    start_over(settings, clock, upstream).await
}

/// Starts a sidecar over any transport.
///
/// # Errors
/// As [`start`].
pub async fn start_over(
    settings: Settings,
    clock: Arc<dyn Clock>,
    upstream: Upstream,
) -> Result<Running, StartError> {
    let environment = settings.environment();
    let draining = Draining::default();
    let zentra = Zentra::new(settings.zentra_url, settings.zentra_key, upstream, clock.clone());
    let gateway = Gateway::new(zentra, settings.account, environment, settings.card_data);
    let calls = CallSettings {
        caller: settings.caller,
        deadlines: settings.deadlines,
        draining: draining.clone(),
    };
    let server = Server::new(gateway.clone(), calls, clock).await?;

    let bound = bind_all(&settings.listen).await?;
    let admin_listener = TcpListener::bind(settings.admin_listen)
        .await
        .map_err(|fault| bind_error(&settings.admin_listen, fault))?;
    let admin_address =
        admin_listener.local_addr().map_err(|fault| bind_error(&settings.admin_listen, fault))?;
    let addresses = bound.iter().map(Listener::address).collect();

    let mut listeners = JoinSet::new();
    for listener in bound {
        listeners.spawn(server.clone().serve(listener));
    }
    let admin = tokio::spawn(admin::serve(admin_listener, draining.clone()));
    server.set_serving(true).await;
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

    /// Ends in order: not ready, no new calls, calls under way end or are cut off.
    pub async fn shut_down(mut self) -> End {
        self.server.set_serving(false).await;
        self.draining.begin();
        self.server.end_watches().await;
        let drained = async {
            while self.listeners.join_next().await.is_some() {}
            // What outlives its caller counts too.
            self.gateway.finish().await;
        };
        let end = match timeout(self.drain, drained).await {
            Ok(()) => End::Clean,
            Err(_) => End::CutOff,
        };
        self.admin.abort();
        end
    }

    /// Returns only where a listener breaks.
    pub async fn broken(&mut self) -> String {
        match self.listeners.join_next().await {
            Some(Ok(Err(fault))) => fault.to_string(),
            Some(Err(fault)) => fault.to_string(),
            Some(Ok(Ok(()))) | None => "a listener ended".to_owned(),
        }
    }
}

async fn bind_all(addresses: &[ListenAddress]) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener = match address {
            ListenAddress::Tcp(address) => Listener::tcp(*address).await,
            ListenAddress::Unix(path) => Listener::unix(path).await,
        };
        listeners.push(listener.map_err(|fault| bind_error(&address, fault))?);
    }
    Ok(listeners)
}

fn bind_error(address: &impl ToString, fault: io::Error) -> StartError {
    StartError::Bind { address: address.to_string(), fault }
}
