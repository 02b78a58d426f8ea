//! Many refunds of a few charges, by two callers that each may give back so much; some ask for all
//! that is left. In most rounds Zentra does not look at what is left of a charge: that no charge is
//! exceeded is then the sidecars' own doing.

use std::collections::{BTreeMap, HashSet};

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use tonic::Code;
use zentra_sidecar::simulator::{LedgerView, Refund, Route, SettingsChange};

use super::super::lab::Lab;
use super::super::told::{Told, order};
use super::counted::{DAYS_31, Snapshot, Sums, Take, forget_counters};
use super::{
    CALLERS, Kill, Trio, all_told, break_some, chance_of, doubt_is_told, is_full, look_up_slowly,
    play, policy, told_the_same, until_known,
};

/// Two sidecars of one caller, and one of another.
const CALLED: [&str; 3] = ["shop/checkout", "shop/checkout", "support/desk"];
const OF_A_CHARGE: i64 = 1000;
/// What one caller may give back in a round, and how often. The desk, which asks of the first charge
/// alone, finds that one used up; the checkout its own limit, while one of the others has room.
const OF_A_CALLER: i64 = 1400;
const TIMES_A_CALLER: i64 = 20;
/// So many of the checkout's refunds are of each charge; all that is left is asked of the last one only,
/// but where Zentra looks at what is left.
const BY_THE_CHECKOUT: [usize; 3] = [9, 17, 17];
const WITH_RESTS: usize = 2;
/// Of so many rounds one has a Zentra that looks at what is left of a charge.
const ROUNDS_A_CHECK: u64 = 5;
const LIMITS: &str = r#"
[[limit]]
name = "given-back"
measure = "amount"
most = 1400
window = "31d"
by = ["caller", "action"]
actions = ["Refund"]
currencies = ["NGN"]

[[limit]]
name = "times"
measure = "count"
most = 20
window = "31d"
by = ["caller"]
actions = ["Refund"]
"#;

/// One refund of a round; without an amount it is for all that is left.
#[derive(Debug)]
struct Asked {
    number: usize,
    reference: String,
    charge: usize,
    amount: Option<i64>,
}

fn charge(seed: u64, number: usize) -> String {
    format!("order-{seed}-{number}")
}

impl Asked {
    /// What it takes, where so much is taken from what is left of its charge and from its caller's
    /// limit.
    fn takes(&self, seed: u64, of_the_charge: i64, of_the_caller: i64) -> [Take; 3] {
        let caller = CALLED[self.number % 3];
        let amounts = format!("amount {DAYS_31} by:caller,action in:NGN");
        let counts = format!("count {DAYS_31} by:caller in:");
        [
            Take::of_charge(&charge(seed, self.charge), of_the_charge, OF_A_CHARGE),
            Take::of(
                "given-back",
                &amounts,
                &format!("{caller}|Refund"),
                of_the_caller,
                OF_A_CALLER,
            ),
            Take::of("times", &counts, caller, 1, TIMES_A_CALLER),
        ]
    }

    /// What it asks for: all that is left is something at least, and counts as the whole charge for the
    /// limit until the answer tells.
    fn asks(&self, seed: u64) -> [Take; 3] {
        self.takes(seed, self.amount.unwrap_or(1), self.amount.unwrap_or(OF_A_CHARGE))
    }
}

/// The refunds of a round. `rests_of` says of which charges all that is left may be asked.
fn refunds(seed: u64, chance: &mut StdRng, rests_of: impl Fn(usize) -> bool) -> Vec<Asked> {
    let by_the_checkout = BY_THE_CHECKOUT.iter().enumerate();
    let mut charges: Vec<usize> =
        by_the_checkout.flat_map(|(charge, many)| std::iter::repeat_n(charge, *many)).collect();
    charges.shuffle(chance);
    let asked = (0..CALLERS).map(|number| {
        let is_the_desk = CALLED[number % 3] != CALLED[0];
        let charge = if is_the_desk { 0 } else { charges.pop().unwrap() };
        let is_rest = chance.random_bool(0.2) && !is_the_desk && rests_of(charge);
        let amount = chance.random_range(20..=200);
        let reference = format!("refund-{seed}-{number}");
        Asked { number, reference, charge, amount: (!is_rest).then_some(amount) }
    });
    asked.collect()
}

