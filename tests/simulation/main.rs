//! The deterministic simulation: the real gateway, engine and reconciler over a simulated Zentra
//! and a store in memory, on a paused clock, with all chance from one seed.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy's exception for tests does not reach their helpers; reports are printed"
)]
#![cfg_attr(feature = "mutants", expect(clippy::panic, reason = "as above"))]

mod chance;
mod history;
mod judge;
mod ledger;
mod life;
mod mode;
#[cfg(feature = "mutants")]
mod mutants;
mod orders;
mod process;
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

/// Any store that plays the stage can be compared so; here the one in memory with itself.
#[tokio::test]
async fn the_steps_of_200_seeds_play_again_on_another_store() {
    let keep = Keep { trace: false, history: true };
    let histories = std::thread::spawn(move || {
        let mut histories = Vec::new();
        for mode in Mode::ALL {
            histories.extend((1..=50).map(|seed| scenario::run(seed, mode, keep).history));
        }
        histories
    });
    let mut steps = 0;
    for history in histories.join().unwrap() {
        steps += replay(&history, &mut MemoryStage::new()).await.unwrap();
    }
    assert!(steps > 1_000, "{steps}");
}
