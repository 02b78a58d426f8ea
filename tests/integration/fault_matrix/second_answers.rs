//! Row 32: the first attempt times out at Zentra and takes effect much later; the second gets an
//! answer that would mean "it did not happen" if it were the only one.

use std::time::Duration;

use tonic::Code;
use zentra_sidecar::simulator::Action;

use super::answers::status;
use super::gate::Gate;
use super::lab::Lab;
use super::told::{Told, order};

const HOUR: Duration = Duration::from_secs(3600);

/// The second answers of Zentra's, and the reason that the caller then hears.
const ANSWERS: [(u16, &str, &str); 4] = [
    (401, "invalid_api_key", "OUTCOME_UNKNOWN"),
    (429, "rate_limit_exceeded", "OUTCOME_UNKNOWN"),
    (422, "validation_error", "UPSTREAM_REJECTED"),
    (422, "card_declined", "UPSTREAM_REJECTED"),
];

fn reference(number: usize) -> String {
    format!("order-{number}")
}

fn late() -> Action {
    Action::LateEffect { after: HOUR, status: Some(504), lock: false }
}

#[track_caller]
fn says_unknown(told: &Told, reason: &str) {
    let fault = told.fault();
    assert_eq!((fault.reason.as_str(), fault.money_moved.as_str()), (reason, "unknown"));
    assert_ne!(fault.code, Code::Ok);
}

/// One owner makes both attempts.
#[tokio::test]
async fn a_second_answer_to_one_owner_is_unknown_until_the_first_is_found() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let sidecar = lab.sidecar().start().await;
    let mut told = Vec::new();
    for (number, (code, word, reason)) in ANSWERS.into_iter().enumerate() {
        let reference = reference(number);
        lab.next_post(&reference, late());
        lab.next_post(&reference, status(code, Some(word), false));
        told.push(sidecar.charge(&order(&reference)).await);
        says_unknown(&told[number], reason);
        lab.agrees(&reference, 0, &[&told[number]]);
        assert_eq!(lab.posts(&reference), 2);
    }
    lab.zentra.advance(HOUR);
    for (number, told) in told.iter().enumerate() {
        let reference = reference(number);
        let found = sidecar.charge(&order(&reference)).await;
        found.is_paid("RECOVERED");
        lab.agrees(&reference, 1, &[told, &found]);
        assert_eq!(lab.posts(&reference), 2);
    }
}

/// The owner of the first attempt dies, and another one makes the second.
async fn by_two_owners((code, word, reason): (u16, &str, &str)) {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let mut first = lab.sidecar().failpoint("after_answer:kill").start().await;
    let second = lab.sidecar().start().await;
    lab.next_post("order-1", late());
    lab.next_post("order-1", status(code, Some(word), false));
    first.charge(&order("order-1")).await.is_cut_off();
    first.ended().await;
    let told = second.charge(&order("order-1")).await;
    says_unknown(&told, reason);
    lab.zentra.advance(HOUR);
    let found = second.charge(&order("order-1")).await;
    found.is_paid("RECOVERED");
    lab.agrees("order-1", 1, &[&told, &found]);
    assert_eq!(lab.posts("order-1"), 2);
}

#[tokio::test]
async fn a_refused_key_to_a_second_owner_is_unknown_until_the_first_attempt_is_found() {
    by_two_owners(ANSWERS[0]).await;
}

#[tokio::test]
async fn a_rate_limit_to_a_second_owner_is_unknown_until_the_first_attempt_is_found() {
    by_two_owners(ANSWERS[1]).await;
}

#[tokio::test]
async fn a_rejection_to_a_second_owner_is_unknown_until_the_first_attempt_is_found() {
    by_two_owners(ANSWERS[2]).await;
}

#[tokio::test]
async fn a_decline_to_a_second_owner_is_unknown_until_the_first_attempt_is_found() {
    by_two_owners(ANSWERS[3]).await;
}

/// The second attempt finds nobody at the other end, by one owner and by two.
async fn then_refused_connections(owners: u8) {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    lab.next_post("order-1", late());
    let gate = Gate::to(lab.zentra.local_addr()).await;
    let other = lab.sidecar().start().await;
    let send = if owners == 1 { "before_send:wait:2" } else { "before_send:wait" };
    let gated = lab.sidecar().flag("--zentra-url", &gate.url()).failpoint(send).start().await;
    if owners == 2 {
        let mut first = lab.sidecar().failpoint("after_answer:kill").start().await;
        first.charge(&order("order-1")).await.is_cut_off();
        first.ended().await;
    }
    let cut = async {
        gated.reached("before_send").await;
        gate.shut().await;
        gated.release().await;
    };
    let order = order("order-1");
    let (told, ()) = tokio::join!(gated.charge(&order), cut);
    told.is_unknown();
    assert_eq!(lab.posts("order-1"), 1);
    lab.zentra.advance(HOUR);
    let found = other.charge(&order).await;
    found.is_paid("RECOVERED");
    lab.agrees("order-1", 1, &[&told, &found]);
    assert_eq!(lab.posts("order-1"), 1);
}

#[tokio::test]
async fn a_refused_connection_to_one_owner_is_unknown_until_the_first_attempt_is_found() {
    then_refused_connections(1).await;
}

#[tokio::test]
async fn a_refused_connection_to_a_second_owner_is_unknown_until_the_first_attempt_is_found() {
    then_refused_connections(2).await;
}

/// Of a payment that never left, the same is a plain `no`: what tells the two apart is that
/// nothing can have arrived.
#[tokio::test]
async fn a_first_connection_that_is_refused_is_told_as_no_and_the_retry_runs() {
    let lab = Lab::start().await;
    let gate = Gate::to(lab.zentra.local_addr()).await;
    let other = lab.sidecar().start().await;
    let gated = lab.sidecar().flag("--zentra-url", &gate.url()).start().await;
    gate.shut().await;
    let told = gated.charge(&order("order-1")).await;
    told.is_fault(Code::Unavailable, "UPSTREAM_UNREACHABLE", "no");
    lab.agrees("order-1", 0, &[&told]);
    other.charge(&order("order-1")).await.is_paid("DIRECT");
}