async fn refunds_of_some_charges(lab: &Lab, trio: &mut Trio<'_>, seed: u64) {
    let mut chance = chance_of(seed);
    lab.zentra.clear_faults();
    forget_counters(lab).await;
    let is_checked = seed % ROUNDS_A_CHECK == ROUNDS_A_CHECK - 1;
    let check_refunds = Some(is_checked);
    lab.zentra.configure(SettingsChange { check_refunds, ..SettingsChange::default() });
    for number in 0..BY_THE_CHECKOUT.len() {
        let order = order(&charge(seed, number));
        let told = until_known(|attempt| trio.at(1, attempt).charge_of_many(&order)).await;
        assert_eq!(told.outcome().status, "SUCCEEDED", "seed {seed}");
    }
    let all = refunds(seed, &mut chance, |charge| is_checked || charge == WITH_RESTS);
    let kill = Kill::of(seed, &mut chance);
    if let Some(kill) = &kill {
        trio.arm(kill).await;
    }
    let three = &*trio;
    let ask = |number: usize, attempt| {
        let it: &Asked = &all[number];
        let of = charge(seed, it.charge);
        async move { three.at(number, attempt).refund(&it.reference, &of, it.amount).await }
    };
    let faults = || {
        look_up_slowly(lab, Route::GetRefund, &all[0].reference);
        break_some(lab, Route::CreateRefund, &mut chance);
        trio.wire.lose_some(seed, &mut chance);
    };
    let mut told = all_told(trio, kill.as_ref(), faults, ask).await;
    let (mut heard, mut reasons) = (BTreeMap::new(), HashSet::new());
    let mut asking: Vec<&Asked> = all.iter().collect();
    // Whoever was refused asks again, for as long as anybody ends otherwise.
    loop {
        let before = asking.len();
        for (told, it) in told.into_iter().zip(std::mem::take(&mut asking)) {
            if is_full(&told) {
                reasons.insert(told.fault().reason.clone());
                asking.push(it);
            }
            if has_ended(&told) {
                heard.insert(it.number, (it.reference.clone(), told));
            }
        }
        if asking.len() == before {
            break;
        }
        let calls = asking.iter().map(|it| until_known(|attempt| ask(it.number, attempt)));
        told = futures_util::future::join_all(calls).await;
    }
    lab.zentra.clear_faults();
    trio.wire.lose_nothing();
    let (numbers, heard): (Vec<usize>, Vec<_>) = heard.into_iter().unzip();
    let again = |at: usize, attempt| ask(numbers[at], attempt);
    let snapshot = told_the_same(lab, &format!("refund-{seed}-"), &heard, again).await;
    snapshot.agrees(seed, |_| false);
    doubt_is_told(seed, &heard, &snapshot);
    fits_the_ledger(&lab.zentra.ledger(), seed, &all, &heard, &asking, &snapshot);
    assert_eq!(reasons.len(), 2, "seed {seed}: a charge and a limit were full: {reasons:?}");
    if kill.is_some() {
        trio.restart().await;
    }
}

/// Whether something is left of it at the store: an outcome, or that nobody knows.
fn has_ended(told: &Told) -> bool {
    match told.fault_reason() {
        None => true,
        Some("LIMIT_EXCEEDED") => {
            told.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", "no");
            false
        }
        // Refused for its content, or by Zentra's own check: one for all that is left was there first,
        // and took what this one had kept for itself but not sent yet.
        Some("UPSTREAM_REJECTED") => told.fault().money_moved != "no",
        Some(_) => {
            told.is_fault(Code::FailedPrecondition, "REFUND_EXCEEDS_CHARGE", "no");
            false
        }
    }
}

