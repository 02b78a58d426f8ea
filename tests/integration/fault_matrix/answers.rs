//! What Zentra answers, and does not answer, to one owner.

use std::time::Duration;

use serde_json::json;
use tonic::Code;
use zentra_sidecar::idempotency::{InitAnswer, Store as _};
use zentra_sidecar::simulator::{Action, Tamper};

use super::lab::{CUSTOMER, Lab, direct};
use super::told::order;
use crate::support::redis::open;

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn status(status: u16, code: Option<&str>, effect: bool) -> Action {
    let code = code.map(str::to_owned);
    Action::Status { status, effect, code, body: None, retry_after: None }
}

/// Row 18.
#[tokio::test]
async fn a_payment_whose_answer_never_came_is_found_by_the_retry() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    lab.next_post("order-1", Action::AnswerLost { close_after: None });
    let sidecar = lab.sidecar().flag("--attempt-timeout-seconds", "1").start().await;
    let hasty = sidecar.charge(&order("order-1").within_ms(900)).await;
    hasty.is_unknown();
    let told = sidecar.charge(&order("order-1")).await;
    told.is_paid("RECOVERED");
    lab.agrees("order-1", 1, &[&hasty, &told]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 18: the first request is still on its way, and lands when the second was answered.
#[tokio::test]
async fn a_payment_that_did_not_arrive_is_sent_again_by_the_retry() {
    let lab = Lab::start().await;
    lab.next_post("order-1", Action::LateEffect { after: HOUR, status: None, lock: false });
    let sidecar = lab.sidecar().flag("--attempt-timeout-seconds", "1").start().await;
    let hasty = sidecar.charge(&order("order-1").within_ms(900)).await;
    hasty.is_unknown();
    let told = sidecar.charge(&order("order-1")).await;
    told.is_paid("DIRECT");
    assert_eq!(told.outcome().posts, 2);
    lab.zentra.advance(HOUR);
    assert_eq!(lab.zentra.ledger().late_effects, 0);
    lab.agrees("order-1", 1, &[&hasty, &told]);
    assert_eq!(lab.upstream_keys("order-1").len(), 1);
}

/// Row 18, within one call: the time of a try is over, and a look-up finds what it did.
#[tokio::test]
async fn a_try_that_takes_too_long_and_acted_is_found_by_the_same_call() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    lab.next_post("order-1", Action::AnswerLost { close_after: None });
    let sidecar = lab.sidecar().flag("--attempt-timeout-seconds", "1").start().await;
    let told = sidecar.charge(&order("order-1")).await;
    told.is_paid("RECOVERED");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!((lab.posts("order-1"), lab.look_ups("order-1")), (1, 1));
}

/// Row 18, within one call: a look-up finds nothing, and the payment is sent once more.
#[tokio::test]
async fn a_try_that_takes_too_long_and_did_not_act_is_sent_again_by_the_same_call() {
    let lab = Lab::start().await;
    lab.next_post("order-1", Action::LateEffect { after: HOUR, status: None, lock: false });
    let sidecar = lab.sidecar().flag("--attempt-timeout-seconds", "1").start().await;
    let told = sidecar.charge(&order("order-1")).await;
    told.is_paid("DIRECT");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!((lab.posts("order-1"), lab.look_ups("order-1")), (2, 1));
}

/// Row 19.
#[tokio::test]
async fn a_500_that_hides_an_effect_is_looked_up() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    lab.next_post("order-1", status(500, None, true));
    let told = lab.sidecar().start().await.charge(&order("order-1")).await;
    told.is_paid("RECOVERED");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 19.
#[tokio::test]
async fn a_500_without_an_effect_is_sent_again_after_a_look_up() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    lab.next_post("order-1", status(500, None, false));
    let told = lab.sidecar().start().await.charge(&order("order-1")).await;
    told.is_paid("DIRECT");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!((lab.posts("order-1"), lab.look_ups("order-1")), (2, 1));
    assert_eq!(lab.upstream_keys("order-1").len(), 1);
}

