//! What must not be in a production binary.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// Words of the failpoints and of the simulator. None is in a dependency.
const WORDS: [&str; 9] = [
    "SIDECAR_FAILPOINT",
    "SIDECAR_RECORD_FORMAT",
    "save_as_before",
    "after_claim",
    "before_send",
    "after_answer",
    "_simulator/",
    "SIMULATOR_LISTEN",
    "sk_simulated_0000000000000000",
];

fn holds(binary: &[u8], word: &str) -> bool {
    binary.windows(word.len()).any(|window| window == word.as_bytes())
}

/// The folder that holds this build's profiles.
fn target() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_zentra-sidecar"));
    binary.ancestors().nth(2).unwrap().to_owned()
}

#[tokio::test]
async fn a_production_build_holds_no_failpoint_and_no_simulator() {
    let target = target();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--no-default-features", "--target-dir"])
        .arg(&target)
        .args(["--example", "production"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .await;
    assert!(status.unwrap().success());
    let production = std::fs::read(target.join("debug/examples/production")).unwrap();
    let words: Vec<&str> = WORDS.into_iter().filter(|word| holds(&production, word)).collect();
    assert!(words.is_empty(), "in the production binary: {words:?}");
    // The defects for the simulation have no words, but a function that switches them on.
    assert!(!holds(&production, "mutants6switch"), "mutants are in the production binary");
    // It is the command, and the search finds what is there.
    assert!(holds(&production, "SIDECAR_FINGERPRINT_KEY_FILE"));
    let ours = std::fs::read(env!("CARGO_BIN_EXE_zentra-sidecar")).unwrap();
    let missing: Vec<&str> = WORDS.into_iter().filter(|word| !holds(&ours, word)).collect();
    assert!(missing.is_empty(), "words that no build holds: {missing:?}");
}