fn fits_the_ledger(
    ledger: &LedgerView,
    seed: u64,
    all: &[Asked],
    heard: &[(String, Told)],
    refused: &[&Asked],
    snapshot: &Snapshot,
) {
    let name = format!("refund-{seed}-");
    let of_the_round = |it: &&Refund| it.reference.starts_with(&name);
    let refunds: Vec<&Refund> = ledger.refunds.iter().filter(of_the_round).collect();
    let of = |refund: &Refund| &all[refund.reference[name.len()..].parse::<usize>().unwrap()];
    let mut made = Sums::default();
    for refund in &refunds {
        let amount = refund.amount_minor;
        made.add_all(&of(refund).takes(seed, amount, amount));
    }
    let references: HashSet<_> = refunds.iter().map(|refund| &refund.reference).collect();
    assert_eq!(references.len(), refunds.len(), "seed {seed}: a refund was made twice");
    let given: HashSet<_> = refunds.iter().map(|it| (&it.reference, it.amount_minor)).collect();
    let outcomes = heard.iter().filter_map(|(reference, told)| match told {
        Told::Outcome(outcome) => Some((reference, outcome.amount_minor)),
        _ => None,
    });
    assert_eq!(
        outcomes.collect::<HashSet<_>>(),
        given,
        "seed {seed}: what was heard was given back"
    );
    for number in 0..BY_THE_CHECKOUT.len() {
        let of_it = refunds.iter().filter(|it| of(it).charge == number);
        let of_it: Vec<_> = of_it.map(|it| (*it, of(it))).collect();
        no_more_than_the_charge(seed, &of_it, snapshot);
    }
    let mut counted = made.clone();
    let (doubt, _) = snapshot.doubt();
    counted.add_sums(&doubt);
    for asked in all {
        let [_, limits @ ..] = asked.asks(seed);
        counted.are_within(&limits, seed);
    }
    snapshot.counts(counted.clone(), seed);
    // No room is left over: nobody was refused what would have fitted.
    for it in refused {
        assert!(!references.contains(&it.reference), "seed {seed}: a lie about {}", it.reference);
        let fits = counted.have_room_for(&it.asks(seed));
        assert!(!fits, "seed {seed}: {} would fit beside {counted:?}", it.reference);
    }
}

/// A charge's refunds in the order in which they were made. All that is left is what is left at Zentra:
/// beside it may stand, beyond the charge, only what was kept before it and came later; nothing was
/// begun after it. Zentra's own check is what refuses those, where there is one.
fn no_more_than_the_charge(seed: u64, refunds: &[(&Refund, &Asked)], snapshot: &Snapshot) {
    let sum = |refunds: &[(&Refund, &Asked)]| -> i64 {
        refunds.iter().map(|(refund, _)| refund.amount_minor).sum()
    };
    let Some(at) = refunds.iter().position(|(_, asked)| asked.amount.is_none()) else {
        assert!(sum(refunds) <= OF_A_CHARGE, "seed {seed}: {refunds:?}");
        return;
    };
    let claimed_ms = |refund: &Refund| snapshot.record(&refund.reference).unwrap().claimed_ms;
    assert!(sum(&refunds[..=at]) <= OF_A_CHARGE, "seed {seed}: {refunds:?}");
    let rest = refunds[at].0;
    let others = sum(refunds) - rest.amount_minor;
    assert!(others < OF_A_CHARGE, "seed {seed}: {refunds:?}");
    for (late, _) in &refunds[at + 1..] {
        assert!(claimed_ms(late) <= claimed_ms(rest), "seed {seed}: {late:?} after {rest:?}");
    }
}

#[test]
fn no_charge_is_given_back_twice_whoever_asks_and_whatever_breaks() {
    play(2, 20, async |seeds| {
        let lab = Lab::start().await;
        let flags = [policy(&lab, LIMITS)];
        let mut trio = Trio::start(&lab, &flags, CALLED).await;
        for seed in seeds.clone() {
            refunds_of_some_charges(&lab, &mut trio, seed).await;
        }
        trio.has_lost_some(&seeds);
        assert_eq!(lab.zentra.ledger().forgotten, 0);
    });
}
