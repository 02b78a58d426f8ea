//! Load on the real program, for the figures in docs/RESILIENCE.md: a real Redis, the simulator
//! and the sidecar in processes of their own, on loopback. `scripts/storm` and `scripts/overload`
//! start it; it needs `redis-server` on PATH.
//!
//! Calls come at fixed times, whatever becomes of those before them; their number is bounded by
//! rate and time.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a tool for developers: what goes wrong ends it, and its output is the point"
)]

mod calls;
mod chart;
mod overload;
mod storm;
mod world;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    /// The program to measure
    #[arg(long)]
    program: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Zentra answers everything with 503 for a while
    Storm {
        /// Where the curve goes, as SVG
        #[arg(long)]
        chart: String,
    },
    /// More calls than can be served
    Overload,
}

/// Says what does not hold; the exit code is 1 then.
fn judge(checks: &[(bool, String)]) -> ExitCode {
    let broken: Vec<&String> = checks.iter().filter(|it| !it.0).map(|it| &it.1).collect();
    for promise in &broken {
        println!("NOT MET: {promise}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { program, what } = Arguments::parse();
    // reqwest, here for plain http only, wants one all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match what {
        What::Storm { chart } => storm::run(&program, &chart).await,
        What::Overload => overload::run(&program).await,
    }
}
