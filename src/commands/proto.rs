//! `proto`: writes the public contract for those who have only the binary.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io};

use clap::Args;

use super::{failed, say};

include!(concat!(env!("OUT_DIR"), "/proto_files.rs"));

/// Where to write.
#[derive(Args, Clone, Debug)]
pub struct ProtoArgs {
    /// The folder to write to; made where it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes each file under its path in the contract's tree.
#[must_use]
pub fn run(args: &ProtoArgs) -> ExitCode {
    for (path, text) in PROTO_FILES {
        let target = args.out.join(path);
        if let Err(fault) = write(&target, text) {
            return failed(format!("cannot write {}: {fault}", target.display()));
        }
        say(target.display());
    }
    ExitCode::SUCCESS
}

fn write(target: &std::path::Path, text: &str) -> io::Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(target, text)
}
