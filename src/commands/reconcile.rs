//! `reconcile`: the background look-ups alone, so that nothing is left open when the last
//! sidecar is gone.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{Ended, LastWords, failed, operator, say, serve};
use crate::app;
use crate::clock::SystemClock;
use crate::config::{ServeArgs, Settings};
use crate::reconciler::Reconciler;
use crate::shutdown::Signals;
use crate::telemetry::Telemetry;
use crate::telemetry::lines::Lines;
use crate::telemetry::start::{Exports, FLUSH};

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
pub async fn run(args: ReconcileArgs) -> Ended {
    match args.once {
        true => once(&args.serve).await,
        false => until_signalled(&args.serve).await,
    }
}

async fn once(args: &ServeArgs) -> Ended {
    let (engine, settings, mut exports) = match operator::exporting(args) {
        Ok(engine) => engine,
        Err(code) => return code.into(),
    };
    let telemetry = engine.telemetry().clone();
    let code = pass(Reconciler::new(engine, settings.reconciler)).await;
    // Who leads no more shows no states: nothing would ever say that these are over.
    telemetry.measures().pending(None);
    exports.flush(FLUSH).await;
    // Dropped at the end, it tells what did not leave.
    Ended { code, last_words: Some(LastWords { exports, _lines: Lines::default() }) }
}

async fn pass(reconciler: Reconciler) -> ExitCode {
    match reconciler.pass_if_leading().await {
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

async fn until_signalled(args: &ServeArgs) -> Ended {
    let begun = match serve::begin(args) {
        Ok(begun) => begun,
        Err(code) => return code.into(),
    };
    let serve::Begun { settings, signals, telemetry, mut last_words } = begun;
    let code = reconcile(settings, signals, telemetry, &mut last_words.exports).await;
    Ended { code, last_words: Some(last_words) }
}

async fn reconcile(
    settings: Settings,
    mut signals: Signals,
    telemetry: Telemetry,
    exports: &mut Exports,
) -> ExitCode {
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
        fault = running.broken() => return serve::gone(fault),
    }
    let ended = running.shut_down().await;
    exports.flush(FLUSH).await;
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => serve::gone("the look-ups broke off"),
    }
}
