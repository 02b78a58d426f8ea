//! `reconcile`: the background look-ups alone, so that nothing is left open when the last
//! sidecar is gone.

use std::process::ExitCode;

use clap::Args;

use super::{failed, operator, say};
use crate::config::ServeArgs;
use crate::reconciler::Reconciler;
use crate::shutdown::{Draining, Signals};

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
    let (engine, settings) = match operator::engine(&args.serve).await {
        Ok(engine) => engine,
        Err(code) => return code,
    };
    let reconciler = Reconciler::new(engine, settings.reconciler);
    if args.once {
        return match reconciler.pass_if_leading().await {
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
        };
    }
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(fault) => return failed(format!("cannot listen for signals: {fault}")),
    };
    let draining = Draining::default();
    let work = tokio::spawn(reconciler.run(draining.clone()));
    signals.next().await;
    draining.begin();
    match work.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => failed(fault),
    }
}
