//! The server-side scripts: each step of the store is one of them.

use std::sync::LazyLock;

use redis::{Arg, Cmd, Script};

use crate::failpoint;

/// What a claim's command takes, more or less, so that it does not move while it grows.
const COMMAND_ARGS: usize = 48;
const COMMAND_BYTES: usize = 2048;

/// A step's script. The server knows it by its digest, and is given its text where it does not.
pub(super) struct StepScript {
    text: String,
    digest: String,
    /// The same, but for where it reads the time.
    #[cfg(feature = "failpoints")]
    by_told_clock: Option<Box<Self>>,
}

impl StepScript {
    fn new(parts: &[&str]) -> Self {
        let shared = [COMMON, failpoint::LATER_FORMAT].concat();
        let text = shared + &parts.concat();
        let digest = digest_of(&text);
        #[cfg(feature = "failpoints")]
        let by_told_clock = {
            let text = super::told_clock::rewritten(&text);
            let digest = digest_of(&text);
            Some(Box::new(Self { text, digest, by_told_clock: None }))
        };
        Self {
            text,
            digest,
            #[cfg(feature = "failpoints")]
            by_told_clock,
        }
    }

    /// As it is where the store's clock is a test's.
    #[cfg(feature = "failpoints")]
    pub(super) fn by_told_clock(&self) -> &Self {
        self.by_told_clock.as_deref().unwrap_or(self)
    }

    /// The command that runs it by its digest, without keys and arguments yet.
    pub(super) fn command(&self) -> Cmd {
        let mut command = Cmd::with_capacity(COMMAND_ARGS, COMMAND_BYTES);
        command.arg("EVALSHA").arg(&self.digest);
        command
    }

    /// The same run as that of `command`, by the script's text.
    pub(super) fn by_text(&self, command: &Cmd) -> Cmd {
        let mut by_text = redis::cmd("EVAL");
        by_text.arg(&self.text);
        // Behind the command's name and the digest.
        for arg in command.args_iter().skip(2) {
            if let Arg::Simple(arg) = arg {
                by_text.arg(arg);
            }
        }
        by_text
    }
}

fn digest_of(text: &str) -> String {
    Script::new(text).get_hash().to_owned()
}

const COMMON: &str = include_str!("scripts/common.lua");
const WORK: &str = include_str!("scripts/work.lua");

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident: $($part:expr),*;)*) => {
        $(pub(super) static $name: LazyLock<StepScript> =
            LazyLock::new(|| StepScript::new(&[$($part),*]));)*
    };
}

scripts! {
    CLAIM: WORK, include_str!("scripts/claim.lua");
    COMPLETE: WORK, include_str!("scripts/complete.lua");
    DOUBT: WORK, include_str!("scripts/doubt.lua");
    RELEASE: include_str!("scripts/release.lua");
    RENEW: include_str!("scripts/renew.lua");
    SETTLE_BEGIN: include_str!("scripts/settle_begin.lua");
    SETTLE: include_str!("scripts/settle.lua");
    READ: include_str!("scripts/read.lua");
    PENDING: include_str!("scripts/pending.lua");
    PENDING_STATS: include_str!("scripts/pending_stats.lua");
    ADVANCE: include_str!("scripts/advance.lua");
    STOP: include_str!("scripts/stop.lua");
    RESUME: include_str!("scripts/resume.lua");
    STOPS: include_str!("scripts/stops.lua");
    RECONCILER_LEASE: include_str!("scripts/reconciler_lease.lua");
    SET_ASIDE: include_str!("scripts/set_aside.lua");
    INIT: include_str!("scripts/init.lua");
    ANNOUNCE: include_str!("scripts/announce.lua");
}
