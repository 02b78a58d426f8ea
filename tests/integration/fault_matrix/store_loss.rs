//! A store that has lost what it had acknowledged. Zentra's own dedupe is off wherever a second
//! POST must not leave at all, as it would hide one.

use super::lab::Lab;
use super::told::order;
use crate::store_sentinel::Pair;

/// Row 14.
#[tokio::test]
async fn a_failover_that_loses_the_claim_is_followed_by_a_look_up() {
    let mut pair = Pair::start().await;
    let lab = Lab::over(&pair.url()).await;
    lab.zentra_dedupes(false, false);
    // A step outlasts the failover.
    let launch = || lab.sidecar().flag("--store-timeout-ms", "20000");
    let mut first = launch().failpoint("after_answer:kill").start().await;
    let second = launch().start().await;
    pair.in_step().await;
    pair.cut_replication().await;
    first.charge(&order("order-1")).await.is_cut_off();
    first.ended().await;
    pair.master.kill().await;
    let told = second.charge(&order("order-1")).await;
    told.is_paid("RECOVERED");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 15: and its owner died.
#[tokio::test]
async fn a_wiped_store_is_followed_by_a_look_up() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let mut first = lab.sidecar().failpoint("after_answer:kill").start().await;
    let second = lab.sidecar().start().await;
    first.charge(&order("order-1")).await.is_cut_off();
    first.ended().await;
    lab.redis().ask::<()>(&["FLUSHALL"]).await;
    let told = second.charge(&order("order-1")).await;
    told.is_paid("RECOVERED");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 15: wiped between Zentra's answer and its storing.
#[tokio::test]
async fn a_record_that_vanished_is_created_again_by_its_owner() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let first = lab.sidecar().failpoint("after_answer:wait").start().await;
    let second = lab.sidecar().start().await;
    let order = order("order-1");
    let wipe = async {
        first.reached("after_answer").await;
        lab.redis().ask::<()>(&["FLUSHALL"]).await;
        first.release().await;
    };
    let (told, ()) = tokio::join!(first.charge(&order), wipe);
    told.is_paid("DIRECT");
    let again = second.charge(&order).await;
    again.is_paid("REPLAYED");
    lab.agrees("order-1", 1, &[&told, &again]);
    assert_eq!((lab.posts("order-1"), lab.look_ups("order-1")), (1, 0));
}

/// Row 15: wiped before the send; another process makes the payment, and the first one finds that
/// it lost its lease.
#[tokio::test]
async fn an_owner_whose_record_was_wiped_sends_nothing_after_its_lease() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let first = lab.sidecar().failpoint("before_send:wait").start().await;
    let second = lab.sidecar().start().await;
    let order = order("order-1");
    let others = async {
        first.reached("before_send").await;
        lab.redis().ask::<()>(&["FLUSHALL"]).await;
        let told = second.charge(&order).await;
        Lab::a_lease_passes().await;
        first.release().await;
        told
    };
    let (late, told) = tokio::join!(first.charge(&order), others);
    told.is_paid("DIRECT");
    late.is_paid("REPLAYED");
    lab.agrees("order-1", 1, &[&late, &told]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 15: wiped before the send, and both send within their leases: Zentra knows the key.
#[tokio::test]
async fn two_owners_after_a_wipe_use_one_key() {
    let lab = Lab::start().await;
    let first =
        lab.sidecar().flag("--lease-seconds", "30").failpoint("before_send:wait").start().await;
    let second = lab.sidecar().flag("--lease-seconds", "30").start().await;
    let order = order("order-1");
    let others = async {
        first.reached("before_send").await;
        lab.redis().ask::<()>(&["FLUSHALL"]).await;
        let told = second.charge(&order).await;
        first.release().await;
        told
    };
    let (late, told) = tokio::join!(first.charge(&order), others);
    assert_eq!(late.outcome().id, told.outcome().id);
    assert_eq!((lab.charges("order-1"), lab.posts("order-1")), (1, 2));
    assert_eq!(lab.upstream_keys("order-1").len(), 1);
}
