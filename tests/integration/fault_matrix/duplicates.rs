//! The same payment asked for many times at once.

use futures_util::future::join_all;
use tonic::Code;
use zentra_sidecar::domain::Reference;
use zentra_sidecar::idempotency::{Lookup, Namespace, Store as _};
use zentra_sidecar::simulator::Action;

use super::answers::status;
use super::lab::Lab;
use super::sidecar::Sidecar;
use super::told::{Order, Told, order};
use crate::support::redis::open;

const DUPLICATES: usize = 100;

/// The order, from all callers at once, spread over the sidecars.
async fn at_once(sidecars: &[Sidecar], orders: &[Order]) -> Vec<Told> {
    let calls = orders.iter().zip(sidecars.iter().cycle());
    join_all(calls.map(|(order, sidecar)| sidecar.charge(order))).await
}

async fn a_hundred_duplicates(processes: usize) {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    // Long enough that all of them come while the first is at work.
    lab.next_post("order-1", Action::DelayBefore(std::time::Duration::from_millis(500)));
    let launches = (0..processes).map(|_| lab.sidecar().flag("--lease-seconds", "5").start());
    let sidecars = join_all(launches).await;
    let told = at_once(&sidecars, &vec![order("order-1"); DUPLICATES]).await;
    let direct = told.iter().filter(|told| told.outcome().path == "DIRECT").count();
    assert_eq!(direct, 1);
    lab.agrees("order-1", 1, &told.iter().collect::<Vec<_>>());
    let posts: Vec<u32> = told.iter().map(|told| told.outcome().posts).collect();
    assert_eq!(posts, [1; DUPLICATES]);
    assert_eq!((lab.posts("order-1"), lab.look_ups("order-1")), (1, 0));
}

/// Row 7.
#[tokio::test]
async fn a_hundred_duplicates_at_one_process_are_one_post() {
    a_hundred_duplicates(1).await;
}

/// Row 8.
#[tokio::test]
async fn a_hundred_duplicates_at_three_processes_are_one_post() {
    a_hundred_duplicates(3).await;
}

/// Rows 7 and 8: who waits is woken by the end, not by its own slow check, which a test could
/// not tell from it in one process; the answer comes within a fraction of the check's second.
#[tokio::test]
async fn a_waiting_duplicate_at_another_process_is_woken_by_the_end() {
    let lab = Lab::start().await;
    let first = lab.sidecar().flag("--lease-seconds", "30").failpoint("after_claim:wait").start();
    let second = lab.sidecar().flag("--lease-seconds", "30").start();
    let (first, second) = tokio::join!(first, second);
    let (one, other) = (order("order-1"), order("order-1"));
    let owner = first.charge(&one);
    let duplicate = async {
        first.reached("after_claim").await;
        let waiting = second.charge(&other);
        tokio::pin!(waiting);
        // It waits: its claim was answered long ago, and its first check is under way.
        let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut waiting).await;
        assert!(early.is_err(), "{early:?}");
        first.release().await;
        lab.until_posts("order-1", 1).await;
        let sent = tokio::time::Instant::now();
        (waiting.await, sent.elapsed())
    };
    let (owner, (duplicate, waited)) = tokio::join!(owner, duplicate);
    owner.is_paid("DIRECT");
    duplicate.is_paid("REPLAYED");
    lab.agrees("order-1", 1, &[&owner, &duplicate]);
    assert!(waited.as_millis() < 450, "woken after {waited:?}");
}

/// Rows 7 and 8, refused: who waited for a call that was refused begins nothing anew. The first
/// caller has heard `no`, and may pay under another key.
#[tokio::test]
async fn a_duplicate_of_a_refused_payment_sends_nothing() {
    let lab = Lab::start().await;
    lab.next_post("order-1", status(422, Some("token_not_ready"), false));
    let long = ["--lease-seconds", "30"];
    let launch = lab.sidecar().flag(long[0], long[1]).failpoint("after_answer:wait");
    let first = launch.start().await;
    let second = lab.sidecar().flag(long[0], long[1]).start().await;
    let (one, two) = (order("order-1"), order("order-1"));
    let store = open(&lab.store_url, "default");
    let lookup = Lookup::Reference(Namespace::Charge, Reference::new("order-1").unwrap());
    let duplicates = async {
        first.reached("after_answer").await;
        let waiting = second.charge(&two);
        let released = async {
            // The record tells that somebody waits.
            while !store.read(&lookup).await.unwrap().answer.is_some_and(|it| it.waiter) {
                tokio::task::yield_now().await;
            }
            first.release().await;
        };
        tokio::join!(waiting, released).0
    };
    let (told, duplicate) = tokio::join!(first.charge(&one), duplicates);
    told.is_fault(Code::FailedPrecondition, "TOKEN_NOT_READY", "no");
    duplicate.is_fault(Code::Aborted, "IDEMPOTENCY_IN_PROGRESS", "unknown");
    assert_eq!((lab.posts("order-1"), lab.charges("order-1")), (1, 0));
}

/// Row 26.
#[tokio::test]
async fn of_two_payloads_under_one_key_exactly_one_runs() {
    let lab = Lab::start().await;
    let sidecars = join_all((0..2).map(|_| lab.sidecar().start())).await;
    let orders: Vec<Order> =
        (0..20).map(|number| order("order-1").amount(1000 + number % 2)).collect();
    let told = at_once(&sidecars, &orders).await;
    let paid = lab.zentra.ledger().charges_of("order-1")[0].amount_minor;
    for (order, told) in orders.iter().zip(&told) {
        if order.amount_minor == paid {
            assert_eq!(told.outcome().amount_minor, paid);
        } else {
            let fault = told.fault();
            assert_eq!(fault.code, Code::FailedPrecondition);
            assert_eq!(fault.reason, "IDEMPOTENCY_KEY_REUSED");
            assert_ne!(fault.money_moved, "no", "the key's payment was made");
        }
    }
    lab.agrees("order-1", 1, &told.iter().collect::<Vec<_>>());
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 27.
#[tokio::test]
async fn of_two_keys_with_one_reference_exactly_one_runs() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let sidecars = join_all((0..2).map(|_| lab.sidecar().start())).await;
    let orders: Vec<Order> =
        (0..20).map(|number| order("order-1").key(&format!("key-{}", number % 2))).collect();
    let told = at_once(&sidecars, &orders).await;
    let winner = told.iter().position(|told| matches!(told, Told::Outcome(_))).unwrap() % 2;
    for (number, told) in told.iter().enumerate() {
        if number % 2 == winner {
            told.outcome();
        } else {
            told.is_fault(Code::AlreadyExists, "REFERENCE_ALREADY_USED", "no");
        }
    }
    lab.agrees("order-1", 1, &told.iter().collect::<Vec<_>>());
    assert_eq!(lab.posts("order-1"), 1);
}