/// Row 19: never "failed", however often.
#[tokio::test]
async fn endless_500s_are_unknown_and_at_most_three_posts_a_call() {
    let lab = Lab::start().await;
    for _ in 0..3 {
        lab.next_post("order-1", status(503, None, false));
    }
    let sidecar = lab.sidecar().start().await;
    let unlucky = sidecar.charge(&order("order-1")).await;
    unlucky.is_unknown();
    assert_eq!(lab.posts("order-1"), 3);
    let told = sidecar.charge(&order("order-1")).await;
    told.is_paid("DIRECT");
    assert_eq!(told.outcome().posts, 4);
    lab.agrees("order-1", 1, &[&unlucky, &told]);
}

/// Row 22: in progress.
#[tokio::test]
async fn a_key_in_use_at_zentra_is_waited_for() {
    let lab = Lab::start().await;
    lab.next_post("order-1", Action::LateEffect { after: HOUR, status: Some(504), lock: true });
    let sidecar = lab.sidecar().start().await;
    let lands = async {
        lab.until_posts("order-1", 2).await;
        lab.zentra.advance(HOUR);
    };
    let order = order("order-1");
    let (told, ()) = tokio::join!(sidecar.charge(&order), lands);
    told.is_paid("RECOVERED");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!(lab.posts("order-1"), 2);
}

/// Row 22: the reference is this payment's own, from an attempt whose answer was lost.
#[tokio::test]
async fn a_duplicate_reference_after_a_doubtful_attempt_is_adopted() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, true);
    lab.next_post("order-1", Action::ResetAfter);
    // A replica of Zentra's that is behind.
    lab.next_look_up("order-1", status(404, Some("not_found"), false));
    let told = lab.sidecar().start().await.charge(&order("order-1")).await;
    told.is_paid("RECOVERED");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!(lab.posts("order-1"), 2);
}

/// A charge with another key, by somebody who uses the same Zentra account without a sidecar.
async fn made_elsewhere(lab: &Lab, reference: &str, amount_minor: i64) {
    let body = json!({
        "idempotency_key": "elsewhere",
        "reference": reference,
        "amount_minor": amount_minor,
        "currency": "NGN",
        "customer_id": CUSTOMER,
        "payment_token_id": lab.token,
        "capture_mode": "customer_action_required",
    });
    direct(&lab.zentra, "charges", &body).await;
    assert_eq!(lab.charges(reference), 1);
}

/// Row 22: nothing of this payment can have arrived, so that the reference is another's.
#[tokio::test]
async fn a_clean_duplicate_reference_is_told_and_released() {
    let lab = Lab::start().await;
    made_elsewhere(&lab, "order-1", 2000).await;
    let sidecar = lab.sidecar().start().await;
    for _ in 0..2 {
        let told = sidecar.charge(&order("order-1")).await;
        told.is_fault(Code::AlreadyExists, "REFERENCE_ALREADY_USED", "no");
    }
    // Each was a first call: no record was left.
    assert_eq!((lab.posts("order-1"), lab.charges("order-1")), (3, 1));
}

/// Row 22: what has the reference is the same in every respect. It may be this key's own payment,
/// from before its record was forgotten, so that nobody may say that no money moved.
#[tokio::test]
async fn a_duplicate_reference_of_an_equal_payment_is_not_told_as_no() {
    let lab = Lab::start().await;
    made_elsewhere(&lab, "order-1", 1000).await;
    let sidecar = lab.sidecar().start().await;
    let told = sidecar.charge(&order("order-1")).await;
    told.is_fault(Code::AlreadyExists, "REFERENCE_ALREADY_USED", "unknown");
    assert_eq!(lab.charges("order-1"), 1);
}

/// Row 22: the record is forgotten, and Zentra still knows the key. That payment was made, so
/// that nobody may say of this key that no money moved.
#[tokio::test]
async fn a_key_that_zentra_knows_for_another_payment_is_not_told_as_no() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    lab.redis().ask::<()>(&["FLUSHALL"]).await;
    assert_eq!(open(&lab.store_url, "default").init().await, Ok(InitAnswer::Declared));
    let told = sidecar.charge(&order("order-2").key("key-order-1")).await;
    told.is_fault(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED", "unknown");
    assert_eq!((lab.charges("order-1"), lab.charges("order-2")), (1, 0));
}

