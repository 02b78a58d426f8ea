//! Limits under concurrency, over real processes: sixty-four callers at three sidecars with one
//! Redis, while Zentra breaks; the sums fit the ledger, and no limit is exceeded by one unit.

use std::collections::HashSet;
use std::ops::Range;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tonic::Code;
use zentra_sidecar::simulator::{Action, Charge, Fault, Route};

use super::answers::status;
use super::lab::{GOOD_CARD, Lab, another_token};
use super::sidecar::Sidecar;
use super::told::{Order, Told, order};

const CALLERS: usize = 64;
/// Tries of one caller; each finds out, or makes the payment.
const TRIES: usize = 40;

/// Three sidecars, each with these flags beside its own.
async fn three(lab: &Lab, flags: &[(&str, &str)]) -> [Sidecar; 3] {
    let launch = || {
        let launch = lab.sidecar().flag("--calls-in-flight", "200");
        flags.iter().fold(launch, |launch, (flag, value)| launch.flag(flag, value)).start()
    };
    let (one, two, three) = tokio::join!(launch(), launch(), launch());
    [one, two, three]
}

/// From now on this part of the requests breaks, each in one of two ways that the seed picks: with
/// an effect, and without one.
fn break_some(lab: &Lab, route: Route, chance: &mut StdRng) {
    let without = [status(500, None, false), status(503, None, false), Action::ResetBefore];
    let with = [status(500, None, true), Action::ResetAfter, Action::Truncated { keep: None }];
    lab.zentra.clear_faults();
    for actions in [without, with] {
        let action = actions[chance.random_range(0..actions.len())].clone();
        lab.zentra.inject(Fault::on(route, action).probability(0.04));
    }
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
    break_some(lab, Route::CreateRefund, &mut chance);
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

const LIMITS: &str = r#"
[[limit]]
name = "card-amount"
measure = "amount"
most = 1000
window = "31d"
by = ["token", "currency"]
actions = ["Charge"]

[[limit]]
name = "card-count"
measure = "count"
most = 12
window = "31d"
by = ["token"]
actions = ["Charge"]
"#;

/// A policy that permits all, and limits what one card pays.
fn policy(lab: &Lab) -> String {
    let folder = lab.folder.path().join("policy");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("rules.cedar"), "permit(principal, action, resource);").unwrap();
    std::fs::write(folder.join("limits.toml"), LIMITS).unwrap();
    folder.display().to_string()
}

/// Many charges on one card at once; some are declined, and make room for others again.
async fn charges_on_one_card(lab: &Lab, sidecars: &mut [Sidecar], seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let token = another_token(&lab.zentra, GOOD_CARD, &format!("card-{seed}")).await;
    sidecars.iter_mut().for_each(|sidecar| sidecar.token.clone_from(&token));
    break_some(lab, Route::CreateCharge, &mut chance);
    let declined = status(402, Some("card_declined"), false);
    lab.zentra.inject(Fault::on(Route::CreateCharge, declined).probability(0.08));
    let mut asking: Vec<Order> = (0..CALLERS)
        .map(|number| order(&format!("card-{seed}-{number}")).amount(chance.random_range(1..=150)))
        .collect();
    let (mut heard, mut unknown, mut unknown_count) = (0, 0, 0);
    // Whoever found a limit full asks again, for as long as anybody ends otherwise.
    loop {
        let calls = asking.iter().zip(sidecars.iter().cycle());
        let told =
            join_all(calls.map(|(order, at)| until_known(|| at.charge_of_many(order)))).await;
        let before = asking.len();
        let mut refused = Vec::new();
        for (told, order) in told.iter().zip(asking) {
            match told {
                Told::Outcome(outcome) if outcome.status == "FAILED" => {}
                Told::Outcome(outcome) => heard += outcome.amount_minor,
                // Declined after an attempt that may have arrived: it counts, as nobody knows.
                other if other.fault_reason() == Some("UPSTREAM_REJECTED") => {
                    other.is_fault(Code::InvalidArgument, "UPSTREAM_REJECTED", "unknown");
                    unknown += order.amount_minor;
                    unknown_count += 1;
                }
                other => {
                    other.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", "no");
                    refused.push(order);
                }
            }
        }
        asking = refused;
        if asking.len() == before {
            break;
        }
    }
    let ledger = lab.zentra.ledger();
    let of_the_card = |it: &&Charge| it.payment_token_id.as_deref() == Some(&*token);
    let charges: Vec<_> = ledger.charges.iter().filter(of_the_card).collect();
    let made: i64 = charges.iter().map(|charge| charge.amount_minor).sum();
    assert!(made <= 1000 && charges.len() <= 12, "seed {seed}: {made} in {}", charges.len());
    assert_eq!(heard, made, "seed {seed}: what callers heard is what was paid");
    let references: HashSet<_> = charges.iter().map(|charge| &charge.reference).collect();
    assert_eq!(references.len(), charges.len(), "seed {seed}: a charge was made twice");
    // No room is left over: nobody was refused what would have fitted.
    for order in &asking {
        assert!(!references.contains(&order.reference), "seed {seed}: a lie about {order:?}");
        let sum = made + unknown + order.amount_minor;
        let fits = charges.len() + unknown_count < 12 && sum <= 1000;
        assert!(!fits, "seed {seed}: {} would fit beside {made}", order.amount_minor);
    }
    assert!(!asking.is_empty(), "seed {seed}: the limits were never full");
}

/// How many rounds: more where `scripts/limits` asks for them.
fn rounds() -> u64 {
    std::env::var("LIMIT_ROUNDS").map_or(20, |text| text.parse().unwrap())
}

/// A lab of its own for every hundred rounds, as the ledger forgets what is very old.
fn hundreds() -> impl Iterator<Item = Range<u64>> {
    (0..rounds()).step_by(100).map(|first| first..rounds().min(first + 100))
}

#[tokio::test]
async fn no_charge_is_given_back_twice_whoever_asks_and_whatever_breaks() {
    for seeds in hundreds() {
        let lab = Lab::start().await;
        let sidecars = three(&lab, &[]).await;
        for seed in seeds {
            refunds_of_one_charge(&lab, &sidecars, seed).await;
        }
        assert_eq!(lab.zentra.ledger().forgotten, 0);
    }
}

#[tokio::test]
async fn no_limit_is_exceeded_whoever_asks_and_whatever_breaks() {
    for seeds in hundreds() {
        let lab = Lab::start().await;
        let mut sidecars = three(&lab, &[("--policy", &policy(&lab))]).await;
        for seed in seeds {
            charges_on_one_card(&lab, &mut sidecars, seed).await;
        }
        assert_eq!(lab.zentra.ledger().forgotten, 0);
    }
}
