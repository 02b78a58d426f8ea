//! A failover of the in-memory store, which the simulation uses, and what it must not hide.

use zentra_sidecar::idempotency::{
    ClaimAnswer, Class, CompleteAnswer, InitAnswer, MemoryStore, ReleaseAnswer, Renew, RenewAnswer,
    State, Store, WhyKept,
};

use crate::support::payment::{LONG_MS, charge, fence, outcome};

#[tokio::test]
async fn a_lost_takeover_keeps_the_first_owner_from_saying_no() {
    let store = MemoryStore::new(|| 1_000_000);
    assert_eq!(store.init().await, Ok(InitAnswer::Declared));
    let payment = charge("key", "order-1").lease_ms(0);
    store.claim(&payment.claim(1)).await.unwrap();
    let replica = store.snapshot();
    let taken = store.claim(&payment.claim(2)).await.unwrap().answer;
    assert!(matches!(taken, ClaimAnswer::Recover { .. }), "{taken:?}");
    // The second owner has sent; its takeover is forgotten.
    store.fail_over(replica);
    let released = store.release(&payment.release(1, 1)).await.unwrap().answer;
    assert_eq!(released, ReleaseAnswer::NotReleased(WhyKept::Ambiguous));
    let nameless = payment.evidence(1, 1, outcome(Class::Failed, "", 1));
    let completed = store.complete(&nameless).await.unwrap().answer;
    let CompleteAnswer::NotProof { record } = completed else {
        panic!("{completed:?}");
    };
    assert_eq!(record.state, State::Unknown);
    let late = payment.evidence(2, 2, outcome(Class::Succeeded, "chg_1", 1));
    let completed = store.complete(&late).await.unwrap().answer;
    assert!(matches!(completed, CompleteAnswer::Stored { .. }), "{completed:?}");
}

#[tokio::test]
async fn a_lost_takeover_keeps_the_first_owner_from_renewing() {
    let store = MemoryStore::new(|| 1_000_000);
    assert_eq!(store.init().await, Ok(InitAnswer::Declared));
    let payment = charge("key", "order-1");
    store.claim(&payment.claim(1)).await.unwrap();
    let renew = Renew { digest: payment.subject.digest, fence: fence(1, 1), lease_ms: LONG_MS };
    assert_eq!(store.renew(&renew).await.unwrap().answer, RenewAnswer::Renewed);
    store.fail_over(store.snapshot());
    assert_eq!(store.renew(&renew).await.unwrap().answer, RenewAnswer::Lost);
    // Another claim has met the store's new life since.
    store.claim(&charge("new", "order-2").claim(2)).await.unwrap();
    assert_eq!(store.renew(&renew).await.unwrap().answer, RenewAnswer::Lost);
}

#[tokio::test]
async fn a_step_that_is_dropped_unpolled_never_happens() {
    let store = MemoryStore::new(|| 1_000_000);
    let claim = charge("key", "order-1").claim(1);
    drop(store.claim(&claim));
    let answer = store.claim(&charge("key", "order-1").refused(2)).await.unwrap().answer;
    assert!(matches!(answer, ClaimAnswer::Refused { .. }), "{answer:?}");
}
