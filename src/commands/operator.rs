//! What the operators' commands share: the account's engine, over the settings of `serve`.

use std::process::ExitCode;
use std::sync::Arc;

use super::{failed, settings, wrong_settings};
use crate::app::{self, Parts};
use crate::clock::SystemClock;
use crate::config::{ServeArgs, Settings};
use crate::engine::Engine;
use crate::idempotency::redis::StoreUrl;
use crate::telemetry::{Telemetry, logs};

/// The engine that `serve` would run with the same settings; or the exit code of a command that
/// cannot have one.
pub(super) async fn engine(args: &ServeArgs) -> Result<(Engine, Settings), ExitCode> {
    let settings = settings(args).map_err(|faults| wrong_settings(&faults))?;
    logs::start("info").map_err(failed)?;
    shared(&settings)?;
    let clock = Arc::new(SystemClock);
    let scope = (settings.account.clone(), settings.environment());
    let audit = settings.audit.open_for_command(clock.clone(), scope).map_err(failed)?;
    let telemetry = Telemetry::with_audit(audit);
    let parts = Parts::of(&settings, clock.clone(), telemetry).map_err(failed)?;
    Ok((app::engine(&settings, clock, parts), settings))
}

/// Whether the store is one that other processes share.
pub(super) fn shared(settings: &Settings) -> Result<(), ExitCode> {
    match settings.store.url {
        StoreUrl::Memory => {
            Err(failed("a store in memory belongs to one process; there is none to look into"))
        }
        StoreUrl::Redis(_) => Ok(()),
    }
}
