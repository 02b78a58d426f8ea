//! A sidecar in this process, on free ports.

use std::sync::Arc;

use clap::Parser;
use jiff::Timestamp;
use tonic::transport::Channel;
use zentra_sidecar::app::{self, End, Parts, Running};
use zentra_sidecar::clock::Clock;
use zentra_sidecar::config::{ServeArgs, Settings};
use zentra_sidecar::grpc::proto::payment_service_client::PaymentServiceClient;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::{Limits, Upstream};

pub(crate) type Client = PaymentServiceClient<Channel>;

/// The key that simulators take, and that must appear nowhere but in the header.
pub(crate) const KEY: &str = "sk_simulated_0000000000000000";

/// A clock that stands still: cards expire and dates lie ahead at the same time in every run.
#[derive(Clone, Copy)]
pub(crate) struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }
}

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    args: ServeArgs,
}

/// The settings of `serve` with these flags, and with defaults that suit a story.
pub(crate) fn settings(zentra_url: &str, flags: &[&str]) -> Settings {
    let zentra_url = format!("--zentra-url={zentra_url}");
    let defaults = [
        "--listen=127.0.0.1:0",
        "--admin-listen=127.0.0.1:0",
        "--card-data=accept",
        "--store=memory:",
        &zentra_url,
    ];
    let given = |default: &&str| {
        let name = default.split('=').next().unwrap();
        !flags.iter().any(|flag| flag.starts_with(name))
    };
    let defaults = defaults.iter().copied().filter(given);
    let arguments = ["serve"].into_iter().chain(defaults).chain(flags.iter().copied());
    let args = Serve::parse_from(arguments).args;
    Settings::read(&args, Some(KEY.into())).unwrap_or_else(|faults| panic!("{faults}"))
}

/// A running sidecar and a client of it.
pub(crate) struct Sidecar {
    running: Running,
    client: Client,
}

impl Sidecar {
    /// In front of `zentra_url`.
    pub(crate) async fn start(zentra_url: &str, flags: &[&str]) -> Self {
        Self::over(zentra_url, flags, transport()).await
    }

    /// Over a transport of the story's own. The store is declared new: Zentra has seen nothing.
    pub(crate) async fn over(zentra_url: &str, flags: &[&str], upstream: Upstream) -> Self {
        Self::telling(zentra_url, flags, upstream, Telemetry::quiet()).await
    }

    /// The same, with operators' telemetry of the story's own.
    pub(crate) async fn telling(
        zentra_url: &str,
        flags: &[&str],
        upstream: Upstream,
        telemetry: Telemetry,
    ) -> Self {
        let settings = settings(zentra_url, flags);
        let parts = Parts::over(upstream, &settings, Arc::new(StandingClock), telemetry);
        parts.store.init().await.unwrap();
        Self::of(app::start_over(settings, Arc::new(StandingClock), parts).await).await
    }

    async fn of(started: Result<Running, app::StartError>) -> Self {
        let running = started.unwrap_or_else(|fault| panic!("{fault}"));
        let address = format!("http://{}", running.addresses()[0]);
        let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
        Self { running, client: Client::new(channel) }
    }

    /// A client on a connection that is shared by all clients of this sidecar.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> String {
        self.running.addresses()[0].clone()
    }

    /// Another connection.
    pub(crate) async fn channel(&self) -> Channel {
        let address = format!("http://{}", self.address());
        Channel::from_shared(address).unwrap().connect().await.unwrap()
    }

    /// Ends it in order.
    pub(crate) async fn shut_down(self) -> End {
        drop(self.client);
        self.running.shut_down().await
    }
}

/// The production transport.
pub(crate) fn transport() -> Upstream {
    zentra_sidecar::upstream::over_reqwest(Limits::default(), None).unwrap()
}
