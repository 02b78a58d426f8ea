//! `reconcile`: the background look-ups alone, so that nothing is left open when the last
//! sidecar is gone.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{failed, operator, say, serve};
use crate::app;
use crate::clock::SystemClock;
use crate::config::ServeArgs;
use crate::reconciler::Reconciler;
use crate::telemetry::start::FLUSH;

/// For how long, and where.
#[derive(Args, Clone, Debug)]
pub struct ReconcileArgs {
    /// Make one pass over what is due and end
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    serve: ServeArgs,
}

/// Runs until a signal, or once.
pub async fn run(args: ReconcileArgs) -> ExitCode {
    if args.once { once(&args.serve).await } else { until_signalled(&args.serve).await }
}

async fn once(args: &ServeArgs) -> ExitCode {
    let (engine, settings) = match operator::engine(args).await {
        Ok(engine) => engine,
        Err(code) => return code,
    };
    match Reconciler::new(engine, settings.reconciler).pass_if_leading().await {
        Ok(Some((pass, stats))) => {
            let stats = stats.answer;
            say(format!(
                "resolved {}, still open {}, conflicts {}; left: {} unresolved, {} open",
                pass.resolved, pass.open, pass.conflicts, stats.unresolved, stats.open
            ));
            ExitCode::SUCCESS
        }
        Ok(None) => {
            say("another process is at it");
            ExitCode::SUCCESS
        }
        Err(fault) => failed(fault),
    }
}

async fn until_signalled(args: &ServeArgs) -> ExitCode {
    let begun = match serve::begin(args) {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    let serve::Begun { settings, mut signals, telemetry, exports, lines: _lines } = begun;
    if let Err(code) = operator::shared(&settings) {
        return code;
    }
    let mut running = match app::reconcile(settings, Arc::new(SystemClock), telemetry).await {
        Ok(running) => running,
        Err(fault) => return failed(fault),
    };
    tracing::info!(admin = %running.admin_address(), "reconciling");
    tokio::select! {
        () = signals.next() => {}
        fault = running.broken() => return failed(fault),
    }
    let ended = running.shut_down().await;
    exports.flush(FLUSH).await;
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => failed(fault),
    }
}
