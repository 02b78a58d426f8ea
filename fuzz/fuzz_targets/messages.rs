//! Whatever callers send: bytes to commands.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zentra_sidecar::grpc::fuzzing::message(bytes));
