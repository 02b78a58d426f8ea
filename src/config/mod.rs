//! Typed settings. Everything is read and checked, and every fault listed, before anything is
//! bound.

mod args;
mod listen;
mod policy;
mod secret_file;
mod show;
mod store;
mod tls;
mod upstream;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

pub use args::ServeArgs;
pub use listen::ListenAddress;
pub use show::show;
pub use store::StoreSettings;

use crate::admission::AdmissionSettings;
use crate::domain::{Account, Caller, Environment};
use crate::engine::EngineSettings;
use crate::gateway::CardData;
use crate::grpc::Deadlines;
use crate::listen::tls::Terms;
use crate::listen::{ConnectionLimits, TrustedUids};
use crate::policy::Policies;
use crate::reconciler::ReconcilerSettings;
use crate::telemetry::AuditTarget;
use crate::telemetry::headers::Headers;
use crate::telemetry::settings::OtelSettings;
use crate::upstream::{ProxyUrl, StackSettings};
use crate::zentra::{BaseUrl, BaseUrlFault, KeyRing};

/// The settings of a sidecar, all of them good.
pub struct Settings {
    /// Where gRPC is served; at least one.
    pub listen: Vec<ListenAddress>,
    /// Where health over HTTP is served.
    pub admin_listen: SocketAddr,
    /// Where Zentra is.
    pub zentra_url: BaseUrl,
    /// Zentra's secret key.
    pub zentra_key: Arc<KeyRing>,
    /// The proxy on the way to Zentra.
    pub zentra_proxy: Option<ProxyUrl>,
    /// The name of the Zentra account.
    pub account: Account,
    /// Who calls on every listener without TLS.
    pub caller: Caller,
    /// On what terms connections with TLS are made; there, where an address has it.
    pub tls: Option<Arc<Terms>>,
    /// The users that may call over Unix sockets.
    pub unix_peer_uids: TrustedUids,
    /// How many connections there may be, and how old they may be.
    pub connections: ConnectionLimits,
    /// Whether `Tokenize` is served.
    pub card_data: CardData,
    /// The payment policy.
    pub policies: Arc<Policies>,
    /// How deadlines are dealt with.
    pub deadlines: Deadlines,
    /// How requests to Zentra are limited and repeated.
    pub upstream: StackSettings,
    /// How many calls are taken at once.
    pub admission: AdmissionSettings,
    /// What remembers payments.
    pub store: StoreSettings,
    /// The engine's limits.
    pub engine: EngineSettings,
    /// How often the reconciler works.
    pub reconciler: ReconcilerSettings,
    /// How long calls under way have at the end.
    pub drain: Duration,
    /// Where the audit log goes.
    pub audit: AuditTarget,
    /// The headers that collectors want, where a file holds them.
    pub otlp_headers: Option<Headers>,
    /// What is exported; nothing unless [`Settings::with_otel`] says so.
    pub otel: OtelSettings,
}

impl Settings {
    /// Which Zentra it is.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.zentra_key.environment()
    }

    /// Reads every setting; files are read, nothing is bound.
    ///
    /// # Errors
    /// Every fault there is.
    pub fn read(
        args: &ServeArgs,
        key_in_environment: Option<SecretString>,
    ) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let listen = listen::read_all(args, &mut faults);
        let admin_listen =
            faults.parse("--admin-listen", &args.admin_listen, "an address and port");
        let tls = tls::read(args, listen.as_deref(), &mut faults);
        let unix_peer_uids = tls::read_uids(args, listen.as_deref(), &mut faults);
        let connections = tls::read_limits(args, &mut faults);
        let key = upstream::read_key(args, key_in_environment, &mut faults);
        let zentra_url = read_url(args, key.as_ref(), &mut faults);
        let zentra_proxy = upstream::read_proxy(args, zentra_url.as_ref(), &mut faults);
        let stack = upstream::read(args, &mut faults);
        let admission = read_admission(args, &mut faults);
        let store = store::read(args, key.as_ref().map(KeyRing::environment), &mut faults);
        let engine = store::read_engine(args, stack.as_ref(), &mut faults);
        let reconciler = faults
            .seconds("--reconcile-seconds", &args.reconcile_seconds, 1..=3600)
            .map(|interval| ReconcilerSettings { interval, ..ReconcilerSettings::default() });
        let account = faults.check("--account", Account::new(&args.account));
        let caller = faults.check("--caller", Caller::new(&args.caller));
        let card_data = match args.card_data.as_str() {
            "refuse" => Some(CardData::Refuse),
            "accept" => Some(CardData::Accept),
            _ => faults.add("--card-data", "must be refuse or accept"),
        };
        let environment = key.as_ref().map(KeyRing::environment);
        let policies = policy::read(args, account.as_ref(), environment, &mut faults);
        let deadlines = read_deadlines(args, &mut faults);
        let drain = faults.seconds("--drain-seconds", &args.drain_seconds, 0..=3600);
        let otlp_headers = read_headers(args, &mut faults);
        let audit = faults.check("--audit-log", AuditTarget::new(&args.audit_log));
        let settings = (|| {
            Some(Self {
                listen: listen?,
                admin_listen: admin_listen?,
                zentra_url: zentra_url?,
                zentra_key: Arc::new(key?),
                zentra_proxy: zentra_proxy?,
                account: account?,
                caller: caller?,
                tls: tls?,
                unix_peer_uids: unix_peer_uids?,
                connections: connections?,
                card_data: card_data?,
                policies: policies?,
                deadlines: deadlines?,
                upstream: stack?,
                admission: admission?,
                store: store?,
                engine: engine?,
                reconciler: reconciler?,
                drain: drain?,
                audit: audit?,
                otlp_headers: otlp_headers?,
                otel: OtelSettings::default(),
            })
        })();
        settings.filter(|_| faults.0.is_empty()).ok_or(faults)
    }

    /// Adds what OpenTelemetry's own variables say.
    ///
    /// # Errors
    /// Every fault there is, of the settings too.
    pub fn with_otel(
        read: Result<Self, Faults>,
        otel: Result<OtelSettings, Vec<String>>,
    ) -> Result<Self, Faults> {
        match (read, otel) {
            (Ok(settings), Ok(otel)) if settings.otlp_headers.is_some() && otel.has_headers => {
                let mut faults = Faults::default();
                let twice = "is given beside OTEL_EXPORTER_OTLP_HEADERS or that of a signal; give one \
                             of them";
                faults.add::<()>(HEADERS, twice);
                Err(faults)
            }
            (Ok(settings), Ok(otel)) => Ok(Self { otel, ..settings }),
            (Err(faults), Ok(_)) => Err(faults),
            (read, Err(otel)) => {
                let mut faults = read.err().unwrap_or_default();
                faults.0.extend(otel);
                Err(faults)
            }
        }
    }
}

