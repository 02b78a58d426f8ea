//! Compiles the public contract with protox, so that a machine with only Rust can build it.

use std::path::PathBuf;
use std::{env, error::Error, fs};

use prost_types::FileDescriptorSet;

const ROOT: &str = "proto";
const PACKAGE: &str = "proto/zentra/gateway/v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let mut files: Vec<PathBuf> = fs::read_dir(PACKAGE)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();

    let descriptors: FileDescriptorSet = protox::compile(&files, [ROOT])?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("gateway_descriptor.bin");
    tonic_prost_build::configure()
        .build_transport(true)
        // These hold card data: their `Debug` is written by hand and shows none of it.
        .skip_debug([".zentra.gateway.v1.Card", ".zentra.gateway.v1.BankAccount"])
        .file_descriptor_set_path(&out)
        .compile_fds(descriptors)?;
    Ok(())
}
