//! `serve`: the sidecar itself.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Ended, LastWords, failed, settings, wrong_settings};
use crate::app::{self, End, Running};
use crate::clock::SystemClock;
use crate::config::{ServeArgs, Settings};
use crate::idempotency::redis::StoreUrl;
use crate::process;
use crate::shutdown::Signals;
use crate::telemetry::Telemetry;
use crate::telemetry::logs;
use crate::telemetry::start::{self, Exports, FLUSH};

/// How long spans and metrics have to leave where the calls took all the time there was. It fits
/// into what `app` keeps of the time to drain, beside the goodbye.
const LEAST_FLUSH: Duration = Duration::from_millis(250);

/// Files that are open beside connections of callers and to Zentra: TLS handshakes, those who may
/// not call, the admin port, the store, and the rest.
const FILES_BESIDE: usize = 512;

/// Serves until SIGTERM or SIGINT, then drains.
pub async fn run(args: &ServeArgs) -> Ended {
    let Begun { settings, signals, telemetry, mut last_words } = match begin(args) {
        Ok(begun) => begun,
        Err(code) => return code.into(),
    };
    let code = serve(settings, signals, telemetry, &mut last_words.exports).await;
    Ended { code, last_words: Some(last_words) }
}

async fn serve(
    settings: Settings,
    signals: Signals,
    telemetry: Telemetry,
    exports: &mut Exports,
) -> ExitCode {
    if settings.store.url == StoreUrl::Memory {
        tracing::warn!(
            "payments are remembered in this process's memory only: after its end, only Zentra's \
             own idempotency keeps a payment from being made twice"
        );
    }
    tell_times(&settings);
    allow_connections(&settings);
    tell_policy(&settings);
    let (zentra, caller) = (settings.zentra_url.clone(), settings.caller.clone());
    match app::start(settings, Arc::new(SystemClock), telemetry).await {
        Ok(running) => {
            let grpc = running.addresses().join(",");
            let admin = running.admin_address();
            tracing::info!(grpc, %admin, zentra = zentra.as_str(), %caller, "serving");
            until_signalled(running, signals, exports).await
        }
        Err(fault) => failed(fault),
    }
}

/// Says which policy calls are decided by; loudly where there is none.
fn tell_policy(settings: &Settings) {
    let policies = &settings.policies;
    if policies.active().is_none() {
        tracing::warn!("there is no payment policy: every caller may do everything (--policy)");
    }
    for watched in policies.watched() {
        let policy = watched.policy();
        tracing::info!(
            role = watched.role().as_str(),
            mode = policies.mode().as_str(),
            folder = %watched.folder().display(),
            rules = policy.rules().len(),
            limits = policy.limits().len(),
            policy_hash = policy.hash(),
            "a payment policy is in force"
        );
    }
}

/// Says where the end of the process may cut off what is under way: a POST may begin until half of
/// the time to drain is over.
fn tell_times(settings: &Settings) {
    let attempt = settings.upstream.limits.attempt_timeout;
    if attempt > settings.drain / 2 {
        tracing::warn!(
            attempt_timeout_seconds = attempt.as_secs(),
            drain_seconds = settings.drain.as_secs(),
            "an exchange with Zentra may take more than half of the time to drain, so that the end \
             may cut payments off: their outcome is unknown until their callers ask again"
        );
    }
}

/// Lets the process have as many connections as it is to serve, where the system allows that.
fn allow_connections(settings: &Settings) {
    let served =
        settings.connections.connections.saturating_add(settings.upstream.requests_in_flight);
    let needed = served.saturating_add(FILES_BESIDE);
    match process::allow_open_files() {
        Ok(Some(allowed)) if allowed < needed as u64 => {
            tracing::warn!(allowed, needed, "the system allows fewer open files than are needed");
        }
        Ok(_) => {}
        Err(fault) => tracing::warn!(%fault, "the limit of open files could not be raised"),
    }
}

/// What a process that goes on until it is signalled begins with.
pub(super) struct Begun {
    /// The settings, all of them right.
    pub(super) settings: Settings,
    /// What ends the process.
    pub(super) signals: Signals,
    /// Where operators are told.
    pub(super) telemetry: Telemetry,
    /// What has to be sent and written before the end.
    pub(super) last_words: LastWords,
}

/// Reads the settings, and sets up log, audit log, signals and telemetry.
pub(super) fn begin(args: &ServeArgs) -> Result<Begun, ExitCode> {
    let settings = settings(args).map_err(wrong_settings)?;
    let mut lines = logs::start_queued("info").map_err(wrong_settings)?;
    let signals =
        Signals::listen().map_err(|fault| failed(format!("cannot listen for signals: {fault}")))?;
    let scope = (settings.account.clone(), settings.environment());
    let audit = settings.audit.open(&mut lines, Arc::new(SystemClock), scope);
    let headers = settings.otlp_headers.clone().unwrap_or_default();
    let started = audit.and_then(|audit| start::start(&settings.otel, &headers, audit, &lines));
    let (telemetry, exports) = started.map_err(failed)?;
    Ok(Begun { settings, signals, telemetry, last_words: LastWords { exports, _lines: lines } })
}

/// Tells why a process that was at work ends without peace: in the log, as those who collect that may
/// read nothing else, but where it has no such lines.
pub(super) fn gone(fault: &'static str) -> ExitCode {
    if !tracing::enabled!(tracing::Level::ERROR) {
        return failed(fault);
    }
    tracing::error!(fault, "the process ends with a fault");
    ExitCode::FAILURE
}

/// Serves until a signal, then drains and sends what is left to tell. A second signal ends the
/// process at once.
pub(super) async fn until_signalled(
    mut running: Running,
    mut signals: Signals,
    exports: &mut Exports,
) -> ExitCode {
    tokio::select! {
        () = signals.next() => {}
        fault = running.broken() => return gone(fault),
    }
    tracing::info!("draining");
    let until = Instant::now() + running.drain();
    let ended = async {
        let end = running.shut_down().await;
        // Within the time to drain, where that is not shorter than this moment itself.
        let left = until.saturating_duration_since(Instant::now()).max(LEAST_FLUSH);
        exports.flush(FLUSH.min(left)).await;
        end
    };
    tokio::select! {
        end = ended => match end {
            End::Clean => {
                tracing::info!("ended");
                ExitCode::SUCCESS
            }
            End::CutOff => gone("the time to drain was over; calls under way were cut off"),
        },
        () = signals.next() => gone("ended at once by a second signal"),
    }
}
