//! The deterministic simulation: the real gateway, engine and reconciler over a simulated Zentra
//! and a store in memory, on a paused clock, with all chance from one seed.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy's exception for tests does not reach their helpers; reports are printed"
)]
#![cfg_attr(
    any(feature = "mutants", feature = "failpoints"),
    expect(clippy::panic, reason = "as above")
)]

mod chance;
mod history;
mod judge;
mod ledger;
mod life;
mod limits;
mod mode;
#[cfg(feature = "mutants")]
mod mutants;
mod orders;
mod others;
mod process;
#[cfg(feature = "failpoints")]
#[path = "../integration/support/redis.rs"]
#[expect(dead_code, reason = "the other tests' needs are theirs")]
mod redis_server;
#[cfg(feature = "failpoints")]
mod redis_stage;
mod resolution;
mod runs;
mod scenario;
mod store;
mod upstream;
mod verdicts;
mod world;

use history::{MemoryStage, replay};
use mode::Mode;
use world::Keep;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// `SIMULATION_SEEDS` seeds of each mode from `SIMULATION_FIRST` on; `SIMULATION_MODE` picks one
/// mode by its name.
#[test]
fn no_seed_breaks_an_invariant() {
    let (seeds, first) = (number("SIMULATION_SEEDS", 500), number("SIMULATION_FIRST", 1));
    let only = std::env::var("SIMULATION_MODE").ok();
    let mut broken = 0;
    for mode in Mode::ALL {
        if only.as_deref().is_none_or(|it| it == mode.name()) {
            let run = |seed| scenario::run(seed, mode, Keep::default());
            let tally = runs::many(first..first + seeds, mode, runs::ENOUGH, &run);
            tally.print();
            broken += tally.violations.len();
        }
    }
    assert_eq!(broken, 0, "see the traces above");
}

#[test]
fn a_seed_replays_exactly() {
    for mode in Mode::ALL {
        for seed in 1..=25 {
            let keep = Keep { trace: true, history: false };
            let (one, two) = (scenario::run(seed, mode, keep), scenario::run(seed, mode, keep));
            if one.hash != two.hash {
                let differs = one.trace.iter().zip(&two.trace).position(|(one, two)| one != two);
                let at = differs.unwrap_or_default();
                panic!(
                    "seed {seed} of {mode:?} differs: {:?} {:?}",
                    one.trace.get(at),
                    two.trace.get(at)
                );
            }
        }
    }
}

/// What 200 seeds did to the store, over all modes.
async fn histories() -> Vec<history::History> {
    let keep = Keep { trace: false, history: true };
    let drawn = tokio::task::spawn_blocking(move || {
        let seeds = Mode::ALL.into_iter().flat_map(|mode| (1..=50).map(move |seed| (mode, seed)));
        std::thread::spawn(move || {
            seeds.map(|(mode, seed)| scenario::run(seed, mode, keep).history).collect()
        })
        .join()
    });
    drawn.await.unwrap().unwrap()
}

/// Nothing but the steps, their times and the losses counts: the store in memory agrees with
/// itself.
#[tokio::test]
async fn the_steps_of_200_seeds_play_again_in_memory() {
    let mut steps = 0;
    for history in histories().await {
        steps += replay(&history, &mut MemoryStage::new()).await.unwrap();
    }
    assert!(steps > 1_000, "{steps}");
}

/// The scripts at a real server give the same answers, step by step.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn the_steps_of_200_seeds_play_again_at_a_real_redis() {
    let mut stage = redis_stage::RedisStage::start().await;
    let histories = histories().await;
    let events = || histories.iter().flat_map(|it| it.events.iter().map(|(_, event)| event));
    assert!(events().any(|it| matches!(it, history::Event::Wipe)), "no wipe");
    assert!(events().any(|it| matches!(it, history::Event::FailOver)), "no failover");
    let mut steps = 0;
    for (number, history) in histories.iter().enumerate() {
        stage.empty().await;
        match replay(history, &mut stage).await {
            Ok(played) => steps += played,
            Err(differs) => panic!("history {number}: {differs}"),
        }
    }
    assert!(steps > 1_000, "{steps}");
}
