//! Refund: checked against its charge before anything is sent that could move money.

use zentra_sidecar::grpc::proto::{self, Money, RefundStatus};
use zentra_sidecar::simulator::{Options, RefundReference, Route};

use crate::support::requests::{self, DECLINED_CARD, GOOD_CARD, SETTLING_CARD};
use crate::support::rig::Rig;
use crate::support::told::refused;

/// What a refusal says about the key's payment: there was no record of it.
const REFUSED: &str = "no";

fn refunds_sent(rig: &Rig) -> usize {
    let ledger = rig.simulator.ledger();
    ledger.posts.iter().filter(|post| post.route == Route::CreateRefund).count()
}

#[tokio::test]
async fn in_parts_and_then_all_that_is_left() {
    let rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    let mut client = rig.client();
    let part = requests::refund("refund-1", "order-1", Some(20_000));
    let part = client.refund(part).await.unwrap().into_inner().refund.unwrap();
    assert_eq!((part.amount, part.status), (requests::ngn(20_000), RefundStatus::Succeeded.into()));
    let rest = requests::refund("refund-2", "order-1", None);
    let rest = client.refund(rest).await.unwrap().into_inner().refund.unwrap();
    assert_eq!(rest.amount, requests::ngn(30_000), "what was left");
    let charge = client.get_charge(requests::get_charge("order-1")).await.unwrap();
    let charge = charge.into_inner().charge.unwrap();
    assert_eq!(charge.status(), proto::ChargeStatus::Refunded);
}

#[tokio::test]
async fn in_another_currency_than_the_charge_is_refused_before_anything_is_sent() {
    let rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    let amount = Some(Money { amount_minor: 100, currency: "USD".into() });
    let request = proto::RefundRequest { amount, ..requests::refund("refund-1", "order-1", None) };
    assert_eq!(
        refused(rig.client().refund(request).await),
        format!(
            "InvalidArgument INVALID_REQUEST money_moved={REFUSED} reference=refund-1 sent=false; \
             never again\n  amount.currency must be the currency of the charge"
        )
    );
    assert_eq!(refunds_sent(&rig), 0);
}

#[tokio::test]
async fn beyond_the_charge_is_refused_before_anything_is_sent() {
    let rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    let request = requests::refund("refund-1", "order-1", Some(50_001));
    assert_eq!(
        refused(rig.client().refund(request).await),
        format!(
            "FailedPrecondition REFUND_EXCEEDS_CHARGE money_moved={REFUSED} reference=refund-1 \
             remaining_minor=50000 sent=false; never again"
        )
    );
    assert_eq!(refunds_sent(&rig), 0);
}

#[tokio::test]
async fn beyond_what_is_left_is_refused_before_anything_is_sent() {
    let rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    let part = requests::refund("refund-1", "order-1", Some(30_000));
    rig.client().refund(part).await.unwrap();
    let more = requests::refund("refund-2", "order-1", Some(30_000));
    assert_eq!(
        refused(rig.client().refund(more).await),
        format!(
            "FailedPrecondition REFUND_EXCEEDS_CHARGE money_moved={REFUSED} reference=refund-2 \
             remaining_minor=20000 sent=false; never again"
        )
    );
    assert_eq!(refunds_sent(&rig), 1);
    let given_back: i64 =
        rig.simulator.ledger().refunds_of("order-1").iter().map(|it| it.amount_minor).sum();
    assert_eq!(given_back, 30_000);
}

#[tokio::test]
async fn of_a_charge_that_did_not_succeed_is_refused_before_anything_is_sent() {
    for card in [DECLINED_CARD, SETTLING_CARD] {
        let rig = Rig::start().await;
        rig.charged(card, "order-1").await;
        let request = requests::refund("refund-1", "order-1", None);
        assert_eq!(
            refused(rig.client().refund(request).await),
            format!(
                "FailedPrecondition CHARGE_NOT_REFUNDABLE money_moved={REFUSED} \
                 reference=refund-1 sent=false; never again"
            )
        );
        assert_eq!(refunds_sent(&rig), 0);
    }
}

#[tokio::test]
async fn of_a_charge_with_a_word_that_nobody_knows_is_refused() {
    for word in ["paid", "SUCCESSFUL", "settled_maybe"] {
        let rig = Rig::start().await;
        rig.charged(GOOD_CARD, "order-1").await;
        rig.simulator.settle("order-1", word, None).unwrap();
        let request = requests::refund("refund-1", "order-1", None);
        let told = refused(rig.client().refund(request).await);
        assert!(told.starts_with("FailedPrecondition CHARGE_NOT_REFUNDABLE"), "{told}");
        assert_eq!(refunds_sent(&rig), 0);
    }
}

#[tokio::test]
async fn of_a_charge_that_is_not_there() {
    let rig = Rig::start().await;
    let told = refused(rig.client().refund(requests::refund("refund-1", "order-1", None)).await);
    let expected = format!(
        "FailedPrecondition UPSTREAM_NOT_FOUND money_moved={REFUSED} provider_code=not_found"
    );
    assert!(told.starts_with(&expected), "{told}");
    assert!(told.ends_with("reference=refund-1 sent=false; never again"), "{told}");
    assert_eq!(refunds_sent(&rig), 0);
}

#[tokio::test]
async fn under_a_reference_of_zentras_own_keeps_both_names() {
    let options = Options { refund_reference: RefundReference::Own, ..Options::default() };
    let rig = Rig::with(options, &[]).await;
    rig.charged(GOOD_CARD, "order-1").await;
    let request = requests::refund("refund-1", "order-1", Some(20_000));
    let refund = rig.client().refund(request).await.unwrap().into_inner().refund.unwrap();
    assert_eq!(refund.reference, "refund-1");
    let of_zentra = rig.simulator.ledger().refunds[0].reference.clone();
    assert!(of_zentra.starts_with("ref_"));
    assert_eq!(refund.provider_reference, of_zentra);
    let read = rig.client().get_refund(requests::get_refund(&of_zentra)).await.unwrap();
    assert_eq!(read.into_inner().refund.unwrap().id, refund.id);
}

#[tokio::test]
async fn under_the_callers_reference_has_one_name() {
    let rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    let request = requests::refund("refund-1", "order-1", Some(20_000));
    let refund = rig.client().refund(request).await.unwrap().into_inner().refund.unwrap();
    assert_eq!((&*refund.reference, &*refund.provider_reference), ("refund-1", ""));
}

#[tokio::test]
async fn with_the_longest_reason_in_any_script_comes_back_with_it() {
    let rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    let reason = "ẹ".repeat(255);
    let refund = requests::refund("refund-1", "order-1", Some(1));
    let request = proto::RefundRequest { reason: reason.clone(), ..refund };
    let refund = rig.client().refund(request).await.unwrap().into_inner().refund.unwrap();
    assert_eq!(refund.reason, reason);
}
