//! The commands.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::commands::{self, Ended};
use crate::config::ServeArgs;
use crate::process;

/// How long the end of the process waits for threads that still read or write.
const THREADS_END: Duration = Duration::from_millis(250);

/// A gRPC payment gateway beside your service: Zentra's payments, exactly once.
#[derive(Parser)]
#[command(name = "zentra-sidecar", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve payments
    Serve(ServeArgs),
    /// Try everything without an account: a simulator and a sidecar in one process
    #[cfg(feature = "simulator")]
    Dev(commands::dev::DevArgs),
    /// Serve the simulated Zentra alone, for tests in any language
    #[cfg(feature = "simulator")]
    Simulate(crate::simulator::SimulateArgs),
    /// Look up open payments in the background, without serving
    Reconcile(commands::reconcile::ReconcileArgs),
    /// Look into the records of payments, and settle those that nothing else can end
    Records(commands::records::RecordsArgs),
    /// Look at a payment policy before it is in force
    Policy(commands::policy::PolicyArgs),
    /// Keep payments from beginning, on all sidecars of the account
    Stop(commands::stop::StopArgs),
    /// Lift a stop
    Resume(commands::stop::ResumeArgs),
    /// Look after the store
    Store(commands::store::StoreArgs),
    /// Show the effective settings of `serve`, secrets masked
    Config(ServeArgs),
    /// Ask a sidecar whether it serves; for exec probes
    Health(commands::health::HealthArgs),
    /// Write the public contract's .proto files
    Proto(commands::proto::ProtoArgs),
}

/// The whole program, from the arguments of this process to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => return commands::failed(format!("cannot start its threads: {fault}")),
    };
    let Ended { code, last_words } = runtime.block_on(run(cli));
    // Not by dropping it: a thread that reads from a mount that hangs would be waited for.
    runtime.shutdown_timeout(THREADS_END);
    // What was cut off has told of itself by now.
    drop(last_words);
    code
}

/// Runs one command; its exit code is 0, 1 where it failed, or 2 where it was called wrongly.
pub async fn run(cli: Cli) -> Ended {
    if let Err(fault) = process::keep_memory_private() {
        return commands::failed(format!("cannot keep the memory private: {fault}")).into();
    }
    let code = match cli.command {
        Command::Serve(args) => return commands::serve::run(&args).await,
        Command::Reconcile(args) => return commands::reconcile::run(args).await,
        #[cfg(feature = "simulator")]
        Command::Dev(args) => commands::dev::run(args).await,
        #[cfg(feature = "simulator")]
        Command::Simulate(args) => commands::simulate::run(args).await,
        Command::Records(args) => commands::records::run(args).await,
        Command::Policy(args) => commands::policy::run(&args),
        Command::Stop(args) => commands::stop::stop(args).await,
        Command::Resume(args) => commands::stop::resume(args).await,
        Command::Store(args) => commands::store::run(args).await,
        Command::Config(args) => commands::config::run(&args),
        Command::Health(args) => commands::health::run(args).await,
        Command::Proto(args) => commands::proto::run(&args),
    };
    code.into()
}
