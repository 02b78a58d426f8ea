//! Many charges while windows of a second turn over: each counts in the window of its claim, and what
//! a decline gives back late goes to that one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::sleep;
use tonic::Code;
use zentra_sidecar::clock::{Clock as _, SystemClock};
use zentra_sidecar::idempotency::CounterId;
use zentra_sidecar::simulator::{Action, Fault, Route};

use super::super::lab::{Lab, token};
use super::super::told::{Order, Told, order};
use super::counted::{Held, Snapshot};
use super::{
    CALLERS, Kill, Trio, all_at_once, break_some, chance_of, look_up_slowly, play, policy,
    told_the_same, until_known,
};
use crate::support::requests::DECLINED_CARD;

const MOST: i64 = 600;
const LIMITS: &str = r#"
[[limit]]
name = "second"
measure = "amount"
most = 600
window = "1s"
actions = ["Charge"]
currencies = ["NGN"]
"#;
/// Its one counter, as sidecars name it.
const COUNTER: [&str; 4] = ["limit", "second", "amount 1 by: in:NGN", ""];
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

fn is_declined(number: usize) -> bool {
    number % 3 == 2
}

/// The orders of a round; some of those that are declined are so late.
fn orders(lab: &Lab, seed: u64, chance: &mut StdRng) -> Vec<Order> {
    let orders: Vec<Order> = (0..CALLERS)
        .map(|number| order(&format!("win-{seed}-{number}")).amount(chance.random_range(1..=100)))
        .collect();
    for number in LATE.filter(|number| is_declined(*number)) {
        let delay = Duration::from_millis(chance.random_range(300..=1300));
        let late = Fault::on(Route::CreateCharge, Action::DelayBefore(delay));
        lab.zentra.inject(late.reference(&orders[number].reference));
    }
    orders
}

async fn charges_while_windows_turn_over(lab: &Lab, trio: &mut Trio<'_>, seed: u64) {
    let mut chance = chance_of(seed);
    lab.zentra.clear_faults();
    let orders = &orders(lab, seed, &mut chance);
    let kill = Kill::of(seed, &mut chance);
    if let Some(kill) = &kill {
        trio.arm(kill).await;
    }
    let three = &*trio;
    let ask = |number: usize, attempt| three.at(number, attempt).charge_of_many(&orders[number]);
    let faults = || {
        look_up_slowly(lab, Route::GetCharge, &orders[0].reference);
        break_some(lab, Route::CreateCharge, &mut chance);
        trio.wire.lose_some(seed, &mut chance);
    };
    sleep(until_the_next_window()).await;
    let begin_ms = now_ms();
    let was_full = &AtomicBool::new(false);
    let name = &format!("win-{seed}-");
    let caller = |number: usize| async move {
        let mut told = until_known(|attempt| ask(number, attempt)).await;
        was_full.fetch_or(is_refused(&told), Ordering::Relaxed);
        if is_refused(&told) && number >= PERSISTENT {
            sleep(until_the_next_window()).await;
            told = until_known(|attempt| ask(number, attempt)).await;
        }
        while is_refused(&told) && number < PERSISTENT && now_ms() < begin_ms + ROUND_MS {
            sleep(PAUSE).await;
            told = until_known(|attempt| ask(number, attempt)).await;
        }
        if !is_refused(&told) && is_declined(number) {
            // What has just been given back, or is about to be, is looked at before its window ends.
            agrees(&Snapshot::of(lab, name).await, seed);
        }
        told
    };
    let mut told = all_at_once(trio, kill.as_ref(), faults, caller).await;
    assert!(was_full.load(Ordering::Relaxed), "seed {seed}: no window was ever full");
    lab.zentra.clear_faults();
    trio.wire.lose_nothing();
    let refused = told.iter_mut().enumerate().filter(|(_, told)| is_refused(told));
    for (number, told) in refused {
        let ask = until_known(|attempt| ask(number, attempt));
        *told = refused_only_where_full(lab, seed, &orders[number], ask).await;
    }
    let heard = orders.iter().map(|order| order.reference.clone()).zip(told);
    let heard: Vec<(String, Told)> = heard.collect();
    let snapshot = told_the_same(lab, name, &heard, ask).await;
    agrees(&snapshot, seed);
    fits_the_ledger(lab, seed, begin_ms / 1000, &heard, &snapshot);
    if kill.is_some() {
        trio.restart().await;
    }
}

