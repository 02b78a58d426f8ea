//! `simulate`: the simulated Zentra alone.

use std::process::ExitCode;
use std::sync::Arc;

use super::{failed, say, wrong_settings};
use crate::clock::SystemClock;
use crate::shutdown::Signals;
use crate::simulator::{self, SimulateArgs};
use crate::telemetry::logs;

/// Serves until SIGTERM or SIGINT.
pub async fn run(args: SimulateArgs) -> ExitCode {
    let mut signals = match (logs::start("info"), Signals::listen()) {
        (Ok(()), Ok(signals)) => signals,
        (Err(fault), _) => return wrong_settings(fault),
        (_, Err(fault)) => return failed(format!("cannot listen for signals: {fault}")),
    };
    match simulator::start(args.into(), Arc::new(SystemClock)).await {
        Ok(simulator) => {
            say(format!("ready simulator={}", simulator.url()));
            signals.next().await;
            simulator.shutdown().await;
            ExitCode::SUCCESS
        }
        Err(fault) => failed(format!("cannot start the simulator: {fault}")),
    }
}
