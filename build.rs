//! Compiles the public contract with protox, so that a machine with only Rust can build it, and
//! puts its files into the binary.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

const ROOT: &str = "proto";
const PACKAGE: &str = "proto/zentra/gateway/v1";
/// How clients may retry; handed out together with the contract.
const SERVICE_CONFIG: &str = "proto/service_config.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let mut files: Vec<PathBuf> = fs::read_dir(PACKAGE)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|it| it == "proto"));
    files.sort();

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    // For reflection. As the compiler writes it: prost's own types do not know every option, and
    // would drop `debug_redact`.
    fs::write(out.join("gateway_descriptor.bin"), compiler.encode_file_descriptor_set())?;
    let descriptors = compiler.file_descriptor_set();
    fs::write(out.join("proto_files.rs"), embedded(&files)?)?;
    tonic_prost_build::configure()
        // These hold card data: their `Debug` is written by hand and shows none of it.
        .skip_debug([".zentra.gateway.v1.Card", ".zentra.gateway.v1.BankAccount"])
        .compile_fds(descriptors)?;
    Ok(())
}

/// A constant with each file's path below the root, and its text.
fn embedded(files: &[PathBuf]) -> Result<String, Box<dyn Error>> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut code = String::from(
        "/// The contract's files: the path below the import root, and the text.\n\
         const PROTO_FILES: &[(&str, &str)] = &[\n",
    );
    for file in files.iter().map(PathBuf::as_path).chain([Path::new(SERVICE_CONFIG)]) {
        let below_root: &Path = file.strip_prefix(ROOT)?;
        writeln!(code, "    ({below_root:?}, include_str!({:?})),", folder.join(file))?;
    }
    code.push_str("];\n");
    Ok(code)
}
