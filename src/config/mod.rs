//! Typed settings. Everything is read and checked, and every fault listed, before anything is
//! bound.

mod args;
mod listen;
mod secret_file;
mod show;
mod store;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

pub use args::ServeArgs;
pub use listen::ListenAddress;
pub use show::show;
pub use store::StoreSettings;

use crate::domain::{Account, Caller, Environment};
use crate::engine::EngineSettings;
use crate::gateway::CardData;
use crate::grpc::Deadlines;
use crate::reconciler::ReconcilerSettings;
use crate::upstream::Limits;
use crate::zentra::{BaseUrl, BaseUrlFault, SecretKey};

/// The settings of a sidecar, all of them good.
pub struct Settings {
    /// Where gRPC is served; at least one.
    pub listen: Vec<ListenAddress>,
    /// Where health over HTTP is served.
    pub admin_listen: SocketAddr,
    /// Where Zentra is.
    pub zentra_url: BaseUrl,
    /// Zentra's secret key.
    pub zentra_key: Arc<SecretKey>,
    /// The name of the Zentra account.
    pub account: Account,
    /// Who calls on every listener.
    pub caller: Caller,
    /// Whether `Tokenize` is served.
    pub card_data: CardData,
    /// How deadlines are dealt with.
    pub deadlines: Deadlines,
    /// The limits of an exchange with Zentra.
    pub upstream: Limits,
    /// What remembers payments.
    pub store: StoreSettings,
    /// The engine's limits.
    pub engine: EngineSettings,
    /// How often the reconciler works.
    pub reconciler: ReconcilerSettings,
    /// How long calls under way have at the end.
    pub drain: Duration,
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
        let key = read_key(args, key_in_environment, &mut faults);
        let zentra_url = read_url(args, key.as_ref(), &mut faults);
        let upstream = read_limits(args, &mut faults);
        let store = store::read(args, key.as_ref().map(SecretKey::environment), &mut faults);
        let engine = store::read_engine(args, upstream.as_ref(), &mut faults);
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
        let deadlines = read_deadlines(args, &mut faults);
        let drain = faults.seconds("--drain-seconds", &args.drain_seconds, 0..=3600);
        let settings = (|| {
            Some(Self {
                listen: listen?,
                admin_listen: admin_listen?,
                zentra_url: zentra_url?,
                zentra_key: Arc::new(key?),
                account: account?,
                caller: caller?,
                card_data: card_data?,
                deadlines: deadlines?,
                upstream: upstream?,
                store: store?,
                engine: engine?,
                reconciler: reconciler?,
                drain: drain?,
            })
        })();
        settings.filter(|_| faults.0.is_empty()).ok_or(faults)
    }
}

fn read_url(args: &ServeArgs, key: Option<&SecretKey>, faults: &mut Faults) -> Option<BaseUrl> {
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

fn read_deadlines(args: &ServeArgs, faults: &mut Faults) -> Option<Deadlines> {
    let minimum = faults.millis("--minimum-deadline-ms", &args.minimum_deadline_ms, 1..=60_000);
    let margin = faults.millis("--deadline-margin-ms", &args.deadline_margin_ms, 0..=60_000);
    let default =
        faults.seconds("--default-deadline-seconds", &args.default_deadline_seconds, 1..=600);
    Some(Deadlines { minimum: minimum?, margin: margin?, default: default? })
}

fn read_limits(args: &ServeArgs, faults: &mut Faults) -> Option<Limits> {
    let connect = faults.millis("--connect-timeout-ms", &args.connect_timeout_ms, 1..=60_000);
    let attempt =
        faults.seconds("--attempt-timeout-seconds", &args.attempt_timeout_seconds, 1..=300);
    Some(Limits { connect_timeout: connect?, attempt_timeout: attempt?, ..Limits::default() })
}

fn read_key(
    args: &ServeArgs,
    in_environment: Option<SecretString>,
    faults: &mut Faults,
) -> Option<SecretKey> {
    const NAME: &str = "--zentra-key-file";
    let file = args.zentra_key_file.as_deref().filter(|path| !path.is_empty());
    let text = match (file, in_environment) {
        (Some(_), Some(_)) => {
            return faults.add(NAME, "is given beside ZENTRA_SECRET_KEY; give one of them");
        }
        // A key in the place of its file's name must not be repeated in a message.
        (Some(path), None) if looks_like_key(path) => {
            return faults.add(NAME, "is a key; give the name of the file that holds it");
        }
        (Some(path), None) => match secret_file::read(path) {
            Ok(text) => text,
            Err(fault) => return faults.add(NAME, format!("cannot read {path}: {fault}")),
        },
        (None, Some(text)) => text,
        (None, None) => {
            return faults.add(NAME, "is required: the file that holds Zentra's secret key");
        }
    };
    faults.check(NAME, SecretKey::new(&text))
}

fn looks_like_key(text: &str) -> bool {
    ["sk_", "pk_", "whsec_"].iter().any(|prefix| text.trim_start().starts_with(prefix))
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
