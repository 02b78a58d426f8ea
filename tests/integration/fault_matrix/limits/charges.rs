//! Many charges on a few cards of two customers, by two callers.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use tonic::Code;
use zentra_sidecar::simulator::{Charge, Fault, Route};

use super::super::answers::status;
use super::super::lab::{GOOD_CARD, Lab, token_of};
use super::super::told::{Order, Told, order};
use super::counted::{DAYS_31, Snapshot, Sums, Take, forget_counters};
use super::{
    CALLERS, Kill, Trio, all_told, break_some, chance_of, doubt_is_told, look_up_slowly, play,
    policy, told_the_same, until_known,
};

/// Two sidecars of one caller, and one of another.
const CALLED: [&str; 3] = ["shop/checkout", "shop/checkout", "shop/app"];
/// So many orders are on each card; the first two are one customer's.
const ON_A_CARD: [usize; 3] = [24, 18, 22];
const OF_A_CALLER: i64 = 1450;
const OF_A_CUSTOMER: i64 = 1500;
const TIMES_A_CARD: i64 = 12;
const OF_A_CARD: i64 = 900;
const LIMITS: &str = r#"
[[limit]]
name = "caller-amount"
measure = "amount"
most = 1450
window = "31d"
by = ["caller", "action"]
actions = ["Charge"]
currencies = ["NGN"]

[[limit]]
name = "customer-amount"
measure = "amount"
most = 1500
window = "31d"
by = ["customer"]
actions = ["Charge"]
currencies = ["NGN"]

[[limit]]
name = "card-count"
measure = "count"
most = 12
window = "31d"
by = ["token"]
actions = ["Charge"]

[[limit]]
name = "card-amount"
measure = "amount"
most = 900
window = "31d"
by = ["token", "currency"]
actions = ["Charge"]
"#;

/// One order of a round.
struct Asked {
    number: usize,
    order: Order,
}

impl Asked {
    fn takes(&self) -> [Take; 4] {
        let (customer, amount) = (&self.order.customer, self.order.amount_minor);
        let token = self.order.token.as_deref().unwrap();
        let caller = format!("{}|Charge", CALLED[self.number % 3]);
        let definition = |measure, by, of| format!("{measure} {DAYS_31} by:{by} in:{of}");
        let of = |limit, definition: String, key: &str, amount, most| {
            Take::of(limit, &definition, key, amount, most)
        };
        let by_card = format!("{token}|NGN");
        [
            of(
                "caller-amount",
                definition("amount", "caller,action", "NGN"),
                &caller,
                amount,
                OF_A_CALLER,
            ),
            of(
                "customer-amount",
                definition("amount", "customer", "NGN"),
                customer,
                amount,
                OF_A_CUSTOMER,
            ),
            of("card-count", definition("count", "token", ""), token, 1, TIMES_A_CARD),
            of(
                "card-amount",
                definition("amount", "token,currency", ""),
                &by_card,
                amount,
                OF_A_CARD,
            ),
        ]
    }
}

/// The orders of a round, over the cards as the seed will have it.
async fn orders(lab: &Lab, seed: u64, chance: &mut rand::rngs::StdRng) -> Vec<Asked> {
    let customers = [format!("cus-{seed}-a"), format!("cus-{seed}-a"), format!("cus-{seed}-b")];
    let mut cards = Vec::new();
    for (number, customer) in customers.iter().enumerate() {
        let token =
            token_of(&lab.zentra, customer, GOOD_CARD, &format!("card-{seed}-{number}")).await;
        cards.extend(std::iter::repeat_n((customer, token), ON_A_CARD[number]));
    }
    assert_eq!(cards.len(), CALLERS);
    cards.shuffle(chance);
    let asked = cards.iter().enumerate().map(|(number, (customer, token))| Asked {
        number,
        order: order(&format!("card-{seed}-{number}"))
            .amount(chance.random_range(1..=150))
            .on(customer, token),
    });
    asked.collect()
}

