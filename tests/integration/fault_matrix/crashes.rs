//! Processes that die at the worst moment, and the retry at another one.

use std::os::unix::process::ExitStatusExt as _;

use super::lab::Lab;
use super::told::{Told, order};

const SIGKILL: i32 = 9;

/// A charge whose process dies at a point, and what the caller's retry is told elsewhere.
async fn killed_at(lab: &Lab, point: &str) -> Told {
    let mut first = lab.sidecar().failpoint(&format!("{point}:kill")).start().await;
    let second = lab.sidecar().start().await;
    first.charge(&order("order-1")).await.is_cut_off();
    assert_eq!(first.ended().await.signal(), Some(SIGKILL));
    second.charge(&order("order-1")).await
}

/// Row 1.
#[tokio::test]
async fn killed_before_the_claim_the_retry_runs() {
    let lab = Lab::start().await;
    let told = killed_at(&lab, "before_claim").await;
    told.is_paid("DIRECT");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!((lab.posts("order-1"), lab.look_ups("order-1")), (1, 0));
}

/// Row 2: the retry waits for the lease's end, looks up, and sends.
#[tokio::test]
async fn killed_before_any_byte_left_the_retry_recovers() {
    for point in ["after_claim", "before_send"] {
        let lab = Lab::start().await;
        lab.zentra_dedupes(false, false);
        let told = killed_at(&lab, point).await;
        told.is_paid("DIRECT");
        lab.agrees("order-1", 1, &[&told]);
        assert_eq!((lab.posts("order-1"), lab.look_ups("order-1")), (1, 1), "{point}");
    }
}

/// Row 3: with Zentra's own dedupe off, as that would hide a second POST.
#[tokio::test]
async fn killed_after_zentra_acted_the_look_up_finds_the_payment() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let told = killed_at(&lab, "after_answer").await;
    told.is_paid("RECOVERED");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 4.
#[tokio::test]
async fn killed_after_the_outcome_was_stored_the_retry_is_a_replay() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let told = killed_at(&lab, "after_complete").await;
    told.is_paid("REPLAYED");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!((lab.posts("order-1"), lab.look_ups("order-1")), (1, 0));
}
