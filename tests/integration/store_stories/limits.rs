//! Limits, what is left of a charge, and stops.

use futures_util::future::join_all;
use zentra_sidecar::domain::{Actor, Caller, Currency, Operation, Reason, Reference};
use zentra_sidecar::idempotency::{
    AfterLoss, Binding, Claim, ClaimAnswer, Class, CompleteAnswer, CounterId, Evidence, LimitName,
    Quantity, Record, ReleaseAnswer, SetStop, SetStopAnswer, Stop, StopScope, Take,
};

use super::Stage;
use super::operating::{begin, settle};
use crate::support::payment::{Payment, charge, daily, outcome};

fn numbered(number: usize) -> Payment {
    charge(&format!("key-{number}"), &format!("order-{number}"))
}

fn is_run(answer: &ClaimAnswer) -> bool {
    matches!(answer, ClaimAnswer::Run { .. })
}

/// What a full limit has left.
fn left(answer: &ClaimAnswer) -> Option<u64> {
    match answer {
        ClaimAnswer::Full { full, look_ups_first: false } => Some(full.left),
        _ => None,
    }
}

fn of_the_charge(quantity: Quantity) -> Take {
    Take {
        limit: LimitName::refunds_of_a_charge(),
        counter: CounterId::refunded(&Reference::new("order-1").unwrap()),
        window_ms: 0,
        quantity,
        most: 1000,
        binding: Binding::Enforced,
    }
}

fn refund(number: usize, quantity: Quantity) -> Payment {
    let (key, reference) = (format!("refund-{number}"), format!("refund-{number}"));
    let payment = Payment::new("shop/support", Operation::Refund, &key, Some(&reference));
    payment.takes(vec![of_the_charge(quantity)])
}

