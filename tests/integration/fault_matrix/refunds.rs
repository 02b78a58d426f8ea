//! Rows 3, 4 and 15 for refunds at a Zentra that names them itself: the caller's reference finds
//! nothing there.

use tonic::Code;
use zentra_sidecar::simulator::{RefundReference, SettingsChange};

use super::lab::Lab;
use super::sidecar::Sidecar;
use super::told::{Told, order};

/// A paid charge, and a refund of it whose process dies at a point.
async fn refund_killed_at(lab: &Lab, point: &str) -> Sidecar {
    let own = Some(RefundReference::Own);
    lab.zentra.configure(SettingsChange { refund_reference: own, ..SettingsChange::default() });
    let second = lab.sidecar().start().await;
    second.charge(&order("order-1")).await.is_paid("DIRECT");
    let mut first = lab.sidecar().failpoint(&format!("{point}:kill")).start().await;
    first.refund("refund-1", "order-1", Some(400)).await.is_cut_off();
    first.ended().await;
    second
}

#[track_caller]
fn refunded_once(lab: &Lab, told: &Told) {
    let ledger = lab.zentra.ledger();
    let refunds = ledger.refunds_of("order-1");
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0].id, told.outcome().id);
    assert_eq!((told.outcome().reference.as_str(), told.outcome().amount_minor), ("refund-1", 400));
}

/// Zentra's key is what makes the second POST harmless.
#[tokio::test]
async fn a_refund_that_only_its_key_can_find_is_made_once() {
    let lab = Lab::start().await;
    let sidecar = refund_killed_at(&lab, "after_answer").await;
    let told = sidecar.refund("refund-1", "order-1", Some(400)).await;
    told.is_paid("DIRECT");
    refunded_once(&lab, &told);
}

#[tokio::test]
async fn a_refund_that_was_stored_is_replayed_by_the_callers_reference() {
    let lab = Lab::start().await;
    let sidecar = refund_killed_at(&lab, "after_complete").await;
    let told = sidecar.refund("refund-1", "order-1", Some(400)).await;
    told.is_paid("REPLAYED");
    refunded_once(&lab, &told);
}

/// The charge shows a refund; it may be this one, so that nothing is sent.
#[tokio::test]
async fn after_a_store_loss_a_refund_that_may_have_been_made_is_not_sent() {
    let lab = Lab::start().await;
    let sidecar = refund_killed_at(&lab, "after_complete").await;
    lab.redis().ask::<()>(&["FLUSHALL"]).await;
    let told = sidecar.refund("refund-1", "order-1", Some(400)).await;
    told.is_fault(Code::Unknown, "OUTCOME_UNRESOLVED", "unknown");
    assert_eq!(lab.zentra.ledger().refunds_of("order-1").len(), 1);
    sidecar.said("a payment needs an operator").await;
}
