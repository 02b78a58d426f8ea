//! The simulation must be able to fail: each defect is found, and by the rule that forbids it.

use zentra_sidecar::mutants::{Mutant, switch_on};

use super::mode::Mode;
use super::runs;
use super::scenario;
use super::world::Keep;

/// Finds a mutant within so many seeds; tells the seed and the rule.
fn is_caught(mutant: Mutant, mode: Mode, seeds: u64) {
    let run = |seed| {
        switch_on(Some(mutant));
        let report = scenario::run(seed, mode, Keep::default());
        switch_on(None);
        report
    };
    let tally = runs::many(1..seeds + 1, mode, 1, &run);
    let found = tally.violations.first_key_value();
    let Some((seed, violation)) = found else {
        panic!("{mutant:?} is not found in {seeds} seeds of mode {}", mode.name());
    };
    println!("{mutant:?}: seed {seed} of mode {}: {}", mode.name(), violation.rule);
}

// Where Zentra knows keys or references again, it hides most defects: they are looked for where
// it knows neither, or by the step that must not be taken.

#[test]
fn a_new_upstream_key_for_each_attempt_is_found() {
    is_caught(Mutant::NewKeyPerAttempt, Mode::Key, 500);
}

#[test]
fn a_claim_freed_on_a_timeout_is_found() {
    is_caught(Mutant::ClaimFreedOnTimeout, Mode::Neither, 500);
    is_caught(Mutant::ClaimFreedOnTimeout, Mode::KeyAndReference, 500);
}

#[test]
fn absence_taken_as_proof_is_found() {
    is_caught(Mutant::AbsentIsProof, Mode::KeyAndReference, 500);
}

#[test]
fn a_server_error_taken_as_a_failure_is_found() {
    is_caught(Mutant::ServerErrorIsFailure, Mode::Neither, 500);
    is_caught(Mutant::ServerErrorIsFailure, Mode::KeyAndReference, 500);
}

#[test]
fn a_missing_look_up_is_found() {
    is_caught(Mutant::NoLookUpBeforeResend, Mode::Neither, 500);
}

#[test]
fn a_missing_send_fence_is_found() {
    is_caught(Mutant::NoSendFence, Mode::Neither, 500);
}

#[test]
fn a_missing_canary_is_found() {
    is_caught(Mutant::NoCanary, Mode::Reference, 500);
}

#[test]
fn a_release_of_an_ambiguous_record_is_found() {
    is_caught(Mutant::ReleaseOfAmbiguous, Mode::KeyAndReference, 500);
    is_caught(Mutant::ReleaseOfAmbiguous, Mode::Reference, 500);
}
