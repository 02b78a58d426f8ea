//! What the way to Zentra repeats by itself is told one by one, and counts.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use zentra_sidecar::domain::Reference;
use zentra_sidecar::idempotency::{Lookup, Namespace, Store as _};
use zentra_sidecar::simulator::{Action, Fault, Route};

use super::lab::Lab;
use super::told::order;
use crate::support::redis::open;

/// Zentra's refusal of one more request, which may come again at once.
fn too_many() -> Action {
    let retry_after = Some("0".to_owned());
    Action::Status { status: 429, effect: false, code: None, body: None, retry_after }
}

/// The record's log of a charge, without times and Zentra's ids of the requests.
async fn log(lab: &Lab, reference: &str) -> Vec<String> {
    let lookup = Lookup::Reference(Namespace::Charge, Reference::new(reference).unwrap());
    let record = open(&lab.store_url, "default").read(&lookup).await.unwrap().answer.unwrap();
    let plain = |line: &String| {
        let line = line.split_once(' ').unwrap().1;
        line.rsplit_once(" (").unwrap().0.to_owned()
    };
    record.attempts.iter().map(plain).collect()
}

#[tokio::test]
async fn a_429_that_was_sent_again_is_two_posts() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    lab.next_post("order-1", too_many());
    let told = sidecar.charge(&order("order-1")).await;
    told.is_paid("DIRECT");
    assert_eq!((told.outcome().posts, lab.posts("order-1")), (2, 2));
    assert_eq!(
        log(&lab, "order-1").await,
        ["1.1 POST: HTTP 429, tried again", "1.2 POST: answered"]
    );
    let again = sidecar.charge(&order("order-1")).await;
    again.is_paid("REPLAYED");
    assert_eq!(again.outcome().posts, 2);
}

/// Three in all, whoever repeats them: here the way to Zentra, then the engine after a doubt.
#[tokio::test]
async fn a_call_makes_three_posts_at_most() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let sidecar = lab.sidecar().start().await;
    lab.next_post("order-1", too_many());
    lab.next_post("order-1", Action::ResetBefore);
    lab.zentra.inject(Fault::on(Route::CreateCharge, too_many()).times(0));
    let told = sidecar.charge(&order("order-1")).await;
    told.is_unknown();
    assert_eq!((lab.posts("order-1"), lab.charges("order-1")), (3, 0));
    lab.zentra.clear_faults();
    let paid = sidecar.charge(&order("order-1")).await;
    paid.is_paid("DIRECT");
    assert_eq!((paid.outcome().posts, lab.posts("order-1")), (4, 4));
    // The 429s stand in the ledger as faults, not as refusals that were unread.
    assert_eq!(lab.charges("order-1"), 1);
    assert_eq!(lab.look_ups("order-1"), 3, "after the doubt, after the third, before the fourth");
}

/// Row 21: as a caller of the real program sees it. What passes within its time is waited for, what
/// does not is handed on at once, and what is no wait is as if it were not there.
#[tokio::test]
async fn a_wait_that_zentra_asks_for_is_obeyed_handed_on_or_ignored() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    let in_an_hour = lab.zentra.now() + jiff::SignedDuration::from_hours(1);
    let in_an_hour = jiff::fmt::rfc2822::to_string(&in_an_hour.to_zoned(jiff::tz::TimeZone::UTC));
    let asks = |wait: &str| {
        let retry_after = Some(wait.to_owned());
        Action::Status { status: 429, effect: false, code: None, body: None, retry_after }
    };
    for (number, wait) in ["1", "-1", "soon"].into_iter().enumerate() {
        let reference = format!("order-{number}");
        lab.next_post(&reference, asks(wait));
        let began = Instant::now();
        let told = sidecar.charge(&order(&reference)).await;
        told.is_paid("DIRECT");
        assert_eq!((told.outcome().posts, lab.posts(&reference)), (2, 2), "{wait}");
        let waited = began.elapsed() >= Duration::from_secs(1);
        assert_eq!(waited, wait == "1", "{wait}: {:?}", began.elapsed());
    }
    for (number, wait) in ["3600", &in_an_hour.unwrap()].into_iter().enumerate() {
        let reference = format!("later-{number}");
        lab.next_post(&reference, asks(wait));
        let told = sidecar.charge(&order(&reference)).await;
        told.is_fault(Code::ResourceExhausted, "UPSTREAM_RATE_LIMITED", "no");
        let asked = told.fault().retry_after.expect("a wait is handed on");
        let hour = Duration::from_secs(3540)..=Duration::from_secs(3600);
        assert!(hour.contains(&asked), "{wait}: {asked:?}");
        assert_eq!(lab.posts(&reference), 1, "{wait}");
    }
}
