//! Limits under concurrency, over real processes: sixty-four callers at three sidecars with one
//! Redis, while Zentra breaks, answers of the store are lost, a sidecar is killed, and windows turn
//! over. The sums fit the ledger and the store's counters, and no limit is exceeded by one unit.
//!
//! What may be counted although nobody knows whether it was made (doubt) is what the record of a
//! payment holds whose caller was told `UPSTREAM_REJECTED` with `unknown`: refused after an attempt
//! that may have arrived. Nothing else is left in doubt when a round is over: whoever was told an
//! outcome asks once more then, and finds the same, also where the store never heard of it.

mod charges;
mod counted;
mod refunds;
mod trio;
mod windows;
mod wire;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::Code;
use zentra_sidecar::simulator::{Action, Fault, Route};

use self::counted::Snapshot;
use self::trio::{Kill, Trio};
use super::answers::status;
use super::lab::Lab;
use super::told::Told;

const CALLERS: usize = 64;
/// Tries of one caller; each finds out, or makes the payment.
const TRIES: usize = 40;
/// So many callers who find a limit full ask again and again until the one whose process was killed
/// knows: what it has taken is not theirs to take.
const PERSISTENT: usize = 8;
/// So often an outcome that was told is stored, at most.
const TRIES_TO_STORE: usize = 5;
const PAUSE: Duration = Duration::from_millis(50);
/// How long its look-up takes then.
const SLOW: Duration = Duration::from_millis(300);

/// What sixty-four callers are told at once. Where a sidecar is killed, the first caller's call is held
/// in it at a point before any other begins.
async fn all_at_once<F: Future<Output = Told>>(
    trio: &Trio<'_>,
    kill: Option<&Kill>,
    faults: impl FnOnce(),
    caller: impl Fn(usize) -> F,
) -> Vec<Told> {
    let answered = watch::Sender::new(0);
    let told = |number: usize| {
        let (told, answered) = (caller(number), &answered);
        async move {
            let told = told.await;
            answered.send_modify(|count| *count += 1);
            told
        }
    };
    let Some(kill) = kill else {
        faults();
        return join_all((0..CALLERS).map(&told)).await;
    };
    let victim = &trio.sidecars[0];
    let others = async {
        let mut count = answered.subscribe();
        tokio::select! {
            () = victim.reached(kill.point) => {}
            // Where the store is too slow for it, another sidecar has answered it.
            _ = count.wait_for(|count| *count > 0) => {}
        }
        faults();
        join_all((1..CALLERS).map(&told)).await
    };
    let killer = async {
        let mut count = answered.subscribe();
        let _ = count.wait_for(|count| *count >= kill.after).await.unwrap();
        victim.signal("KILL").await;
    };
    let (first, others, ()) = tokio::join!(told(0), others, killer);
    [vec![first], others].concat()
}

/// The same, each asking until it knows.
async fn all_told<F: Future<Output = Told>>(
    trio: &Trio<'_>,
    kill: Option<&Kill>,
    faults: impl FnOnce(),
    ask: impl Fn(usize, usize) -> F,
) -> Vec<Told> {
    let first_knows = &AtomicBool::new(kill.is_none());
    let ask = &ask;
    let caller = |number: usize| async move {
        let told = loop {
            let told = until_known(|attempt| ask(number, attempt)).await;
            let is_over = number > PERSISTENT || first_knows.load(Ordering::SeqCst);
            if is_over || number == 0 || !is_full(&told) {
                break told;
            }
            sleep(PAUSE).await;
        };
        first_knows.fetch_or(number == 0, Ordering::SeqCst);
        told
    };
    all_at_once(trio, kill, faults, caller).await
}

fn is_full(told: &Told) -> bool {
    matches!(told.fault_reason(), Some("LIMIT_EXCEEDED" | "REFUND_EXCEEDS_CHARGE"))
}

