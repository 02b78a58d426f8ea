//! The command `zentra-sidecar`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A call makes some hundreds of small allocations, and ends many of them on another thread than they
/// were made on: the system's allocator spent a fifth of a call's time at that (docs/BENCHMARKS.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    zentra_sidecar::cli::main()
}
