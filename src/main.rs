//! The command `zentra-sidecar`.

use std::process::ExitCode;

fn main() -> ExitCode {
    zentra_sidecar::cli::main()
}