/// In the quiet after a round whoever was told an outcome asks once more, and is told the same; and
/// again while the store does not know of it, as it may be too slow to be told. Gives what the store has
/// then of the payments with `name` in their references.
async fn told_the_same<F: Future<Output = Told>>(
    lab: &Lab,
    name: &str,
    heard: &[(String, Told)],
    ask: impl Fn(usize, usize) -> F,
) -> Snapshot {
    let ask = &ask;
    let again = |number: usize| async move {
        let (reference, told) = &heard[number];
        let again = until_known(|attempt| ask(number, attempt)).await;
        let (told, now) = (told.outcome(), again.outcome());
        let same = (&told.id, told.amount_minor, told.status);
        assert_eq!((&now.id, now.amount_minor, now.status), same, "{reference}: {again:?}");
    };
    let is_outcome = |number: &usize| matches!(heard[*number].1, Told::Outcome(_));
    let mut asking: Vec<usize> = (0..heard.len()).filter(is_outcome).collect();
    for _ in 0..TRIES_TO_STORE {
        join_all(asking.iter().map(|number| again(*number))).await;
        let snapshot = Snapshot::of(lab, name).await;
        asking.retain(|number| !snapshot.record(&heard[*number].0).unwrap().is_done());
        if asking.is_empty() {
            return snapshot;
        }
    }
    panic!("{name}: told and never stored: {:?}", heard[asking[0]]);
}

/// Those who know that nobody knows, and those of whom the store does not know, are the same.
#[track_caller]
fn doubt_is_told(seed: u64, heard: &[(String, Told)], snapshot: &Snapshot) {
    let unknown = heard.iter().filter(|(_, told)| !matches!(told, Told::Outcome(_)));
    let unknown: BTreeSet<&str> = unknown.map(|(reference, _)| reference.as_str()).collect();
    assert_eq!(snapshot.doubt().1, unknown, "seed {seed}: what is in doubt, and who was told so");
}

/// The look-up of what the first caller wants takes a while, once.
fn look_up_slowly(lab: &Lab, route: Route, reference: &str) {
    lab.zentra.inject(Fault::on(route, Action::DelayBefore(SLOW)).reference(reference));
}

/// From now on this part of the requests breaks, each in one of two ways that the seed picks: with
/// an effect, and without one; and this part is refused, which gives back what it has taken.
fn break_some(lab: &Lab, route: Route, chance: &mut StdRng) {
    let without = [status(500, None, false), status(503, None, false), Action::ResetBefore];
    let with = [status(500, None, true), Action::ResetAfter, Action::Truncated { keep: None }];
    for actions in [without, with] {
        let action = actions[chance.random_range(0..actions.len())].clone();
        lab.zentra.inject(Fault::on(route, action).probability(0.04));
    }
    let refused = status(422, Some("validation_error"), false);
    lab.zentra.inject(Fault::on(route, refused).probability(0.04));
}

/// Tries the same key until the caller knows.
async fn until_known<F: Future<Output = Told>>(ask: impl Fn(usize) -> F) -> Told {
    for attempt in 0..TRIES {
        let told = ask(attempt).await;
        let passes = match &told {
            Told::Outcome(_) => false,
            Told::Error(fault) => matches!(fault.code, Code::Unavailable | Code::Aborted),
            Told::Nothing(_) => true,
        };
        if !passes {
            return told;
        }
    }
    panic!("a caller never knew");
}

/// A policy that permits all within these limits.
fn policy(lab: &Lab, limits: &str) -> (&'static str, String) {
    let folder = lab.folder.path().join("policy");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("rules.cedar"), "permit(principal, action, resource);").unwrap();
    std::fs::write(folder.join("limits.toml"), limits).unwrap();
    ("--policy", folder.display().to_string())
}

/// How many rounds: more where `scripts/limits` asks for them.
fn rounds() -> u64 {
    std::env::var("LIMIT_ROUNDS").map_or(20, |text| text.parse().unwrap())
}

/// Plays the rounds of a kind: in a lab of its own for every `rounds_of_a_lab`, as the ledger forgets
/// what is very old, and in so many labs at once.
fn play(labs_at_once: u64, rounds_of_a_lab: u64, in_a_lab: impl AsyncFn(Range<u64>) + Sync) {
    let next = AtomicU64::new(0);
    let player = || loop {
        let first = next.fetch_add(rounds_of_a_lab, Ordering::Relaxed);
        if first >= rounds() {
            return;
        }
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let seeds = first..rounds().min(first + rounds_of_a_lab);
        runtime.enable_all().build().unwrap().block_on(in_a_lab(seeds));
    };
    std::thread::scope(|scope| (0..labs_at_once).for_each(|_| drop(scope.spawn(player))));
}

fn chance_of(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}
