//! The command once more: an example's build replaces no binary, so that a test can build it as
//! production does, without the default features, and look into it while other tests run.

use std::process::ExitCode;

use clap::Parser;
use zentra_sidecar::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
