//! Many charges while windows of a second turn over: each counts in the window of its claim, and what
//! a decline gives back late goes to that one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use tokio::time::sleep;
use tonic::Code;
use zentra_sidecar::clock::{Clock as _, SystemClock};
use zentra_sidecar::domain::Reference;
use zentra_sidecar::idempotency::{Lookup, Namespace, Record, Store as _};
use zentra_sidecar::simulator::{Action, Fault, Route};

use super::super::lab::{Lab, token};
use super::super::told::{Order, Told, order};
use super::{CALLERS, Trio, break_some, chance_of, hundreds, policy, until_known};
use crate::support::redis::open;
use crate::support::requests::DECLINED_CARD;

const MOST: u64 = 600;
const LIMITS: &str = r#"
[[limit]]
name = "second"
measure = "amount"
most = 600
window = "1s"
actions = ["Charge"]
currencies = ["NGN"]
"#;
/// The third one's charges are all declined, some of them late.
const CALLED: [&str; 3] = ["shop/checkout", "shop/checkout", "shop/declined"];
const LATE: std::ops::Range<usize> = 0..32;
/// How long whoever is refused asks again: a round begins with a window, and goes on in the next.
const ROUND_MS: u64 = 1600;
/// These ask again and again while they find the window full, the others once in the next.
const PERSISTENT: usize = 16;
const PAUSE: Duration = Duration::from_millis(150);

/// The machine's clock is that of its Redis too.
fn now_ms() -> u64 {
    u64::try_from(SystemClock.now().as_millisecond()).unwrap()
}

fn until_the_next_window() -> Duration {
    Duration::from_millis(1000 - now_ms() % 1000)
}

async fn charges_while_windows_turn_over(lab: &Lab, trio: &Trio<'_>, seed: u64) {
    let mut chance = chance_of(seed);
    lab.zentra.clear_faults();
    let orders: Vec<Order> = (0..CALLERS)
        .map(|number| order(&format!("win-{seed}-{number}")).amount(chance.random_range(1..=100)))
        .collect();
    for number in LATE.filter(|number| number % 3 == 2) {
        let delay = Duration::from_millis(chance.random_range(300..=1300));
        let late = Fault::on(Route::CreateCharge, Action::DelayBefore(delay));
        lab.zentra.inject(late.reference(&orders[number].reference));
    }
    break_some(lab, Route::CreateCharge, &mut chance);
    sleep(until_the_next_window()).await;
    let begin_ms = now_ms();
    let was_full = AtomicBool::new(false);
    let calls = orders.iter().enumerate().map(|(number, order)| {
        let was_full = &was_full;
        async move {
            let ask = || until_known(|attempt| trio.at(number, attempt).charge_of_many(order));
            let mut told = ask().await;
            was_full.fetch_or(is_refused(&told), Ordering::Relaxed);
            if is_refused(&told) && number >= PERSISTENT {
                sleep(until_the_next_window()).await;
                told = ask().await;
            }
            while is_refused(&told) && number < PERSISTENT && now_ms() < begin_ms + ROUND_MS {
                sleep(PAUSE).await;
                told = ask().await;
            }
            told
        }
    });
    let told = join_all(calls).await;
    assert!(was_full.into_inner(), "seed {seed}: no window was ever full");
    fits_the_ledger(lab, seed, begin_ms / 1000, &orders, &told).await;
}

fn is_refused(told: &Told) -> bool {
    told.fault_reason() == Some("LIMIT_EXCEEDED")
}

async fn fits_the_ledger(lab: &Lab, seed: u64, begin_s: u64, orders: &[Order], told: &[Told]) {
    let (store, ledger) = (open(&lab.store_url, "default"), lab.zentra.ledger());
    let mut windows = BTreeMap::<u64, u64>::new();
    for (order, told) in orders.iter().zip(told) {
        let reference = Reference::new(&order.reference).unwrap();
        let lookup = Lookup::Reference(Namespace::Charge, reference);
        let record = store.read(&lookup).await.unwrap().answer;
        let charges = ledger.charges_of(&order.reference);
        let held = held(record.as_ref());
        match told.fault_reason() {
            None if told.outcome().status == "FAILED" => {
                let failed = charges.iter().all(|charge| charge.status == "failed");
                assert!(failed && held.is_none(), "seed {seed}: {charges:?} {held:?}");
            }
            None => {
                let [charge] = charges[..] else { panic!("seed {seed}: {charges:?}") };
                let (window, amount) = held.unwrap();
                let made_s = u64::try_from(charge.created_at.as_second()).unwrap();
                // It was claimed after the round began, and before it was made.
                assert!((begin_s..=made_s).contains(&window), "seed {seed}: {window}, {made_s}");
                let paid = u64::try_from(charge.amount_minor).unwrap();
                assert_eq!(amount, paid, "seed {seed}: what is counted is what was paid");
            }
            Some(_) => {
                told.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", "no");
                assert_eq!(
                    (charges.len(), record),
                    (0, None),
                    "seed {seed}: a lie about {order:?}"
                );
            }
        }
        if let Some((window, amount)) = held {
            *windows.entry(window).or_default() += amount;
        }
    }
    assert!(windows.len() >= 2, "seed {seed}: no window turned over: {windows:?}");
    assert!(windows.values().all(|sum| *sum <= MOST), "seed {seed}: {windows:?}");
}

/// What a record has taken from its window, where that counts.
fn held(record: Option<&Record>) -> Option<(u64, u64)> {
    let record = record.filter(|record| record.reservations_held)?;
    let [taken] = &record.reservations[..] else { panic!("{:?}", record.reservations) };
    Some((taken.window, taken.amount))
}

#[tokio::test]
async fn no_window_is_exceeded_while_it_turns_over() {
    for seeds in hundreds() {
        let lab = Lab::start().await;
        let flags = [policy(&lab, LIMITS)];
        let mut trio = Trio::start(&lab, &flags, CALLED).await;
        trio.sidecars[2].token = token(&lab.zentra, DECLINED_CARD).await;
        for seed in seeds {
            charges_while_windows_turn_over(&lab, &trio, seed).await;
        }
        assert_eq!(lab.zentra.ledger().forgotten, 0);
    }
}