/// Sixty-four at once, of seven each: fourteen fit into a hundred.
pub(crate) async fn a_limit_is_filled_to_the_last_unit_and_no_further(stage: Stage) {
    let (stage, other) = (&stage, stage.other_process().await);
    let claims = (0..64).map(|number| {
        let claim = numbered(number).takes(vec![daily(7, 100)]).claim(number as u128 + 1);
        let store = if number % 2 == 0 { stage.store.clone() } else { other.clone() };
        async move { store.claim(&claim).await.unwrap().answer }
    });
    let answers = join_all(claims).await;
    assert_eq!(answers.iter().filter(|answer| is_run(answer)).count(), 14);
    assert_eq!(answers.iter().filter_map(left).collect::<Vec<_>>(), [2; 50]);
    // What still fits is taken, and a full limit says which it is and when it has room again.
    stage.run(&numbered(64).takes(vec![daily(2, 100)]), 65).await;
    let answer = stage.claim(&numbered(65).takes(vec![daily(1, 100)]).claim(66)).await;
    let ClaimAnswer::Full { full, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((full.limit.as_str(), full.left), ("daily", 0));
    assert!((1..=24 * 3_600_000).contains(&full.resets_in_ms.unwrap()), "{full:?}");
    assert_eq!(stage.record(&numbered(65)).await, None, "nothing was written");
}

/// What only counts goes beyond its most, says so, and gives back as any other.
pub(crate) async fn a_limit_that_is_not_enforced_counts_on_and_refuses_nothing(stage: Stage) {
    let watched = |amount, binding| Take { binding, ..daily(amount, 100) };
    let of = |number: usize, amount, binding| {
        numbered(number).takes(vec![of_the_charge(Quantity::Amount(1)), watched(amount, binding)])
    };
    for (number, amount, binding, wanted) in [
        (1, 60, Binding::Observed, vec![]),
        (2, 40, Binding::OnTrial, vec![]),
        (3, 1, Binding::Observed, vec![1]),
        (4, 1000, Binding::OnTrial, vec![1]),
    ] {
        let answer = stage.claim(&of(number, amount, binding).claim(number as u128)).await;
        let ClaimAnswer::Run { over, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(over, wanted, "{number}");
    }
    // The same counter, once it is enforced.
    let enforced = |number: usize, amount| numbered(number).takes(vec![daily(amount, 100)]);
    assert_eq!(left(&stage.claim(&enforced(5, 1).claim(5)).await), Some(0));
    let declined = |number: usize, amount, binding| {
        let failed = outcome(Class::Failed, &format!("chg_{number}"), 1);
        of(number, amount, binding).evidence(number as u128, 1, failed)
    };
    stage.store.complete(&declined(4, 1000, Binding::OnTrial)).await.unwrap();
    assert_eq!(left(&stage.claim(&enforced(5, 1).claim(5)).await), Some(0));
    stage.store.complete(&declined(1, 60, Binding::Observed)).await.unwrap();
    assert_eq!(left(&stage.claim(&enforced(5, 60).claim(5)).await), Some(59));
    // Another most of the same counter is asked, and counts no second time.
    let twice = numbered(7).takes(vec![
        daily(10, 100),
        Take { binding: Binding::OnTrial, ..daily(10, 50) },
        Take { binding: Binding::OnTrial, ..daily(10, 51) },
    ]);
    let ClaimAnswer::Run { over, .. } = stage.claim(&twice.claim(7)).await else { panic!() };
    assert_eq!(over, [1]);
    assert_eq!(stage.record(&twice).await.unwrap().reservations.len(), 1);
    assert_eq!(left(&stage.claim(&enforced(5, 60).claim(5)).await), Some(49));
    let failed = outcome(Class::Failed, "chg_7", 1);
    stage.store.complete(&twice.evidence(7, 1, failed)).await.unwrap();
    // Beside one that is enforced and full, nothing is taken from it.
    let both = numbered(6).takes(vec![
        watched(10, Binding::Observed),
        Take { counter: CounterId::new(["other"]), ..daily(2, 1) },
    ]);
    assert_eq!(left(&stage.claim(&both.claim(6)).await), Some(1));
    assert_eq!(left(&stage.claim(&enforced(5, 60).claim(5)).await), Some(59));
}

/// Of two limits that are full, the caller hears of the one that stays so for longer; and where
/// one is full, nothing is taken from the other.
pub(crate) async fn nothing_is_taken_where_one_of_two_limits_is_full(stage: Stage) {
    let once = |most| Take {
        limit: LimitName::new("once").unwrap(),
        counter: CounterId::new(["once"]),
        window_ms: 0,
        quantity: Quantity::One,
        most,
        binding: Binding::Enforced,
    };
    let answer = stage.claim(&numbered(1).takes(vec![daily(9, 8), once(1)]).claim(1)).await;
    assert_eq!(left(&answer), Some(8));
    stage.run(&numbered(2).takes(vec![once(1)]), 2).await;
    let answer = stage.claim(&numbered(3).takes(vec![daily(9, 8), once(1)]).claim(3)).await;
    let ClaimAnswer::Full { full, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((full.limit.as_str(), full.resets_in_ms), ("once", None));
}

pub(crate) async fn a_record_beats_a_full_limit_and_counts_once(stage: Stage) {
    let payment = numbered(1).takes(vec![daily(100, 100)]).lease_ms(0);
    stage.run(&payment, 1).await;
    // Its lease is over: another call takes it over, and takes no more from the limit.
    let answer = stage.claim(&payment.claim(2)).await;
    let ClaimAnswer::Recover { record, look_up_only: false, .. } = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(record.reservations.len(), 1);
    let paid = payment.evidence(2, 2, outcome(Class::Succeeded, "chg_1", 1));
    stage.store.complete(&paid).await.unwrap();
    let answer = stage.claim(&payment.claim(3)).await;
    assert!(matches!(answer, ClaimAnswer::Replay { .. }), "{answer:?}");
    let answer = stage.claim(&numbered(2).takes(vec![daily(1, 101)]).claim(4)).await;
    assert!(is_run(&answer), "{answer:?}");
}

pub(crate) async fn what_came_to_nothing_goes_back_once(stage: Stage) {
    let failed = numbered(1).takes(vec![daily(60, 100)]);
    let open = numbered(2).takes(vec![daily(40, 100)]);
    stage.run(&failed, 1).await;
    stage.run(&open, 2).await;
    let pending = open.evidence(2, 1, outcome(Class::Open, "chg_2", 1));
    stage.store.complete(&pending).await.unwrap();
    let declined = failed.evidence(1, 1, outcome(Class::Failed, "chg_1", 1));
    for _ in 0..2 {
        stage.store.complete(&declined).await.unwrap();
    }
    let answer = stage.claim(&numbered(3).takes(vec![daily(61, 100)]).claim(3)).await;
    assert_eq!(left(&answer), Some(60), "what is open is kept");
    let released = numbered(4).takes(vec![daily(60, 100)]);
    stage.run(&released, 4).await;
    let answer = stage.store.release(&released.release(4, 1)).await.unwrap().answer;
    assert_eq!(answer, ReleaseAnswer::Released);
    stage.run(&numbered(5).takes(vec![daily(60, 100)]), 5).await;
}

/// A refund that asks for all that is left takes that, and gives back what it did not come to.
pub(crate) async fn refunds_never_exceed_their_charge(stage: Stage) {
    stage.run(&refund(1, Quantity::Amount(300)), 1).await;
    let rest = refund(2, Quantity::Rest);
    stage.run(&rest, 2).await;
    assert_eq!(left(&stage.claim(&refund(3, Quantity::Amount(1)).claim(3)).await), Some(0));
    assert_eq!(left(&stage.claim(&refund(4, Quantity::Rest).claim(4)).await), Some(0));
    let came = Evidence {
        amount: Some(250),
        ..rest.evidence(2, 1, outcome(Class::Succeeded, "rfd_2", 1))
    };
    for _ in 0..2 {
        stage.store.complete(&came).await.unwrap();
    }
    let answer = stage.claim(&refund(5, Quantity::Amount(451)).claim(5)).await;
    assert_eq!(left(&answer), Some(450));
    stage.run(&refund(6, Quantity::Amount(450)), 6).await;
}

/// Zentra gives back more than was left here, where others have reserved what they have not sent.
pub(crate) async fn all_that_is_left_counts_as_what_it_came_to(stage: Stage) {
    let unsent = refund(1, Quantity::Amount(300));
    let rest = refund(2, Quantity::Rest);
    stage.run(&unsent, 1).await;
    stage.run(&rest, 2).await;
    let came = |class, amount| Evidence {
        amount: Some(amount),
        ..rest.evidence(2, 1, outcome(class, "rfd_2", 1))
    };
    // Open, it counts as what it may come to; and nothing goes back yet.
    stage.store.complete(&came(Class::Open, 650)).await.unwrap();
    assert_eq!(taken_of(stage.record(&rest).await), 700);
    for _ in 0..2 {
        stage.store.complete(&came(Class::Succeeded, 1000)).await.unwrap();
    }
    assert_eq!(taken_of(stage.record(&rest).await), 1000);
    assert_eq!(left(&stage.claim(&refund(3, Quantity::Amount(1)).claim(3)).await), Some(0));
    // Zentra refuses the first: 1000 of 1000 are given back, and not 700.
    stage.store.release(&unsent.release(1, 1)).await.unwrap();
    for quantity in [Quantity::Amount(1), Quantity::Rest] {
        assert_eq!(left(&stage.claim(&refund(4, quantity).claim(4)).await), Some(0));
    }
}

fn taken_of(record: Option<Record>) -> u64 {
    record.unwrap().reservations[0].amount
}

/// What is left of the day's limit of 100.
async fn left_of_the_day(stage: &Stage) -> Option<u64> {
    left(&stage.claim(&numbered(99).takes(vec![daily(101, 100)]).claim(99)).await)
}

/// A failure may be contradicted by whoever looks later; then it counts again, until an operator
/// says that nothing happened, and once more where that is contradicted too.
pub(crate) async fn what_happened_counts_though_a_failure_gave_it_back(stage: Stage) {
    let payment = numbered(1).takes(vec![daily(60, 100)]);
    stage.run(&payment, 1).await;
    let declined = payment.evidence(1, 1, outcome(Class::Failed, "chg_1", 1));
    stage.store.complete(&declined).await.unwrap();
    stage.run(&numbered(2).takes(vec![daily(60, 100)]), 2).await;
    assert_eq!(left_of_the_day(&stage).await, Some(40));
    let paid = |by, epoch| payment.observed(by, epoch, outcome(Class::Succeeded, "chg_1", 1));
    for _ in 0..2 {
        let answer = stage.store.complete(&paid(1, 1)).await.unwrap().answer;
        assert!(matches!(answer, CompleteAnswer::Conflict { .. }), "{answer:?}");
        assert_eq!(left_of_the_day(&stage).await, Some(0), "120 of 100 were taken");
    }
    stage.store.settle_begin(&begin(&payment, 0)).await.unwrap();
    for _ in 0..2 {
        stage.store.settle(&settle(&payment, Class::NotHappened)).await.unwrap();
        assert_eq!(left_of_the_day(&stage).await, Some(40), "given back once");
    }
    stage.store.complete(&paid(9, 2)).await.unwrap();
    stage.store.settle_begin(&begin(&payment, 0)).await.unwrap();
    stage.store.settle(&settle(&payment, Class::Succeeded)).await.unwrap();
    assert_eq!(left_of_the_day(&stage).await, Some(0));
}

fn stop(name: &str, scope: StopScope) -> SetStop {
    let stop = Stop {
        id: Reference::new(name).unwrap(),
        scope,
        reason: Reason::new("a drill").unwrap(),
        by: Actor::new("jo").unwrap(),
        since_ms: 0,
        until_ms: None,
    };
    SetStop { stop, for_ms: None }
}

pub(crate) async fn a_stop_covers_what_it_names_until_it_is_lifted(stage: Stage) {
    let other = stage.other_process().await;
    let scopes = [
        StopScope::default(),
        StopScope { operation: Some(Operation::Charge), ..StopScope::default() },
        StopScope { caller: Some(Caller::new("shop/checkout").unwrap()), ..StopScope::default() },
        StopScope { currency: Some(Currency::new("NGN").unwrap()), ..StopScope::default() },
    ];
    let uncovered = [
        StopScope { operation: Some(Operation::Renew), ..StopScope::default() },
        StopScope { caller: Some(Caller::new("shop/billing").unwrap()), ..StopScope::default() },
        StopScope { currency: Some(Currency::new("USD").unwrap()), ..StopScope::default() },
    ];
    for (number, scope) in scopes.into_iter().enumerate() {
        let set = stop("drill", scope);
        assert_eq!(other.stop(&set).await.unwrap().answer, SetStopAnswer::Stopped);
        let answer = stage.claim(&numbered(number).claim(1)).await;
        let ClaimAnswer::Stopped { stop, look_ups_first: false } = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((stop.id, stop.scope), (set.stop.id.clone(), set.stop.scope));
        assert_eq!(stage.record(&numbered(number)).await, None, "nothing was written");
        assert_eq!(other.resume(Some(&set.stop.id)).await.unwrap().answer, 1);
    }
    for (number, scope) in uncovered.into_iter().enumerate() {
        other.stop(&stop(&format!("other-{number}"), scope)).await.unwrap();
    }
    assert_eq!(stage.store.stops().await.unwrap().answer.len(), 3);
    stage.run(&numbered(9), 9).await;
    assert_eq!(other.resume(None).await.unwrap().answer, 3);
    assert_eq!(stage.store.stops().await.unwrap().answer, []);
}

/// What was begun is looked up, and not sent; a stop whose time is over is none.
pub(crate) async fn a_record_beats_a_stop_and_a_stop_ends(stage: Stage) {
    let payment = numbered(1).lease_ms(0);
    stage.run(&payment, 1).await;
    stage.store.stop(&stop("drill", StopScope::default())).await.unwrap();
    let answer = stage.claim(&payment.claim(2)).await;
    assert!(
        matches!(answer, ClaimAnswer::Recover { look_up_only: true, is_stopped: true, .. }),
        "{answer:?}"
    );
    let over = SetStop { for_ms: Some(0), ..stop("drill", StopScope::default()) };
    stage.store.stop(&over).await.unwrap();
    assert_eq!(stage.store.stops().await.unwrap().answer, []);
    let answer = stage.claim(&payment.claim(3)).await;
    assert!(matches!(answer, ClaimAnswer::Recover { is_stopped: false, .. }), "{answer:?}");
    stage.run(&numbered(2), 4).await;
}

/// No `no` where the store may have forgotten; and limits start again, or are full.
pub(crate) async fn after_a_loss_limits_start_again_or_are_full(stage: Stage) {
    stage.run(&numbered(1).takes(vec![daily(100, 100)]), 1).await;
    assert_eq!(stage.store.pending_stats().await.unwrap().answer.lost_at_ms, None);
    stage.backend.wipe().await;
    let claim = |number: usize, after_loss, amount| {
        let claim = numbered(number).takes(vec![daily(amount, 100)]).claim(number as u128);
        Claim { after_loss, ..claim }
    };
    let answer = stage.claim(&claim(2, AfterLoss::Deny, 1)).await;
    let ClaimAnswer::Full { full, look_ups_first: true } = answer else { panic!("{answer:?}") };
    assert_eq!(full.left, 0);
    let answer = stage.claim(&claim(3, AfterLoss::Restart, 101)).await;
    let ClaimAnswer::Full { full, look_ups_first: true } = answer else { panic!("{answer:?}") };
    assert_eq!(full.left, 100);
    let answer = stage.claim(&claim(4, AfterLoss::Restart, 100)).await;
    assert!(matches!(answer, ClaimAnswer::Run { look_up_first: true, .. }), "{answer:?}");
    // Operators are told, for as long as anybody asks.
    let stats = stage.store.pending_stats().await.unwrap();
    let lost_at_ms = stats.answer.lost_at_ms.unwrap();
    assert!((1..=stats.now_ms).contains(&lost_at_ms), "{lost_at_ms}");
}
