//! What a payment took goes back to its own window, and to no other: told of both stores, by a clock
//! that stands where the story puts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zentra_sidecar::idempotency::{
    Binding, ClaimAnswer, Class, CounterId, InitAnswer, LimitName, MemoryStore, Quantity, Store,
    Take,
};

use crate::support::payment::{Payment, charge, outcome};

const HOUR_MS: u64 = 3_600_000;

/// A payment that takes this of a hundred an hour.
fn payment(number: u64, amount: u64) -> Payment {
    let take = Take {
        limit: LimitName::new("hourly").unwrap(),
        counter: CounterId::new(["hourly"]),
        window_ms: HOUR_MS,
        quantity: Quantity::Amount(amount),
        most: 100,
        binding: Binding::Enforced,
    };
    charge(&format!("key-{number}"), &format!("order-{number}")).takes(vec![take])
}

async fn runs(store: &dyn Store, payment: &Payment, by: u128) {
    let answer = store.claim(&payment.claim(by)).await.unwrap().answer;
    assert!(matches!(answer, ClaimAnswer::Run { epoch: 1, .. }), "{answer:?}");
}

async fn fails(store: &dyn Store, payment: &Payment, by: u128) {
    let declined = payment.evidence(by, 1, outcome(Class::Failed, &format!("chg_{by}"), 1));
    store.complete(&declined).await.unwrap();
}

/// What this hour has left, and how long it lasts.
async fn left(store: &dyn Store) -> (u64, Option<u64>) {
    let answer = store.claim(&payment(99, 101).claim(99)).await.unwrap().answer;
    let ClaimAnswer::Full { full, look_ups_first: false } = answer else { panic!("{answer:?}") };
    (full.left, full.resets_in_ms)
}

async fn what_was_taken_goes_back_to_its_own_window(store: &dyn Store, at: impl AsyncFn(u64)) {
    at(10 * HOUR_MS).await;
    assert_eq!(store.init().await, Ok(InitAnswer::Declared));
    let [one, two, three] = [payment(1, 30), payment(2, 40), payment(3, 50)];
    runs(store, &one, 1).await;
    runs(store, &two, 2).await;
    at(11 * HOUR_MS - 1).await;
    assert_eq!(left(store).await, (30, Some(1)));
    // Within its hour.
    fails(store, &one, 1).await;
    assert_eq!(left(store).await, (60, Some(1)));
    at(11 * HOUR_MS).await;
    assert_eq!(left(store).await, (100, Some(HOUR_MS)), "a window has a count of its own");
    runs(store, &three, 3).await;
    // Of the hour before: this one's count is not touched.
    fails(store, &two, 2).await;
    assert_eq!(left(store).await, (50, Some(HOUR_MS)));
    fails(store, &three, 3).await;
    assert_eq!(left(store).await, (100, Some(HOUR_MS)));
}

#[tokio::test]
async fn in_memory_what_was_taken_goes_back_to_its_own_window() {
    let now_ms = Arc::new(AtomicU64::new(0));
    let shown = now_ms.clone();
    let store = MemoryStore::new(move || shown.load(Ordering::SeqCst));
    let at = async |ms| now_ms.store(ms, Ordering::SeqCst);
    what_was_taken_goes_back_to_its_own_window(&store, at).await;
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn at_redis_what_was_taken_goes_back_to_its_own_window() {
    use crate::support::redis::{Program, Server, open};

    let server = Server::start(Program::Redis, &[]).await;
    let store = open(&server.url(), "windows").by_told_clock();
    let at = async |ms| store.tell_time(ms).await.unwrap();
    what_was_taken_goes_back_to_its_own_window(&store, at).await;
}