const HEADERS: &str = "--otlp-headers-file";

/// The headers for collectors; the outer none where there is a fault.
#[expect(clippy::option_option, reason = "absent and faulty are told apart")]
fn read_headers(args: &ServeArgs, faults: &mut Faults) -> Option<Option<Headers>> {
    let Some(path) = args.otlp_headers_file.as_deref().filter(|path| !path.is_empty()) else {
        return Some(None);
    };
    match secret_file::read(path) {
        Ok(text) => faults.check(HEADERS, Headers::parse(text.expose_secret())).map(Some),
        Err(fault) => {
            faults.add(HEADERS, format!("cannot read {}: {fault}", secret_file::shown(path)))
        }
    }
}

fn read_url(args: &ServeArgs, key: Option<&KeyRing>, faults: &mut Faults) -> Option<BaseUrl> {
    const NAME: &str = "--zentra-url";
    let address = args.zentra_url.as_deref().filter(|address| !address.is_empty());
    match key {
        Some(key) => faults.check(NAME, BaseUrl::new(address, key.environment())),
        // Without a key only what is wrong with the address by itself can be told.
        None => match BaseUrl::new(address, Environment::Simulated) {
            Ok(_) | Err(BaseUrlFault::Missing | BaseUrlFault::WrongEnvironment { .. }) => None,
            Err(fault) => faults.add(NAME, fault),
        },
    }
}

fn read_admission(args: &ServeArgs, faults: &mut Faults) -> Option<AdmissionSettings> {
    let in_flight = faults.count("--calls-in-flight", &args.calls_in_flight, 1..=65_536);
    let waiting = faults.count("--calls-waiting", &args.calls_waiting, 0..=65_536);
    Some(AdmissionSettings { in_flight: in_flight?, waiting: waiting? })
}

fn read_deadlines(args: &ServeArgs, faults: &mut Faults) -> Option<Deadlines> {
    let minimum = faults.millis("--minimum-deadline-ms", &args.minimum_deadline_ms, 1..=60_000);
    let margin = faults.millis("--deadline-margin-ms", &args.deadline_margin_ms, 0..=60_000);
    let default =
        faults.seconds("--default-deadline-seconds", &args.default_deadline_seconds, 1..=600);
    Some(Deadlines { minimum: minimum?, margin: margin?, default: default? })
}

/// Every fault of the settings, in the order of `--help`.
#[derive(Debug, Default)]
pub struct Faults(Vec<String>);

impl Faults {
    /// Notes a fault; always none, for use at the end of a branch.
    fn add<T>(&mut self, name: &'static str, fault: impl fmt::Display) -> Option<T> {
        self.0.push(format!("{name} ({}) {fault}", args::variable(name)));
        None
    }

    /// Adds the fault of a setting that is read elsewhere, where it has one; gives the settings
    /// only where nothing is wrong at all.
    ///
    /// # Errors
    /// Every fault there is.
    pub fn with<T>(read: Result<T, Self>, other: Result<(), String>) -> Result<T, Self> {
        match (read, other) {
            (read, Ok(())) => read,
            (Ok(_), Err(fault)) => Err(Self(vec![fault])),
            (Err(mut faults), Err(fault)) => {
                faults.0.push(fault);
                Err(faults)
            }
        }
    }

    fn check<T, E: fmt::Display>(&mut self, name: &'static str, value: Result<T, E>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(fault) => self.add(name, fault),
        }
    }

    fn parse<T: FromStr>(&mut self, name: &'static str, text: &str, what: &str) -> Option<T> {
        self.check(name, text.parse().map_err(|_| format!("must be {what}")))
    }

    fn number(
        &mut self,
        name: &'static str,
        text: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let fault = || format!("must be a whole number from {} to {}", range.start(), range.end());
        self.check(name, number.ok_or_else(fault))
    }

    fn count(
        &mut self,
        name: &'static str,
        text: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<usize> {
        self.number(name, text, range).and_then(|number| usize::try_from(number).ok())
    }

    fn millis(
        &mut self,
        name: &'static str,
        text: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<Duration> {
        self.number(name, text, range).map(Duration::from_millis)
    }

    fn seconds(
        &mut self,
        name: &'static str,
        text: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<Duration> {
        self.number(name, text, range).map(Duration::from_secs)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => formatter.write_str("a setting is wrong:")?,
            count => write!(formatter, "{count} settings are wrong:")?,
        }
        self.0.iter().try_for_each(|fault| write!(formatter, "\n  {fault}"))
    }
}

#[cfg(test)]
mod tests;
