//! A read that shows another charge under the reference of a payment that is about to be sent.

use serde_json::json;
use tonic::Code;
use zentra_sidecar::grpc::proto;

use super::lab::{CUSTOMER, Lab, direct};
use super::told::{Order, Told, order};

/// A charge with this order's reference and content that no sidecar made.
async fn made_elsewhere(lab: &Lab, order: &Order) {
    let body = json!({
        "idempotency_key": "elsewhere",
        "reference": order.reference,
        "amount_minor": order.amount_minor,
        "currency": "NGN",
        "customer_id": CUSTOMER,
        "payment_token_id": lab.token,
        "capture_mode": "customer_action_required",
    });
    direct(&lab.zentra, "charges", &body).await;
}

/// What the owner of a payment is told, where another process reads that charge, and passes on
/// what it saw, between the owner's claim and its send.
async fn told_after_a_read(lab: &Lab, order: &Order) -> Told {
    let owner = lab.sidecar().flag("--lease-seconds", "30").failpoint("before_send:wait");
    let owner = owner.start().await;
    let reader = lab.sidecar().variable("SIDECAR_LOG", "zentra_sidecar=debug").start().await;
    let read = async {
        owner.reached("before_send").await;
        let request = proto::GetChargeRequest { reference: order.reference.clone() };
        reader.client.clone().get_charge(request).await.unwrap();
        reader.said("an observed status was left to the payment's owner").await;
        owner.release().await;
    };
    tokio::join!(owner.charge(order), read).0
}

#[tokio::test]
async fn a_read_of_anothers_charge_is_no_answer_to_a_payment_under_way() {
    let lab = Lab::start().await;
    let order = order("order-1");
    made_elsewhere(&lab, &order).await;
    let told = told_after_a_read(&lab, &order).await;
    // Equal in every respect: it may be this key's own, from before its record was forgotten.
    told.is_fault(Code::AlreadyExists, "REFERENCE_ALREADY_USED", "unknown");
}

/// The key of the failed charge was forgotten long ago, and Zentra takes its reference again.
#[tokio::test]
async fn a_read_of_an_old_failed_charge_does_not_end_a_payment_under_way() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(true, false);
    let order = order("order-1");
    made_elsewhere(&lab, &order).await;
    lab.zentra.settle("order-1", "failed", None).unwrap();
    let told = told_after_a_read(&lab, &order).await;
    told.is_paid("DIRECT");
    assert_eq!(lab.charges("order-1"), 2, "the old one, and the payment");
}
