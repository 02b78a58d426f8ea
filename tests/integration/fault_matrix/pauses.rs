//! Owners that are slow, halted, or overtaken.

use std::time::Duration;

use tonic::Code;
use zentra_sidecar::simulator::Action;

use super::lab::Lab;
use super::told::{Told, order};

/// Until the test moves Zentra's clock.
const HOUR: Duration = Duration::from_secs(3600);

/// Row 9.
#[tokio::test]
async fn a_lease_is_renewed_while_zentra_takes_longer_than_it() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    lab.next_post("order-1", Action::DelayBefore(HOUR));
    let first = lab.sidecar().flag("--attempt-timeout-seconds", "30").start().await;
    let second = lab.sidecar().start().await;
    let (one, hasty, patient) =
        (order("order-1"), order("order-1").within_ms(1500), order("order-1"));
    let others = async {
        lab.until_posts("order-1", 1).await;
        Lab::a_lease_passes().await;
        // Twice a lease in all, and nobody has taken over.
        second.charge(&hasty).await.is_fault(Code::Aborted, "IDEMPOTENCY_IN_PROGRESS", "unknown");
        lab.zentra.advance(HOUR);
        second.charge(&patient).await
    };
    let (owner, duplicate) = tokio::join!(first.charge(&one), others);
    owner.is_paid("DIRECT");
    duplicate.is_paid("REPLAYED");
    lab.agrees("order-1", 1, &[&owner, &duplicate]);
    assert_eq!((lab.posts("order-1"), lab.look_ups("order-1")), (1, 0));
}

/// Row 9: the lease is lost while Zentra works; the old owner's late answer is evidence all the
/// same, and the new one hears of it.
#[tokio::test]
async fn a_fenced_owners_late_answer_is_the_outcome() {
    let lab = Lab::start().await;
    lab.next_post("order-1", Action::DelayBefore(HOUR));
    let first = lab.sidecar().flag("--attempt-timeout-seconds", "60").start().await;
    let second = lab.sidecar().start().await;
    let (one, other) = (order("order-1"), order("order-1").within_ms(2500));
    let others = async {
        lab.until_posts("order-1", 1).await;
        first.signal("STOP").await;
        // It takes over, is told that Zentra is at work on the key, and finds nothing.
        second.charge(&other).await.is_unknown();
        lab.zentra.advance(HOUR);
        lab.until("the charge", |ledger| ledger.charges_of("order-1").len() == 1).await;
        first.signal("CONT").await;
    };
    let (owner, ()) = tokio::join!(first.charge(&one), others);
    owner.is_paid("DIRECT");
    let reads = lab.look_ups("order-1");
    let told = second.charge(&other).await;
    told.is_paid("REPLAYED");
    assert_eq!(lab.look_ups("order-1"), reads, "what the fenced owner brought was stored");
    lab.agrees("order-1", 1, &[&owner, &told]);
}

/// Row 10: another took over meanwhile. Zentra's own dedupe is off, as it would hide a late POST.
#[tokio::test]
async fn an_owner_that_wakes_up_past_its_lease_sends_nothing() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let first = lab.sidecar().failpoint("before_send:stop").start().await;
    let second = lab.sidecar().start().await;
    let (one, other) = (order("order-1"), order("order-1"));
    let others = async {
        first.reached("before_send").await;
        let told = second.charge(&other).await;
        first.signal("CONT").await;
        told
    };
    let (late, told) = tokio::join!(first.charge(&one), others);
    told.is_paid("DIRECT");
    late.is_paid("REPLAYED");
    lab.agrees("order-1", 1, &[&late, &told]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 11.
#[tokio::test]
async fn an_owner_that_wakes_up_after_the_send_tells_the_same() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let first = lab.sidecar().failpoint("after_answer:stop").start().await;
    let second = lab.sidecar().start().await;
    let (one, other) = (order("order-1"), order("order-1"));
    let others = async {
        first.reached("after_answer").await;
        let told = second.charge(&other).await;
        first.signal("CONT").await;
        told
    };
    let (late, told) = tokio::join!(first.charge(&one), others);
    told.is_paid("RECOVERED");
    late.is_paid("DIRECT");
    lab.agrees("order-1", 1, &[&late, &told]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// The first owner is refused, but another one has taken over before it can say so, and goes on
/// to make the payment. Gives what the first was told.
async fn refused_when_overtaken(status: u16, code: &str) -> Told {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let refusal = Action::Status {
        status,
        effect: false,
        code: Some(code.to_owned()),
        body: None,
        retry_after: None,
    };
    lab.next_post("order-1", refusal);
    let first = lab.sidecar().failpoint("after_answer:stop").start().await;
    let second = lab.sidecar().failpoint("before_send:wait").start().await;
    let order = order("order-1");
    let first_told = async {
        let told = first.charge(&order).await;
        // Only now does the second send.
        second.release().await;
        told
    };
    let taken_over = async {
        second.reached("before_send").await;
        first.signal("CONT").await;
    };
    let others = async {
        first.reached("after_answer").await;
        tokio::join!(second.charge(&order), taken_over).0
    };
    let (first_told, told) = tokio::join!(first_told, others);
    told.is_paid("DIRECT");
    lab.agrees("order-1", 1, &[&first_told, &told]);
    first_told
}

/// Row 34.
#[tokio::test]
async fn a_rejection_is_not_told_as_no_where_another_owner_has_taken_over() {
    refused_when_overtaken(422, "validation_error").await.is_unknown();
}

/// Row 34.
#[tokio::test]
async fn a_decline_is_no_outcome_where_another_owner_has_taken_over() {
    refused_when_overtaken(422, "card_declined").await.is_unknown();
}

/// Row 34.
#[tokio::test]
async fn a_refused_key_is_not_told_as_no_where_another_owner_has_taken_over() {
    refused_when_overtaken(401, "invalid_api_key").await.is_unknown();
}
