//! A refund of all that is left, beside others that are under way: nothing else fits beside it, and
//! whichever of two reaches Zentra second is refused there.

use tonic::Code;

use super::lab::Lab;
use super::told::order;

/// What each refund of the charge came to at Zentra.
fn given_back(lab: &Lab) -> Vec<i64> {
    lab.zentra.ledger().refunds_of("order-1").iter().map(|refund| refund.amount_minor).collect()
}

#[tokio::test]
async fn while_it_is_under_way_or_unknown_no_other_refund_fits() {
    let lab = Lab::start().await;
    let other = lab.sidecar().start().await;
    other.charge(&order("order-1")).await.is_paid("DIRECT");
    let mut first = lab.sidecar().failpoint("before_send:wait").start().await;
    let nothing_fits = async |when: &str| {
        for (reference, amount) in [("refund-1", Some(1)), ("refund-2", None)] {
            let told = other.refund(reference, "order-1", amount).await;
            told.is_fault(Code::FailedPrecondition, "REFUND_EXCEEDS_CHARGE", "no");
        }
        assert_eq!(given_back(&lab), [0; 0], "{when}");
    };
    let beside = async {
        first.reached("before_send").await;
        nothing_fits("under way").await;
        first.signal("KILL").await;
    };
    let (told, ()) = tokio::join!(first.refund("rest", "order-1", None), beside);
    told.is_cut_off();
    first.ended().await;
    nothing_fits("unknown").await;
    let told = other.refund("rest", "order-1", None).await;
    told.is_paid("DIRECT");
    assert_eq!((told.outcome().amount_minor, given_back(&lab)), (1000, vec![1000]));
}

/// It asks Zentra for all that is left there, which is more than what is left to be kept for it
/// here. Zentra's own check refuses the one that comes later, which moves nothing and gives back
/// what it had kept.
#[tokio::test]
async fn beside_a_refund_that_is_not_sent_yet_zentra_takes_the_first_that_comes() {
    let lab = Lab::start().await;
    let other = lab.sidecar().start().await;
    other.charge(&order("order-1")).await.is_paid("DIRECT");
    let first = lab.sidecar().failpoint("before_send:wait").start().await;
    let beside = async {
        first.reached("before_send").await;
        let told = other.refund("rest", "order-1", None).await;
        told.is_paid("DIRECT");
        assert_eq!(told.outcome().amount_minor, 1000);
        first.release().await;
    };
    let (told, ()) = tokio::join!(first.refund("part", "order-1", Some(400)), beside);
    told.is_fault(Code::InvalidArgument, "UPSTREAM_REJECTED", "no");
    assert_eq!(given_back(&lab), [1000]);
    let more = other.refund("more", "order-1", Some(1)).await;
    more.is_fault(Code::FailedPrecondition, "REFUND_EXCEEDS_CHARGE", "no");
    // What is counted is what was given back.
    let [counter] = &lab.redis().ask::<Vec<String>>(&["KEYS", "*:l:*"]).await[..] else { panic!() };
    assert_eq!(lab.redis().ask::<u64>(&["HGET", counter, "sum"]).await, 1000);
}
