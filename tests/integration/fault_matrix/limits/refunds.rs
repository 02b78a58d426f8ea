//! Many refunds of a few charges, by two callers that each may give back so much; some ask for all
//! that is left.

use std::collections::HashMap;

use rand::RngExt as _;
use tonic::Code;
use zentra_sidecar::simulator::Route;

use super::super::lab::Lab;
use super::super::told::{Told, order};
use super::{
    CALLERS, Kill, Trio, all_told, break_some, chance_of, hundreds, look_up_slowly, policy,
    until_known,
};

const CHARGES: usize = 3;
const OF_A_CHARGE: i64 = 1000;
/// What one caller may give back in a round.
const OF_A_CALLER: i64 = 1400;
/// Two sidecars of one caller, and one of another.
const CALLED: [&str; 3] = ["shop/checkout", "shop/checkout", "support/desk"];
const LIMITS: &str = r#"
[[limit]]
name = "given-back"
measure = "amount"
most = 1400
window = "31d"
by = ["caller"]
actions = ["Refund"]
currencies = ["NGN"]
"#;

/// One refund of a round; without an amount it is for all that is left.
struct Asked {
    number: usize,
    reference: String,
    charge: String,
    amount: Option<i64>,
}

/// Sums by charge and by caller.
#[derive(Default)]
struct Sums(HashMap<String, i64>);

impl Sums {
    fn add(&mut self, asked: &Asked, amount: i64) {
        for name in [&asked.charge, CALLED[asked.number % 3]] {
            *self.0.entry(name.to_owned()).or_default() += amount;
        }
    }

    fn of(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

async fn refunds_of_some_charges(lab: &Lab, trio: &mut Trio<'_>, seed: u64) {
    let mut chance = chance_of(seed);
    lab.zentra.clear_faults();
    // A round has limits of its own: what the rounds before have taken is forgotten.
    let script = "for _, k in ipairs(redis.call('KEYS', '*:l:*')) do redis.call('DEL', k) end";
    lab.redis().ask::<()>(&["EVAL", script, "0"]).await;
    for number in 0..CHARGES {
        trio.sidecars[1].charge(&order(&format!("order-{seed}-{number}"))).await.is_paid("DIRECT");
    }
    let mut asking: Vec<Asked> = (0..CALLERS)
        .map(|number| Asked {
            number,
            reference: format!("refund-{seed}-{number}"),
            charge: format!("order-{seed}-{}", chance.random_range(0..CHARGES)),
            amount: chance.random_bool(0.85).then(|| chance.random_range(1..=200)),
        })
        .collect();
    let kill = Kill::of(seed, &mut chance);
    if let Some(kill) = &kill {
        trio.arm(kill).await;
    }
    let all = &asking;
    let ask = |number: usize, attempt| {
        let it: &Asked = &all[number];
        trio.at(number, attempt).refund(&it.reference, &it.charge, it.amount)
    };
    let faults = || {
        look_up_slowly(lab, Route::GetRefund, &all[0].reference);
        break_some(lab, Route::CreateRefund, &mut chance);
    };
    let mut told = all_told(trio, kill.as_ref(), faults, ask).await;
    let (mut heard, mut unknown) = (Sums::default(), Sums::default());
    // Whoever was refused asks again, for as long as anybody ends otherwise.
    loop {
        let before = asking.len();
        let refused = told
            .iter()
            .zip(asking)
            .filter_map(|(told, it)| is_refused(told, &it, &mut heard, &mut unknown).then_some(it));
        asking = refused.collect();
        if asking.len() == before {
            break;
        }
        let calls = asking.iter().map(|it| {
            until_known(|attempt| {
                trio.at(it.number, attempt).refund(&it.reference, &it.charge, it.amount)
            })
        });
        told = futures_util::future::join_all(calls).await;
    }
    fits_the_ledger(lab, seed, &heard, &unknown, &asking);
    if kill.is_some() {
        trio.restart().await;
    }
}

/// Notes what a caller has heard; true where nothing was begun for want of room.
fn is_refused(told: &Told, asked: &Asked, heard: &mut Sums, unknown: &mut Sums) -> bool {
    match told.fault_reason() {
        None => heard.add(asked, told.outcome().amount_minor),
        // Zentra's own check: one for all that is left was there first, and took what this one had
        // kept for itself but not sent yet.
        Some("UPSTREAM_REJECTED") if told.fault().money_moved == "no" => {}
        Some("UPSTREAM_REJECTED") => unknown.add(asked, asked.amount.unwrap_or(OF_A_CHARGE)),
        Some("LIMIT_EXCEEDED") => {
            told.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", "no");
            return true;
        }
        Some(_) => {
            told.is_fault(Code::FailedPrecondition, "REFUND_EXCEEDS_CHARGE", "no");
            return true;
        }
    }
    false
}

fn fits_the_ledger(lab: &Lab, seed: u64, heard: &Sums, unknown: &Sums, refused: &[Asked]) {
    let ledger = lab.zentra.ledger();
    let mut made = Sums::default();
    for number in 0..CHARGES {
        let charge = format!("order-{seed}-{number}");
        for refund in ledger.refunds_of(&charge) {
            let effects = ledger.refunds.iter().filter(|it| it.reference == refund.reference);
            assert_eq!(effects.count(), 1, "seed {seed}: {} was made twice", refund.reference);
            let number = refund.reference.rsplit_once('-').unwrap().1.parse().unwrap();
            let reference = refund.reference.clone();
            let asked = Asked { number, reference, charge: charge.clone(), amount: None };
            made.add(&asked, refund.amount_minor);
        }
        assert!(made.of(&charge) <= OF_A_CHARGE, "seed {seed}: {charge}: {}", made.of(&charge));
    }
    assert_eq!(heard.0, made.0, "seed {seed}: what callers heard is what was given back");
    for caller in CALLED {
        assert!(made.of(caller) <= OF_A_CALLER, "seed {seed}: {caller}: {}", made.of(caller));
    }
    // No room is left over: nobody was refused what would have fitted.
    let sum = |name: &str| made.of(name) + unknown.of(name);
    for it in refused {
        assert!(ledger.refunds.iter().all(|made| made.reference != it.reference), "seed {seed}");
        let (charge, caller) = (sum(&it.charge), sum(CALLED[it.number % 3]));
        let fits = match it.amount {
            Some(amount) => charge + amount <= OF_A_CHARGE && caller + amount <= OF_A_CALLER,
            // It counts as the whole charge until the answer tells.
            None => charge < OF_A_CHARGE && caller + OF_A_CHARGE <= OF_A_CALLER,
        };
        assert!(!fits, "seed {seed}: {} would fit: {charge}, {caller}", it.reference);
    }
    assert!(!refused.is_empty(), "seed {seed}: nothing was ever full");
}

#[tokio::test]
async fn no_charge_is_given_back_twice_whoever_asks_and_whatever_breaks() {
    for seeds in hundreds() {
        let lab = Lab::start().await;
        let flags = [policy(&lab, LIMITS)];
        let mut trio = Trio::start(&lab, &flags, CALLED).await;
        for seed in seeds {
            refunds_of_some_charges(&lab, &mut trio, seed).await;
        }
        assert_eq!(lab.zentra.ledger().forgotten, 0);
    }
}
