//! The store at a Redis: one server, Sentinel or Cluster, with or without TLS.
//!
//! Every step is one script, which says in Lua what [`super::machine`] says in Rust. Connections
//! are made here and nowhere else, and a claim compares the store's life with the account's canary
//! at the server itself, so that no failover can pass unseen, however the connection came about.

mod codec;
mod counters;
mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod link;
mod locator;
mod names;
mod readiness;
mod reply;
mod script;
mod steps;
mod subscription;
#[cfg(feature = "failpoints")]
mod told_clock;
mod url;

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::timeout;

use self::codec::Args;
use self::link::Link;
use self::locator::Locator;
use self::names::{Keys, Names};
use self::reply::Reply;
use self::script::StepScript;
use self::subscription::Subscription;
use super::KeyDigest;
use super::machine::Format;
use super::observed::ServerAddress;
use super::record::{Fence, OwnerId};
use super::step::Periods;
use super::store::StoreError;
use super::waiters::{Waiter, Waiters};
use crate::domain::{Account, Environment};

/// For benches of what a claim costs.
pub use counters::takes as takes_argument;
pub use url::{HostPort, RedisUrl, StoreUrl, Topology, UrlFault};

/// Where the store is, and whose records it holds.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Where the servers are.
    pub url: RedisUrl,
    /// A file with the password, read again at each connection; at most 1 MiB.
    pub password_file: Option<PathBuf>,
    /// A PEM file with the CAs to trust, read again at each connection; none trusts the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a step may take, connecting included.
    pub step_timeout: Duration,
    /// The account.
    pub account: Account,
    /// Which Zentra.
    pub environment: Environment,
    /// Which record formats this build writes and reads.
    pub format: Format,
}

/// How long a step may take unless the settings say otherwise.
pub const DEFAULT_STEP_TIMEOUT: Duration = Duration::from_millis(500);

/// The store at a Redis. It connects at the first step.
pub struct RedisStore {
    link: Link,
    names: Names,
    format: Format,
    waiters: Arc<Waiters>,
    subscription: Mutex<Option<Subscription>>,
    #[cfg(feature = "failpoints")]
    by_told_clock: bool,
}

/// What the first ten arguments of a script hold besides names and formats; zeros where a script
/// has no use for them.
#[derive(Clone, Copy)]
struct Common {
    fence: Fence,
    lease_ms: u64,
    retention_ms: u64,
    open_retention_ms: u64,
    look_up_first_ms: u64,
}

impl Common {
    const NONE: Self = Self {
        fence: Fence { owner: OwnerId::NOBODY, epoch: 0 },
        lease_ms: 0,
        retention_ms: 0,
        open_retention_ms: 0,
        look_up_first_ms: 0,
    };

    fn new(fence: Fence, periods: &Periods) -> Self {
        Self {
            fence,
            lease_ms: periods.lease_ms,
            retention_ms: periods.retention_ms,
            open_retention_ms: periods.open_retention_ms,
            look_up_first_ms: periods.look_up_first_ms,
        }
    }
}

impl RedisStore {
    /// The store of an account and environment.
    #[must_use]
    pub fn new(settings: RedisSettings) -> Self {
        let names = Names::new(&settings.account, settings.environment);
        let server = ServerAddress::of_database(settings.url.database);
        let locator = Locator {
            url: settings.url,
            password_file: settings.password_file,
            ca_file: settings.ca_file,
            slot_key: names.of("canary"),
            server,
        };
        Self {
            link: Link::new(locator, settings.step_timeout),
            names,
            format: settings.format,
            waiters: Arc::default(),
            subscription: Mutex::default(),
            #[cfg(feature = "failpoints")]
            by_told_clock: false,
        }
    }

    /// Which server the account's data is at, as far as is known.
    #[must_use]
    pub fn server(&self) -> ServerAddress {
        self.link.locator.server.clone()
    }

    /// A run of `script`, up to its tenth argument.
    fn args(
        &self,
        script: &'static StepScript,
        keys: Keys<'_>,
        digest: impl Display,
        common: Common,
    ) -> Args {
        #[cfg(feature = "failpoints")]
        let script = if self.by_told_clock { script.by_told_clock() } else { script };
        let mut command = script.command();
        self.names.add(keys, &mut command);
        Args { script, command }
            .text(self.names.prefix())
            .shown(digest)
            .number(u64::from(self.format.reads))
            .number(u64::from(self.format.writes))
            .shown(common.fence.owner)
            .number(common.fence.epoch)
            .number(common.lease_ms)
            .number(common.retention_ms)
            .number(common.open_retention_ms)
            .number(common.look_up_first_ms)
    }

    async fn run(&self, args: Args) -> Result<Reply, StoreError> {
        let Args { script, command } = &args;
        let value: Value = self.link.run(command, || script.by_text(command)).await?;
        Reply::parse(value)
    }

    /// Listens before it answers, where that can be had within the limit of a step.
    async fn listen(&self, digest: &KeyDigest) -> Waiter {
        let mut live = {
            let mut subscription = self.subscription.lock().unwrap_or_else(PoisonError::into_inner);
            subscription
                .get_or_insert_with(|| {
                    Subscription::start(
                        self.link.locator.clone(),
                        self.names.of("ends"),
                        Arc::clone(&self.waiters),
                    )
                })
                .live()
        };
        // Without it the caller polls; that a store is not reached shows at the next claim.
        let _timed_out = timeout(self.link.step_timeout(), live.wait_for(|live| *live)).await;
        self.waiters.subscribe(digest)
    }
}