/// Many charges at once; some are declined, and make room for others again. Gives the limits that
/// somebody found full.
async fn charges_on_a_few_cards(lab: &Lab, trio: &mut Trio<'_>, seed: u64) -> BTreeSet<String> {
    let mut chance = chance_of(seed);
    lab.zentra.clear_faults();
    forget_counters(lab).await;
    let all = orders(lab, seed, &mut chance).await;
    let kill = Kill::of(seed, &mut chance);
    if let Some(kill) = &kill {
        trio.arm(kill).await;
    }
    let faults = || {
        look_up_slowly(lab, Route::GetCharge, &all[0].order.reference);
        break_some(lab, Route::CreateCharge, &mut chance);
        let declined = status(402, Some("card_declined"), false);
        lab.zentra.inject(Fault::on(Route::CreateCharge, declined).probability(0.08));
        trio.wire.lose_some(seed, &mut chance);
    };
    let three = &*trio;
    let ask = |number: usize, attempt| three.at(number, attempt).charge_of_many(&all[number].order);
    let mut told = all_told(trio, kill.as_ref(), faults, ask).await;
    let (mut heard, mut full) = (BTreeMap::new(), BTreeSet::new());
    let mut asking: Vec<&Asked> = all.iter().collect();
    // Whoever found a limit full asks again, for as long as anybody ends otherwise.
    loop {
        let before = asking.len();
        let told_each = told.into_iter().zip(std::mem::take(&mut asking));
        for (told, asked) in told_each {
            match told.fault_reason() {
                Some("UPSTREAM_REJECTED") if told.fault().money_moved == "no" => continue,
                // Declined after an attempt that may have arrived: it counts, as nobody knows.
                Some("UPSTREAM_REJECTED") => {
                    told.is_fault(Code::InvalidArgument, "UPSTREAM_REJECTED", "unknown");
                }
                Some(_) => {
                    told.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", "no");
                    full.insert(told.fault().rule.clone());
                    asking.push(asked);
                    continue;
                }
                None => {}
            }
            heard.insert(asked.number, (asked.order.reference.clone(), told));
        }
        if asking.len() == before {
            break;
        }
        let calls = asking.iter().map(|asked| until_known(|attempt| ask(asked.number, attempt)));
        told = futures_util::future::join_all(calls).await;
    }
    lab.zentra.clear_faults();
    trio.wire.lose_nothing();
    let (numbers, heard): (Vec<usize>, Vec<_>) = heard.into_iter().unzip();
    let again = |at: usize, attempt| ask(numbers[at], attempt);
    let snapshot = told_the_same(lab, &format!("card-{seed}-"), &heard, again).await;
    snapshot.agrees(seed, |_| false);
    doubt_is_told(seed, &heard, &snapshot);
    fits_the_ledger(lab, seed, &all, &heard, &asking, &snapshot);
    if kill.is_some() {
        trio.restart().await;
    }
    full
}

fn fits_the_ledger(
    lab: &Lab,
    seed: u64,
    all: &[Asked],
    heard: &[(String, Told)],
    refused: &[&Asked],
    snapshot: &Snapshot,
) {
    let ledger = lab.zentra.ledger();
    let name = format!("card-{seed}-");
    let is_of_the_round = |it: &&Charge| it.reference.starts_with(&name);
    let charges: Vec<_> = ledger.charges.iter().filter(is_of_the_round).collect();
    let mut made = Sums::default();
    for charge in &charges {
        let asked = &all[charge.reference[name.len()..].parse::<usize>().unwrap()];
        assert_eq!(charge.amount_minor, asked.order.amount_minor, "seed {seed}");
        made.add_all(&asked.takes());
    }
    all.iter().for_each(|asked| made.are_within(&asked.takes(), seed));
    let references: HashSet<_> = charges.iter().map(|charge| &charge.reference).collect();
    assert_eq!(references.len(), charges.len(), "seed {seed}: a charge was made twice");
    let is_paid = |told: &Told| matches!(told, Told::Outcome(it) if it.status != "FAILED");
    let paid = heard.iter().filter(|(_, told)| is_paid(told)).map(|(reference, _)| reference);
    assert_eq!(
        paid.collect::<HashSet<_>>(),
        references,
        "seed {seed}: what callers heard was made"
    );
    // What is in doubt has room too, and is counted.
    let mut counted = made;
    let (doubt, _) = snapshot.doubt();
    counted.add_sums(&doubt);
    all.iter().for_each(|asked| counted.are_within(&asked.takes(), seed));
    snapshot.counts(counted.clone(), seed);
    // No room is left over: nobody was refused what would have fitted.
    for asked in refused {
        let reference = &asked.order.reference;
        assert!(!references.contains(reference), "seed {seed}: a lie about {reference}");
        let fits = counted.have_room_for(&asked.takes());
        assert!(!fits, "seed {seed}: {reference} would fit beside {counted:?}");
    }
    assert!(!refused.is_empty(), "seed {seed}: the limits were never full");
}

#[test]
fn no_limit_is_exceeded_whoever_asks_and_whatever_breaks() {
    play(2, 20, async |seeds| {
        let lab = Lab::start().await;
        let flags = [policy(&lab, LIMITS)];
        let mut trio = Trio::start(&lab, &flags, CALLED).await;
        let mut full = BTreeSet::new();
        for seed in seeds.clone() {
            full.extend(charges_on_a_few_cards(&lab, &mut trio, seed).await);
        }
        trio.has_lost_some(&seeds);
        assert_eq!(full.len(), 4, "each limit was full for somebody: {full:?}");
        assert_eq!(lab.zentra.ledger().forgotten, 0);
    });
}
