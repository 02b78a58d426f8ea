//! How long a record stays, and what happens when it does not.

use zentra_sidecar::domain::Operation;
use zentra_sidecar::idempotency::{
    ClaimAnswer, Class, CompleteAnswer, DoubtAnswer, ReleaseAnswer, State, WhyKept,
};

use super::Stage;
use crate::support::payment::{LONG_MS, Payment, charge, fence, outcome};

pub(crate) async fn a_release_frees_key_and_reference(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    let mut waiter = stage.store.subscribe(&payment.subject.digest).await.unwrap();
    stage.claim(&payment.claim(2)).await;
    let release = payment.release(1, 1);
    let answer = stage.store.release(&release).await.unwrap().answer;
    assert_eq!(answer, ReleaseAnswer::Released);
    waiter.woken().await;
    assert_eq!(stage.record(&payment).await, None);
    let again = stage.store.release(&release).await.unwrap().answer;
    assert_eq!(again, ReleaseAnswer::NotReleased(WhyKept::Gone));
    stage.run(&charge("other", "order-1"), 3).await;
    stage.run(&charge("key", "order-2"), 4).await;
}

pub(crate) async fn an_ambiguous_record_is_not_released(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    let mut doubt = payment.doubt(1, 1);
    doubt.gives_up = false;
    stage.store.doubt(&doubt).await.unwrap();
    let answer = stage.store.release(&payment.release(1, 1)).await.unwrap().answer;
    assert_eq!(answer, ReleaseAnswer::NotReleased(WhyKept::Ambiguous));

    let done = payment.evidence(1, 1, outcome(Class::Succeeded, "chg_1", 1));
    stage.store.complete(&done).await.unwrap();
    let answer = stage.store.release(&payment.release(1, 1)).await.unwrap().answer;
    assert_eq!(answer, ReleaseAnswer::NotReleased(WhyKept::Resolved));
}

pub(crate) async fn a_doubt_ends_the_lease(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    let mut waiter = stage.store.subscribe(&payment.subject.digest).await.unwrap();
    stage.claim(&payment.claim(2)).await;
    let answer = stage.store.doubt(&payment.doubt(1, 1)).await.unwrap().answer;
    assert_eq!(answer, DoubtAnswer::Recorded);
    waiter.woken().await;
    let record = stage.record(&payment).await.unwrap();
    assert_eq!((record.state, record.lease_end_ms), (State::Unknown, 0));
    let taken = stage.claim(&payment.claim(2)).await;
    assert!(matches!(taken, ClaimAnswer::Recover { epoch: 2, .. }), "{taken:?}");
}

pub(crate) async fn a_doubt_may_leave_the_owner_at_work(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    let mut doubt = payment.doubt(1, 1);
    doubt.gives_up = false;
    stage.store.doubt(&doubt).await.unwrap();
    let record = stage.record(&payment).await.unwrap();
    assert!(record.ambiguous && record.state == State::Sent);
    let busy = stage.claim(&payment.claim(2)).await;
    assert!(matches!(busy, ClaimAnswer::Busy { .. }), "{busy:?}");
}

pub(crate) async fn a_finished_record_is_kept_for_its_time(stage: Stage) {
    let payment = charge("key", "order-1").retention_ms(0);
    stage.run(&payment, 1).await;
    let kept = payment.clone().retention_ms(LONG_MS);
    let open = kept.evidence(1, 1, outcome(Class::Open, "chg_1", 1));
    stage.store.complete(&open).await.unwrap();
    let expires_ms = stage.record(&payment).await.unwrap().expires_ms.unwrap();
    assert!(expires_ms > kept.periods.open_retention_ms);
    let done = payment.evidence(1, 1, outcome(Class::Succeeded, "chg_1", 1));
    stage.store.complete(&done).await.unwrap();
    assert_eq!(stage.record(&payment).await, None);
    stage.run(&charge("other", "order-1"), 2).await;
}

pub(crate) async fn an_unknown_record_is_not_forgotten(stage: Stage) {
    let payment = charge("key", "order-1").retention_ms(0);
    stage.run(&payment, 1).await;
    stage.store.doubt(&payment.doubt(1, 1)).await.unwrap();
    assert_eq!(stage.record(&payment).await.unwrap().expires_ms, None);
}

pub(crate) async fn an_unknown_token_is_forgotten(stage: Stage) {
    let token = Payment::new("shop/checkout", Operation::Tokenize, "key", None);
    stage.run(&token, 1).await;
    let record = stage.record(&token).await.unwrap();
    let retention_ms = token.periods.retention_ms;
    assert_eq!(record.expires_ms, Some(record.lease_end_ms + retention_ms));
    assert_eq!(record.subject.command, None);
    let short = token.clone().retention_ms(0);
    stage.store.doubt(&short.doubt(1, 1)).await.unwrap();
    assert_eq!(stage.record(&token).await, None);
}

