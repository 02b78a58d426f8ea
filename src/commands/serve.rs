//! `serve`: the sidecar itself.

use std::process::ExitCode;
use std::sync::Arc;

use super::{failed, settings, wrong_settings};
use crate::app::{self, End, Running};
use crate::clock::SystemClock;
use crate::config::ServeArgs;
use crate::idempotency::redis::StoreUrl;
use crate::shutdown::Signals;
use crate::telemetry::logs;

/// Serves until SIGTERM or SIGINT, then drains.
pub async fn run(args: &ServeArgs) -> ExitCode {
    let settings = match settings(args) {
        Ok(settings) => settings,
        Err(faults) => return wrong_settings(faults),
    };
    let signals = match (logs::start("info"), Signals::listen()) {
        (Ok(()), Ok(signals)) => signals,
        (Err(fault), _) => return wrong_settings(fault),
        (_, Err(fault)) => return failed(format!("cannot listen for signals: {fault}")),
    };
    if settings.store.url == StoreUrl::Memory {
        tracing::warn!(
            "payments are remembered in this process's memory only: after its end, only Zentra's \
             own idempotency keeps a payment from being made twice"
        );
    }
    let (zentra, caller) = (settings.zentra_url.clone(), settings.caller.clone());
    match app::start(settings, Arc::new(SystemClock)).await {
        Ok(running) => {
            let grpc = running.addresses().join(",");
            let admin = running.admin_address();
            tracing::info!(grpc, %admin, zentra = zentra.as_str(), %caller, "serving");
            until_signalled(running, signals).await
        }
        Err(fault) => failed(fault),
    }
}

/// Serves until a signal, then drains. A second signal ends the process at once.
pub(super) async fn until_signalled(mut running: Running, mut signals: Signals) -> ExitCode {
    tokio::select! {
        () = signals.next() => {}
        fault = running.broken() => return failed(fault),
    }
    tracing::info!("draining");
    tokio::select! {
        end = running.shut_down() => match end {
            End::Clean => {
                tracing::info!("ended");
                ExitCode::SUCCESS
            }
            End::CutOff => failed("the time to drain was over; calls under way were cut off"),
        },
        () = signals.next() => failed("ended at once by a second signal"),
    }
}
