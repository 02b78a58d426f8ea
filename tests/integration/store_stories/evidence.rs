//! What Zentra's answers do to a record.

use zentra_sidecar::idempotency::{
    Attempt, ClaimAnswer, Class, CompleteAnswer, Doubt, Evidence, MAX_ATTEMPTS, Outcome, Record,
    State, Verdict,
};

use super::Stage;
use crate::support::payment::{LONG_MS, Payment, charge, outcome};

/// What a story looks at after evidence: the state, and the outcome's class and phase.
fn seen(record: &Record) -> (State, Option<(Class, u8)>) {
    let outcome = record.outcome.as_ref().map(|it| (it.class, it.phase));
    (record.state, outcome)
}

/// Brings evidence of each outcome in turn to a payment that one owner runs.
async fn after(stage: &Stage, outcomes: &[Outcome]) -> (CompleteAnswer, Record) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    let mut last = None;
    for outcome in outcomes {
        let evidence = payment.evidence(1, 1, outcome.clone());
        last = Some(stage.store.complete(&evidence).await.unwrap().answer);
        stage.disturb().await;
    }
    (last.unwrap(), stage.record(&payment).await.unwrap())
}

pub(crate) async fn a_final_outcome_stays(stage: Stage) {
    let (answer, record) = after(
        &stage,
        &[
            outcome(Class::Succeeded, "chg_1", 3),
            outcome(Class::Open, "chg_1", 9),
            outcome(Class::Failed, "", 1),
        ],
    )
    .await;
    assert!(matches!(answer, CompleteAnswer::Kept { .. }), "{answer:?}");
    assert_eq!(seen(&record), (State::Done, Some((Class::Succeeded, 3))));
    // What comes after success (refunded, disputed) is further on, not another outcome.
    let refunded = charge("key", "order-1").observed(1, 1, outcome(Class::Succeeded, "chg_1", 5));
    let answer = stage.store.complete(&refunded).await.unwrap().answer;
    assert!(matches!(answer, CompleteAnswer::Stored { .. }), "{answer:?}");
}

pub(crate) async fn an_open_outcome_moves_forward_only(stage: Stage) {
    let (_, record) =
        after(&stage, &[outcome(Class::Open, "chg_1", 2), outcome(Class::Open, "chg_1", 1)]).await;
    assert_eq!(seen(&record), (State::Done, Some((Class::Open, 2))));
    let payment = charge("key", "order-1");
    let paid = payment.observed(1, 1, outcome(Class::Succeeded, "chg_1", 0));
    stage.store.complete(&paid).await.unwrap();
    let record = stage.record(&payment).await.unwrap();
    assert_eq!(seen(&record), (State::Done, Some((Class::Succeeded, 0))));
}

pub(crate) async fn another_id_is_a_conflict(stage: Stage) {
    let (answer, record) = after(
        &stage,
        &[outcome(Class::Succeeded, "chg_1", 1), outcome(Class::Succeeded, "chg_2", 1)],
    )
    .await;
    assert!(matches!(answer, CompleteAnswer::Conflict { .. }), "{answer:?}");
    assert_eq!(record.state, State::Conflict);
    assert_eq!(record.contrary, Some(outcome(Class::Succeeded, "chg_2", 1)));
    assert_eq!(record.expires_ms, None);
    let claimed = stage.claim(&charge("key", "order-1").claim(2)).await;
    assert!(matches!(claimed, ClaimAnswer::Conflict { .. }), "{claimed:?}");
}

pub(crate) async fn a_failure_and_a_success_are_a_conflict(stage: Stage) {
    let (answer, record) =
        after(&stage, &[outcome(Class::Failed, "", 1), outcome(Class::Succeeded, "chg_1", 1)])
            .await;
    assert!(matches!(answer, CompleteAnswer::Conflict { .. }), "{answer:?}");
    assert_eq!(seen(&record), (State::Conflict, Some((Class::Failed, 1))));
}

pub(crate) async fn a_contradiction_is_a_conflict(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    let other_amount = outcome(Class::Succeeded, "chg_1", 1);
    let evidence = Evidence {
        verdict: Verdict::Contradiction(other_amount.clone()),
        ..payment.evidence(1, 1, other_amount.clone())
    };
    let answer = stage.store.complete(&evidence).await.unwrap().answer;
    assert!(matches!(answer, CompleteAnswer::Conflict { .. }), "{answer:?}");
    let record = stage.record(&payment).await.unwrap();
    assert_eq!((record.outcome, record.contrary), (None, Some(other_amount)));
}

pub(crate) async fn a_nameless_decline_is_final_when_alone(stage: Stage) {
    let (answer, record) = after(&stage, &[outcome(Class::Failed, "", 1)]).await;
    assert_eq!(answer, CompleteAnswer::Stored { posts: 1, before: None });
    assert_eq!(seen(&record), (State::Done, Some((Class::Failed, 1))));
}

