//! The command once more: an example's build replaces no binary, so that a test can build it as
//! production does, without the default features, and look into it while other tests run.

use std::process::ExitCode;

fn main() -> ExitCode {
    zentra_sidecar::cli::main()
}
