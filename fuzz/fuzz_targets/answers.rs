//! Whatever Zentra answers: bytes to values.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zentra_sidecar::zentra::fuzzing::answer(bytes));
