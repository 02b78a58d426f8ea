//! A payment that exists beats every refusal. The refusals here are those of a refund whose
//! charge does not fit any more.

use tonic::Code;
use zentra_sidecar::simulator::LedgerView;

use super::lab::Lab;
use super::sidecar::Sidecar;
use super::told::order;

/// A paid charge, a sidecar whose first refund ends at a point, and one that goes on.
async fn refund_killed_at(lab: &Lab, point: &str) -> Sidecar {
    let other = lab.sidecar().start().await;
    other.charge(&order("order-1")).await.is_paid("DIRECT");
    let mut first = lab.sidecar().failpoint(&format!("{point}:kill")).start().await;
    first.refund("refund-1", "order-1", Some(400)).await.is_cut_off();
    first.ended().await;
    other
}

/// From now on a refund of the charge is refused.
fn refuse_refunds(lab: &Lab) {
    lab.zentra.settle("order-1", "failed", None).unwrap();
}

fn refund_posts(ledger: &LedgerView) -> usize {
    ledger.posts_of("refund-1").len()
}

const REFUSED: &str = "CHARGE_NOT_REFUNDABLE";

/// Row 33: it happened.
#[tokio::test]
async fn an_unknown_refund_is_found_though_a_new_one_would_be_refused() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let sidecar = refund_killed_at(&lab, "after_answer").await;
    refuse_refunds(&lab);
    let told = sidecar.refund("refund-1", "order-1", Some(400)).await;
    told.is_paid("RECOVERED");
    let ledger = lab.zentra.ledger();
    let refunds = ledger.refunds_of("order-1");
    assert_eq!((refunds.len(), refund_posts(&ledger)), (1, 1));
    assert_eq!(refunds[0].id, told.outcome().id);
    // And again, from the store alone.
    let again = sidecar.refund("refund-1", "order-1", Some(400)).await;
    again.is_paid("REPLAYED");
}

/// Row 33: it did not, but nobody can know that yet.
#[tokio::test]
async fn an_unknown_refund_that_is_not_found_is_not_sent_and_stays_unknown() {
    let lab = Lab::start().await;
    let sidecar = refund_killed_at(&lab, "before_send").await;
    refuse_refunds(&lab);
    sidecar.refund("refund-1", "order-1", Some(400)).await.is_unknown();
    assert_eq!(refund_posts(&lab.zentra.ledger()), 0);
    // The refusal is over: the same key makes the payment.
    lab.zentra.settle("order-1", "successful", None).unwrap();
    sidecar.refund("refund-1", "order-1", Some(400)).await.is_paid("DIRECT");
    assert_eq!(lab.zentra.ledger().refunds_of("order-1").len(), 1);
}

/// Row 37.
#[tokio::test]
async fn after_a_store_loss_a_refusal_says_unknown_and_never_no() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    sidecar.refund("refund-1", "order-1", Some(400)).await.is_paid("DIRECT");
    refuse_refunds(&lab);
    // One that has not seen the charge paid: that is remembered, as it never changes.
    let sidecar = lab.sidecar().start().await;
    let plain = sidecar.refund("refund-2", "order-1", Some(400)).await;
    plain.is_fault(Code::FailedPrecondition, REFUSED, "no");
    lab.redis().ask::<()>(&["FLUSHALL"]).await;
    for reference in ["refund-1", "refund-2"] {
        let told = sidecar.refund(reference, "order-1", Some(400)).await;
        told.is_fault(Code::FailedPrecondition, REFUSED, "unknown");
    }
    assert_eq!(refund_posts(&lab.zentra.ledger()), 1);
    // The refusal is over: the truth is found.
    lab.zentra.settle("order-1", "partially_refunded", None).unwrap();
    let told = sidecar.refund("refund-1", "order-1", Some(400)).await;
    told.is_paid("RECOVERED");
    assert_eq!(refund_posts(&lab.zentra.ledger()), 1);
}
