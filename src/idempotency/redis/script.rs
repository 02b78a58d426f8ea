//! The server-side scripts: each step of the store is one of them.

use std::sync::LazyLock;

use redis::Script;

use crate::failpoint;

/// A step's script. The server knows it by its digest, and is given its text where it does not.
pub(super) struct StepScript {
    text: String,
    digest: String,
}

impl StepScript {
    fn new(parts: &[&str]) -> Self {
        let shared = [COMMON, failpoint::LATER_FORMAT].concat();
        let text = shared + &parts.concat();
        let digest = Script::new(&text).get_hash().to_owned();
        Self { text, digest }
    }

    /// The command, by the script's digest or by its text.
    pub(super) fn command(&self, by_text: bool, keys: &[String], args: &[Vec<u8>]) -> redis::Cmd {
        let (name, script) = if by_text { ("EVAL", &self.text) } else { ("EVALSHA", &self.digest) };
        let mut command = redis::cmd(name);
        command.arg(script).arg(keys.len()).arg(keys);
        for arg in args {
            command.arg(arg.as_slice());
        }
        command
    }
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
    RECONCILER_LEASE: include_str!("scripts/reconciler_lease.lua");
    INIT: include_str!("scripts/init.lua");
    ANNOUNCE: include_str!("scripts/announce.lua");
}
