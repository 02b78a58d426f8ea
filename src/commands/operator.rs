//! What the operators' commands share: the account's engine, over the settings of `serve`.

use std::process::ExitCode;
use std::sync::Arc;

use super::{failed, settings, wrong_settings};
use crate::app::{self, Parts};
use crate::clock::SystemClock;
use crate::config::{ServeArgs, Settings};
use crate::engine::Engine;
use crate::idempotency::redis::StoreUrl;
use crate::telemetry::audit::Audit;
use crate::telemetry::lines::Lines;
use crate::telemetry::start::{self, Exports};
use crate::telemetry::{Telemetry, logs};

/// The engine that `serve` would run with the same settings; or the exit code of a command that
/// cannot have one.
pub(super) async fn engine(args: &ServeArgs) -> Result<(Engine, Settings), ExitCode> {
    let quiet = |_: &Settings, audit| Ok((Telemetry::with_audit(audit), ()));
    told_to(args, quiet).map(|(engine, settings, ())| (engine, settings))
}

/// The same with its spans and metrics sent where `serve` sends them. Whoever is done with it flushes
/// them.
pub(super) fn exporting(args: &ServeArgs) -> Result<(Engine, Settings, Exports), ExitCode> {
    told_to(args, |settings, audit| {
        let headers = settings.otlp_headers.clone().unwrap_or_default();
        // Its lines have no queue, where one could be lost.
        start::start(&settings.otel, &headers, audit, &Lines::default())
    })
}

fn told_to<T>(
    args: &ServeArgs,
    telemetry: impl FnOnce(&Settings, Audit) -> Result<(Telemetry, T), String>,
) -> Result<(Engine, Settings, T), ExitCode> {
    let settings = settings(args).map_err(|faults| wrong_settings(&faults))?;
    logs::start("info").map_err(failed)?;
    shared(&settings)?;
    let clock = Arc::new(SystemClock);
    let scope = (settings.account.clone(), settings.environment());
    let audit = settings.audit.open_for_command(clock.clone(), scope).map_err(failed)?;
    let (telemetry, exports) = telemetry(&settings, audit).map_err(failed)?;
    let parts = Parts::of(&settings, clock.clone(), telemetry).map_err(failed)?;
    Ok((app::engine(&settings, clock, parts), settings, exports))
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