fn is_refused(told: &Told) -> bool {
    told.fault_reason() == Some("LIMIT_EXCEEDED")
}

/// Counter and records agree, and the window is not exceeded.
#[track_caller]
fn agrees(snapshot: &Snapshot, seed: u64) {
    snapshot.agrees(seed, |window| window < snapshot.now_s);
    let full = snapshot.counters.values().all(|(_, sum)| *sum <= MOST);
    assert!(full, "seed {seed}: {:?}", snapshot.counters);
}

/// In the quiet after a round one is asked alone. Where it is refused and its window did not end
/// meanwhile, it would not have fitted; no room is left over.
async fn refused_only_where_full(
    lab: &Lab,
    seed: u64,
    order: &Order,
    ask: impl Future<Output = Told>,
) -> Told {
    let counter = CounterId::new(COUNTER).to_string();
    let before = Snapshot::of(lab, &order.reference).await;
    let told = ask.await;
    if is_refused(&told) && now_ms() / 1000 == before.now_s {
        let (window, sum) = before.counters.get(&counter).copied().unwrap_or_default();
        let taken = if window == before.now_s { sum } else { 0 };
        let amount = order.amount_minor;
        assert!(taken + amount > MOST, "seed {seed}: {amount} would fit beside {taken}");
    }
    told
}

fn fits_the_ledger(
    lab: &Lab,
    seed: u64,
    begin_s: u64,
    heard: &[(String, Told)],
    snapshot: &Snapshot,
) {
    let ledger = lab.zentra.ledger();
    let mut windows = BTreeMap::<u64, i64>::new();
    for (reference, told) in heard {
        let charges = ledger.charges_of(reference);
        let record = snapshot.record(reference);
        let holds = record.map_or(&[][..], |record| &record.holds);
        match told.fault_reason() {
            None if told.outcome().status == "FAILED" => {
                let failed = charges.iter().all(|charge| charge.status == "failed");
                assert!(failed && holds.is_empty(), "seed {seed}: {charges:?} {holds:?}");
            }
            None => {
                let [charge] = charges[..] else { panic!("seed {seed}: {charges:?}") };
                let [Held { window, amount, .. }] = holds else { panic!("{holds:?}") };
                let made_s = u64::try_from(charge.created_at.as_second()).unwrap();
                // It was claimed after the round began, and before it was made.
                assert!((begin_s..=made_s).contains(window), "seed {seed}: {window}, {made_s}");
                assert_eq!(*amount, charge.amount_minor, "seed {seed}: what counts was paid");
                *windows.entry(*window).or_default() += amount;
            }
            Some("UPSTREAM_REJECTED") if told.fault().money_moved == "no" => {
                assert!(charges.is_empty() && record.is_none(), "seed {seed}: {reference}");
            }
            // Refused after an attempt that may have arrived: it counts, as nobody knows.
            Some("UPSTREAM_REJECTED") => {
                let is_in_doubt = record.is_some_and(|record| !record.is_done());
                assert!(charges.is_empty() && is_in_doubt, "seed {seed}: {reference}");
                let [Held { window, amount, .. }] = holds else { panic!("{holds:?}") };
                *windows.entry(*window).or_default() += amount;
            }
            Some(_) => {
                told.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", "no");
                let nothing = charges.is_empty() && record.is_none();
                assert!(nothing, "seed {seed}: a lie about {reference}");
            }
        }
    }
    assert!(windows.len() >= 2, "seed {seed}: no window turned over: {windows:?}");
    assert!(windows.values().all(|sum| *sum <= MOST), "seed {seed}: {windows:?}");
}

#[test]
fn no_window_is_exceeded_while_it_turns_over() {
    play(4, 10, async |seeds| {
        let lab = Lab::start().await;
        let flags = [policy(&lab, LIMITS)];
        let mut trio = Trio::start(&lab, &flags, CALLED).await;
        trio.sidecars[2].token = token(&lab.zentra, DECLINED_CARD).await;
        for seed in seeds.clone() {
            charges_while_windows_turn_over(&lab, &mut trio, seed).await;
        }
        trio.has_lost_some(&seeds);
        assert_eq!(lab.zentra.ledger().forgotten, 0);
    });
}
