//! Many charges on one card.

use std::collections::HashSet;

use rand::RngExt as _;
use tonic::Code;
use zentra_sidecar::simulator::{Charge, Fault, Route};

use super::super::answers::status;
use super::super::lab::{GOOD_CARD, Lab, another_token};
use super::super::told::{Order, order};
use super::{
    CALLERS, Kill, Trio, all_told, break_some, chance_of, hundreds, look_up_slowly, policy,
    until_known,
};

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

/// What the callers of a round have heard.
#[derive(Default)]
struct Heard {
    paid: i64,
    unknown: i64,
    unknown_count: usize,
}

/// Many charges on one card at once; some are declined, and make room for others again.
async fn charges_on_one_card(lab: &Lab, trio: &mut Trio<'_>, seed: u64) {
    let mut chance = chance_of(seed);
    let token = another_token(&lab.zentra, GOOD_CARD, &format!("card-{seed}")).await;
    trio.sidecars.iter_mut().for_each(|sidecar| sidecar.token.clone_from(&token));
    let mut asking: Vec<Order> = (0..CALLERS)
        .map(|number| order(&format!("card-{seed}-{number}")).amount(chance.random_range(1..=150)))
        .collect();
    let kill = Kill::of(seed, &mut chance);
    if let Some(kill) = &kill {
        trio.arm(kill).await;
    }
    lab.zentra.clear_faults();
    let faults = || {
        look_up_slowly(lab, Route::GetCharge, &asking[0].reference);
        break_some(lab, Route::CreateCharge, &mut chance);
        let declined = status(402, Some("card_declined"), false);
        lab.zentra.inject(Fault::on(Route::CreateCharge, declined).probability(0.08));
    };
    let all = &asking;
    let ask = |number: usize, attempt| trio.at(number, attempt).charge_of_many(&all[number]);
    let mut told = all_told(trio, kill.as_ref(), faults, ask).await;
    let mut heard = Heard::default();
    // Whoever found a limit full asks again, for as long as anybody ends otherwise.
    loop {
        let before = asking.len();
        let mut refused = Vec::new();
        for (told, order) in told.iter().zip(asking) {
            match told.fault_reason() {
                None if told.outcome().status == "FAILED" => {}
                None => heard.paid += told.outcome().amount_minor,
                // Declined after an attempt that may have arrived: it counts, as nobody knows.
                Some("UPSTREAM_REJECTED") => {
                    told.is_fault(Code::InvalidArgument, "UPSTREAM_REJECTED", "unknown");
                    heard.unknown += order.amount_minor;
                    heard.unknown_count += 1;
                }
                Some(_) => {
                    told.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", "no");
                    refused.push(order);
                }
            }
        }
        asking = refused;
        if asking.len() == before {
            break;
        }
        let three = &*trio;
        let calls = asking.iter().enumerate().map(|(number, order)| {
            until_known(move |attempt| three.at(number, attempt).charge_of_many(order))
        });
        told = futures_util::future::join_all(calls).await;
    }
    fits_the_ledger(lab, &token, seed, &heard, &asking);
    if kill.is_some() {
        trio.restart().await;
    }
}

fn fits_the_ledger(lab: &Lab, token: &str, seed: u64, heard: &Heard, refused: &[Order]) {
    let ledger = lab.zentra.ledger();
    let of_the_card = |it: &&Charge| it.payment_token_id.as_deref() == Some(token);
    let charges: Vec<_> = ledger.charges.iter().filter(of_the_card).collect();
    let made: i64 = charges.iter().map(|charge| charge.amount_minor).sum();
    assert!(made <= 1000 && charges.len() <= 12, "seed {seed}: {made} in {}", charges.len());
    assert_eq!(heard.paid, made, "seed {seed}: what callers heard is what was paid");
    let references: HashSet<_> = charges.iter().map(|charge| &charge.reference).collect();
    assert_eq!(references.len(), charges.len(), "seed {seed}: a charge was made twice");
    // No room is left over: nobody was refused what would have fitted.
    for order in refused {
        assert!(!references.contains(&order.reference), "seed {seed}: a lie about {order:?}");
        let sum = made + heard.unknown + order.amount_minor;
        let fits = charges.len() + heard.unknown_count < 12 && sum <= 1000;
        assert!(!fits, "seed {seed}: {} would fit beside {made}", order.amount_minor);
    }
    assert!(!refused.is_empty(), "seed {seed}: the limits were never full");
}

#[tokio::test]
async fn no_limit_is_exceeded_whoever_asks_and_whatever_breaks() {
    for seeds in hundreds() {
        let lab = Lab::start().await;
        let flags = [policy(&lab, LIMITS)];
        let mut trio = Trio::start(&lab, &flags, ["shop/checkout"; 3]).await;
        for seed in seeds {
            charges_on_one_card(&lab, &mut trio, seed).await;
        }
        assert_eq!(lab.zentra.ledger().forgotten, 0);
    }
}