/// Two answers about one card: nobody can look it up, no money moved, and a hash over the number is
/// not kept for ever. That of a payment waits for an operator.
pub(crate) async fn a_token_in_conflict_is_forgotten(stage: Stage) {
    let token = Payment::new("shop/checkout", Operation::Tokenize, "key", None);
    stage.run(&token, 1).await;
    let conflict = async |payment: &Payment| {
        for id in ["tok_1", "tok_2"] {
            let evidence = payment.evidence(1, 1, outcome(Class::Succeeded, id, 1));
            stage.store.complete(&evidence).await.unwrap();
        }
        stage.store.pending_stats().await.unwrap().answer.conflicts
    };
    let before = stage.store.pending_stats().await.unwrap();
    assert_eq!(conflict(&token).await, 1);
    let record = stage.record(&token).await.unwrap();
    assert_eq!(record.state, State::Conflict);
    let kept_ms = record.expires_ms.unwrap() - before.now_ms;
    let retention_ms = token.periods.retention_ms;
    assert!((retention_ms..retention_ms + LONG_MS).contains(&kept_ms), "{kept_ms}");
    assert_eq!(conflict(&token.clone().retention_ms(0)).await, 0, "it counts no longer");
    assert_eq!(stage.record(&token).await, None);
}

pub(crate) async fn a_takeover_calls_off_the_forgetting(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    let mut rejected = payment.doubt(1, 1);
    rejected.expires = true;
    stage.store.doubt(&rejected).await.unwrap();
    assert!(stage.record(&payment).await.unwrap().expires_ms.is_some());
    stage.disturb().await;
    stage.claim(&payment.claim(2)).await;
    assert_eq!(stage.record(&payment).await.unwrap().expires_ms, None);
}

pub(crate) async fn a_wiped_store_looks_up_first(stage: Stage) {
    stage.run(&charge("before", "order-0"), 1).await;
    stage.backend.wipe().await;
    let payment = charge("key", "order-1");
    let refused = stage.claim(&payment.refused(1)).await;
    let look_ups_first = true;
    assert_eq!(refused, ClaimAnswer::Refused { look_ups_first });
    let run = stage.claim(&payment.claim(1)).await;
    assert!(matches!(run, ClaimAnswer::Run { look_up_first: true, .. }), "{run:?}");
    let record = stage.record(&payment).await.unwrap();
    assert!(record.ambiguous && record.born_ambiguous);
    let released = stage.store.release(&payment.release(1, 1)).await.unwrap().answer;
    assert_eq!(released, ReleaseAnswer::NotReleased(WhyKept::Ambiguous));
}

pub(crate) async fn what_vanished_is_created_again(stage: Stage) {
    let (paid, doubted) = (charge("paid", "order-1"), charge("doubted", "order-2"));
    stage.run(&paid, 1).await;
    stage.run(&doubted, 1).await;
    stage.backend.wipe().await;
    let evidence = paid.evidence(1, 1, outcome(Class::Succeeded, "chg_1", 1));
    let answer = stage.store.complete(&evidence).await.unwrap().answer;
    assert_eq!(answer, CompleteAnswer::Stored { posts: 1, before: None });
    let record = stage.record(&paid).await.unwrap();
    assert!(record.born_ambiguous && record.state == State::Done);
    assert_eq!((record.subject, record.first_sent_ms), (paid.subject, 7));

    stage.store.doubt(&doubted.doubt(1, 1)).await.unwrap();
    let record = stage.record(&doubted).await.unwrap();
    assert_eq!((record.state, record.fence), (State::Unknown, fence(1, 1)));
    let taken = stage.claim(&charge("other", "order-2").claim(2)).await;
    assert!(matches!(taken, ClaimAnswer::ReferenceTaken { .. }), "{taken:?}");
    let nameless = charge("declined", "order-3").evidence(1, 1, outcome(Class::Failed, "", 1));
    let answer = stage.store.complete(&nameless).await.unwrap().answer;
    assert!(matches!(answer, CompleteAnswer::NotProof { .. }), "{answer:?}");
}

pub(crate) async fn an_owner_of_an_earlier_life_completes_no_other_content(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    stage.backend.wipe().await;
    stage.claim(&payment.clone().content("600 NGN").claim(2)).await;
    let late = payment.evidence(1, 1, outcome(Class::Succeeded, "chg_1", 1));
    let answer = stage.store.complete(&late).await.unwrap().answer;
    assert!(matches!(answer, CompleteAnswer::Conflict { .. }), "{answer:?}");
}
