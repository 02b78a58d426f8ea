//! Calls above the limit are refused at the door; a place belongs to the work, not to its caller.

use tonic::Code;

use super::lab::Lab;
use super::told::{Told, order};

/// Rows 5 and 30.
#[tokio::test]
async fn work_keeps_its_place_when_its_caller_hangs_up() {
    let lab = Lab::start().await;
    let launch = lab.sidecar().flag("--calls-in-flight", "1").flag("--lease-seconds", "30");
    let sidecar = launch.failpoint("after_answer:wait").start().await;
    {
        let first = order("order-1");
        let call = sidecar.charge(&first);
        tokio::pin!(call);
        tokio::select! {
            told = &mut call => panic!("answered: {told:?}"),
            () = sidecar.reached("after_answer") => {}
        }
        // Dropped here: the stream is reset.
    }
    let refused = sidecar.charge(&order("order-2")).await;
    refused.is_fault(Code::ResourceExhausted, "OVERLOADED", "unknown");
    assert_eq!((lab.posts("order-2"), lab.look_ups("order-2")), (0, 0));
    sidecar.release().await;
    lab.until("the charge", |ledger| ledger.charges_of("order-1").len() == 1).await;
    // The place is free once the outcome is stored.
    let mut told = sidecar.charge(&order("order-2")).await;
    while told.fault_reason() == Some("OVERLOADED") {
        told = sidecar.charge(&order("order-2")).await;
    }
    told.is_paid("DIRECT");
    lab.agrees("order-2", 1, &[&refused, &told]);
}

/// Who waits for another call's answer makes place for one that works.
#[tokio::test]
async fn a_waiting_duplicate_takes_nobodys_place() {
    let lab = Lab::start().await;
    let (first, duplicate, other) = beside_a_waiting_duplicate(&lab, "4096").await;
    first.is_paid("DIRECT");
    duplicate.is_paid("REPLAYED");
    other.is_paid("DIRECT");
    assert_eq!(lab.posts("order-1"), 1);
}

/// Where no more may wait, one more keeps its place.
#[tokio::test]
async fn those_who_may_wait_are_limited() {
    let lab = Lab::start().await;
    let (first, duplicate, other) = beside_a_waiting_duplicate(&lab, "0").await;
    first.is_paid("DIRECT");
    duplicate.is_paid("REPLAYED");
    other.is_fault(Code::ResourceExhausted, "OVERLOADED", "unknown");
}

/// A payment under way, a duplicate that waits for it, and another payment; two places.
async fn beside_a_waiting_duplicate(lab: &Lab, waiting: &str) -> (Told, Told, Told) {
    let launch = lab.sidecar().flag("--calls-in-flight", "2").flag("--calls-waiting", waiting);
    let launch = launch.flag("--lease-seconds", "30");
    let sidecar = launch.failpoint("after_answer:wait").start().await;
    let work = async {
        let (first, duplicate) = (order("order-1"), order("order-1"));
        let later = async {
            sidecar.reached("after_answer").await;
            tokio::join!(sidecar.charge(&duplicate), async {
                // Whoever waits listens for the end.
                let channel = "{zs:default:simulated}:ends";
                let listens = async || {
                    let words = ["PUBSUB", "NUMSUB", channel];
                    lab.redis().ask::<(String, u32)>(&words).await.1 > 0
                };
                while !listens().await {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                let told = sidecar.charge(&order("order-2")).await;
                sidecar.release().await;
                told
            })
        };
        tokio::join!(sidecar.charge(&first), later)
    };
    let (first, (duplicate, other)) = work.await;
    (first, duplicate, other)
}
