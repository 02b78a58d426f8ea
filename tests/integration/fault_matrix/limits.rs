//! Limits under concurrency, over real processes: sixty-four callers at three sidecars with one
//! Redis, while Zentra breaks; the sums fit the ledger, and no limit is exceeded by one unit.

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tonic::Code;
use zentra_sidecar::simulator::{Fault, Route};

use super::answers::status;
use super::lab::Lab;
use super::sidecar::Sidecar;
use super::told::{Told, order};

const CALLERS: usize = 64;
/// Tries of one caller; each finds out, or makes the payment.
const TRIES: usize = 40;

/// Three sidecars, before a Zentra that fails now and then, with and without an effect.
async fn town(seed: u64) -> (Lab, Vec<Sidecar>) {
    let lab = Lab::start().await;
    for (number, with_effect) in [(0u32, false), (1, true)] {
        for route in [Route::CreateRefund, Route::CreateCharge] {
            let broken = Fault::on(route, status(500 + 3 * number as u16, None, with_effect));
            lab.zentra.inject(broken.times(0).probability(0.04));
        }
    }
    let launches = (0..3).map(|_| lab.sidecar().flag("--calls-in-flight", "200").start());
    let sidecars = join_all(launches).await;
    assert_eq!(sidecars.len(), 3, "seed {seed}");
    (lab, sidecars)
}

/// Tries the same key until the caller knows.
async fn until_known<F: Future<Output = Told>>(ask: impl Fn() -> F) -> Told {
    for _ in 0..TRIES {
        let told = ask().await;
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

/// One charge, and many refunds of it at once.
async fn refunds_of_one_charge(lab: &Lab, sidecars: &[Sidecar], seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let charge = format!("order-{seed}");
    let first = order(&charge);
    let paid = until_known(|| sidecars[0].charge(&first)).await;
    assert_eq!(paid.outcome().amount_minor, 1000);
    let refunds: Vec<(String, i64)> = (0..CALLERS)
        .map(|number| (format!("refund-{seed}-{number}"), chance.random_range(1..=120)))
        .collect();
    let calls =
        refunds.iter().zip(sidecars.iter().cycle()).map(|((reference, amount), sidecar)| {
            until_known(|| sidecar.refund(reference, &charge, Some(*amount)))
        });
    let told = join_all(calls).await;
    let ledger = lab.zentra.ledger();
    let made: i64 = ledger.refunds_of(&charge).iter().map(|refund| refund.amount_minor).sum();
    assert!(made <= 1000, "seed {seed}: {made} of 1000 were given back");
    let mut heard = 0;
    for (told, (reference, _)) in told.iter().zip(&refunds) {
        match told {
            Told::Outcome(outcome) => heard += outcome.amount_minor,
            other => other.is_fault(Code::FailedPrecondition, "REFUND_EXCEEDS_CHARGE", "no"),
        }
        let effects = ledger.refunds.iter().filter(|it| it.reference == *reference).count();
        assert!(effects <= 1, "seed {seed}: {reference} was made {effects} times");
    }
    assert_eq!(heard, made, "seed {seed}: what callers heard is what was given back");
    assert!(made > 1000 - 120, "seed {seed}: {made} is all that was given back");
}

/// How many rounds: more where `scripts/limits` asks for them.
fn rounds() -> u64 {
    std::env::var("LIMIT_ROUNDS").map_or(20, |text| text.parse().unwrap())
}

#[tokio::test]
async fn no_charge_is_given_back_twice_whoever_asks_and_whatever_breaks() {
    let seeds: Vec<u64> = (0..rounds()).collect();
    // The ledger forgets what is very old: a town of its own every hundred rounds.
    for hundred in seeds.chunks(100) {
        let (lab, sidecars) = town(hundred[0]).await;
        for seed in hundred {
            refunds_of_one_charge(&lab, &sidecars, *seed).await;
        }
    }
}
