//! A store in memory that has no room left: new payments are refused, those that are there are not.

use zentra_sidecar::idempotency::{ClaimAnswer, Class, InitAnswer, MemoryStore, Store, StoreError};

use crate::support::payment::{charge, outcome};

#[tokio::test]
async fn a_full_store_tells_a_payment_that_it_has_and_begins_no_other() {
    let store = MemoryStore::new(|| 0).with_room(2);
    assert_eq!(store.init().await, Ok(InitAnswer::Declared));
    let [paid, under_way, third] =
        [1, 2, 3].map(|number| charge(&format!("key-{number}"), &format!("order-{number}")));
    for (payment, by) in [(&paid, 1), (&under_way, 2)] {
        let answer = store.claim(&payment.claim(by)).await.unwrap().answer;
        assert!(matches!(answer, ClaimAnswer::Run { .. }), "{answer:?}");
    }
    store.complete(&paid.evidence(1, 1, outcome(Class::Succeeded, "chg_1", 1))).await.unwrap();
    assert_eq!(store.claim(&third.claim(3)).await, Err(StoreError::Full));
    let answer = store.claim(&paid.claim(4)).await.unwrap().answer;
    assert!(matches!(answer, ClaimAnswer::Replay { .. }), "{answer:?}");
    let answer = store.claim(&under_way.claim(5)).await.unwrap().answer;
    assert!(matches!(answer, ClaimAnswer::Busy { .. }), "{answer:?}");
}