/// Row 22: adopted only if equal.
#[tokio::test]
async fn another_amount_under_the_reference_is_a_conflict_after_doubt() {
    let lab = Lab::start().await;
    made_elsewhere(&lab, "order-1", 999).await;
    lab.next_post("order-1", Action::ResetBefore);
    let sidecar = lab.sidecar().start().await;
    let told = sidecar.charge(&order("order-1")).await;
    told.is_fault(Code::FailedPrecondition, "OUTCOME_CONFLICT", "unknown");
    assert_eq!(lab.charges("order-1"), 1);
}

/// Row 23.
#[tokio::test]
async fn an_answer_with_another_amount_is_a_conflict_for_good() {
    let lab = Lab::start().await;
    lab.next_post("order-1", Action::Wrong(Tamper::Amount(None)));
    let sidecar = lab.sidecar().start().await;
    for _ in 0..2 {
        let told = sidecar.charge(&order("order-1")).await;
        told.is_fault(Code::FailedPrecondition, "OUTCOME_CONFLICT", "unknown");
        lab.agrees("order-1", 1, &[&told]);
    }
    assert_eq!(lab.posts("order-1"), 1);
    let line = sidecar.said("a payment needs an operator").await;
    assert!(line.contains("ERROR") && line.contains("OUTCOME_CONFLICT"), "{line}");
}

/// Row 23.
#[tokio::test]
async fn a_look_up_with_another_amount_is_a_conflict_and_not_adopted() {
    let lab = Lab::start().await;
    lab.next_post("order-1", status(500, None, true));
    lab.next_look_up("order-1", Action::Wrong(Tamper::Amount(None)));
    let sidecar = lab.sidecar().start().await;
    for _ in 0..2 {
        let told = sidecar.charge(&order("order-1")).await;
        told.is_fault(Code::FailedPrecondition, "OUTCOME_CONFLICT", "unknown");
        lab.agrees("order-1", 1, &[&told]);
    }
    assert_eq!(lab.posts("order-1"), 1);
    let line = sidecar.said("a payment needs an operator").await;
    assert!(line.contains("ERROR") && line.contains("OUTCOME_CONFLICT"), "{line}");
}

/// The most memory that a process has had so far, in KiB.
fn peak_memory_kib(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Row 24.
#[tokio::test]
async fn a_broken_body_is_doubt_and_takes_no_memory() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let sidecar = lab.sidecar().start().await;
    sidecar.charge(&order("warm-up")).await.is_paid("DIRECT");
    let before = peak_memory_kib(sidecar.id());
    let bodies = [
        ("truncated", Action::Truncated { keep: None }),
        ("not-json", Action::NotJson { body: None }),
        ("huge", Action::Huge { bytes: 50 * 1024 * 1024 }),
    ];
    for (reference, action) in bodies {
        lab.next_post(reference, action);
        let told = sidecar.charge(&order(reference)).await;
        told.is_paid("RECOVERED");
        lab.agrees(reference, 1, &[&told]);
        assert_eq!(lab.posts(reference), 1, "{reference}");
    }
    let grown = peak_memory_kib(sidecar.id()) - before;
    assert!(grown < 16 * 1024, "{grown} KiB");
}

/// Row 25.
#[tokio::test]
async fn a_reset_after_the_requests_bytes_is_looked_up() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let sidecar = lab.sidecar().start().await;
    lab.next_post("acted", Action::ResetAfter);
    lab.next_post("did-not", Action::ResetBefore);
    let found = sidecar.charge(&order("acted")).await;
    found.is_paid("RECOVERED");
    lab.agrees("acted", 1, &[&found]);
    assert_eq!(lab.posts("acted"), 1);
    let sent = sidecar.charge(&order("did-not")).await;
    sent.is_paid("DIRECT");
    lab.agrees("did-not", 1, &[&sent]);
    assert_eq!((lab.posts("did-not"), lab.look_ups("did-not")), (2, 1));
}
