//! The files of a policy.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zentra_sidecar::policy::fuzzing::policy(bytes));
