//! The command `zentra-sidecar`.

use std::process::ExitCode;

use clap::Parser;
use zentra_sidecar::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