pub(crate) async fn a_nameless_decline_proves_nothing_of_an_ambiguous_record(stage: Stage) {
    let payment = charge("key", "order-1").lease_ms(0);
    stage.run(&payment, 1).await;
    let longer = payment.clone().lease_ms(LONG_MS);
    stage.claim(&longer.claim(2)).await;
    let decline =
        |payment: &Payment, by, epoch| payment.evidence(by, epoch, outcome(Class::Failed, "", 1));
    // The fenced owner's changes nothing but the log.
    let answer = stage.store.complete(&decline(&payment, 1, 1)).await.unwrap();
    assert!(
        matches!(&answer.answer, CompleteAnswer::NotProof { record } if record.lease_end_ms > 0),
        "{answer:?}"
    );
    // The owner's ends its lease, as a doubt.
    let answer = stage.store.complete(&decline(&payment, 2, 2)).await.unwrap();
    assert!(matches!(answer.answer, CompleteAnswer::NotProof { .. }), "{answer:?}");
    let record = stage.record(&payment).await.unwrap();
    assert_eq!((record.state, record.lease_end_ms), (State::Unknown, 0));
    assert_eq!((record.outcome, record.posts), (None, 2));
}

pub(crate) async fn a_fenced_owner_is_heard(stage: Stage) {
    let payment = charge("key", "order-1").lease_ms(0);
    stage.run(&payment, 1).await;
    stage.claim(&payment.clone().lease_ms(LONG_MS).claim(2)).await;
    stage.disturb().await;
    let late = payment.evidence(1, 1, outcome(Class::Succeeded, "chg_1", 1));
    let answer = stage.store.complete(&late).await.unwrap().answer;
    assert!(matches!(answer, CompleteAnswer::Stored { .. }), "{answer:?}");
    let known = payment.evidence(2, 2, outcome(Class::Succeeded, "chg_1", 1));
    let answer = stage.store.complete(&known).await.unwrap().answer;
    assert!(matches!(answer, CompleteAnswer::Kept { .. }), "{answer:?}");
}

pub(crate) async fn a_failure_gives_reservations_back(stage: Stage) {
    let (_, record) = after(&stage, &[outcome(Class::Failed, "chg_1", 1)]).await;
    assert!(!record.reservations_held);
    assert_eq!(record.reservations.len(), 1);
}

pub(crate) async fn attempts_are_logged_once_and_bounded(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    let mut doubt = payment.doubt(1, 1);
    doubt.gives_up = false;
    for number in 0..40 {
        doubt.attempts = vec![
            Attempt::new(&format!("POST {number} [timeout]"), true),
            Attempt::new(&format!("GET {number} 404"), false),
        ];
        // Told twice, as the first answer may have been lost.
        stage.store.doubt(&doubt).await.unwrap();
        stage.store.doubt(&doubt).await.unwrap();
    }
    let record = stage.record(&payment).await.unwrap();
    assert_eq!((record.attempts.len(), record.posts), (MAX_ATTEMPTS, 40));
    assert_eq!(record.attempts[0], "POST 24 [timeout]");
    assert_eq!(record.attempts[31], "GET 39 404");
}

pub(crate) async fn an_observer_ends_no_payment_under_way(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    let seen = payment.observed(1, 1, outcome(Class::Failed, "chg_old", 1));
    let other = Evidence {
        verdict: Verdict::Contradiction(outcome(Class::Succeeded, "chg_old", 1)),
        ..seen.clone()
    };
    let goes_on = Doubt { gives_up: false, ..payment.doubt(1, 1) };
    for ambiguous in [false, true] {
        if ambiguous {
            stage.store.doubt(&goes_on).await.unwrap();
        }
        let before = stage.record(&payment).await;
        for evidence in [&seen, &other] {
            let answer = stage.store.complete(evidence).await.unwrap().answer;
            assert_eq!(answer, CompleteAnswer::Absent);
        }
        assert_eq!(stage.record(&payment).await, before);
    }
    stage.store.doubt(&payment.doubt(1, 1)).await.unwrap();
    let answer = stage.store.complete(&seen).await.unwrap().answer;
    assert!(matches!(answer, CompleteAnswer::Stored { .. }), "{answer:?}");
}

pub(crate) async fn an_observer_finds_what_an_owner_left(stage: Stage) {
    let payment = charge("key", "order-1").lease_ms(0);
    stage.run(&payment, 1).await;
    stage.disturb().await;
    let seen = payment.observed(1, 1, outcome(Class::Succeeded, "chg_1", 1));
    let answer = stage.store.complete(&seen).await.unwrap().answer;
    assert!(matches!(answer, CompleteAnswer::Stored { .. }), "{answer:?}");
    let record = stage.record(&payment).await.unwrap();
    assert!(record.ambiguous && record.state == State::Done);
}

pub(crate) async fn an_observer_from_before_a_takeover_is_not_heard(stage: Stage) {
    let payment = charge("key", "order-1").lease_ms(0);
    stage.run(&payment, 1).await;
    let seen = |by, epoch| payment.observed(by, epoch, outcome(Class::Failed, "chg_1", 1));
    stage.claim(&payment.claim(2)).await;
    let before = stage.record(&payment).await;
    let answer = stage.store.complete(&seen(1, 1)).await.unwrap().answer;
    assert_eq!(answer, CompleteAnswer::Absent);
    assert_eq!(stage.record(&payment).await, before);
    let answer = stage.store.complete(&seen(2, 2)).await.unwrap().answer;
    assert!(matches!(answer, CompleteAnswer::Stored { .. }), "{answer:?}");
    let late = stage.store.complete(&seen(1, 1)).await.unwrap().answer;
    assert_eq!(late, CompleteAnswer::Absent);
}
