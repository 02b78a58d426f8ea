//! Whatever stands in the store: bytes to records, their commands and their outcomes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    zentra_sidecar::idempotency::redis::fuzzing::record(bytes);
    zentra_sidecar::gateway::payments::fuzzing::kept(bytes);
});
