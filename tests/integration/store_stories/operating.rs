//! What operators and the reconciler do.

use zentra_sidecar::domain::Operation;
use zentra_sidecar::idempotency::{
    Advance, ClaimAnswer, Class, CompleteAnswer, FingerprintKeys, InitAnswer, NotReady,
    PendingKind, PendingPage, PendingStats, ReconcilerLease, Settle, SettleAnswer, SettleBegin,
    State, WhyNotSettled,
};

use super::Stage;
use crate::support::payment::{LONG_MS, Payment, charge, fence, key_line, outcome, owner};

pub(crate) async fn a_new_store_is_declared_once(stage: Stage) {
    assert_eq!(stage.store.init().await, Ok(InitAnswer::Declared));
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    assert_eq!(stage.store.init().await, Ok(InitAnswer::HasRecords));
    stage.store.release(&payment.release(1, 1)).await.unwrap();
    assert_eq!(stage.store.init().await, Ok(InitAnswer::HasRecords));
}

async fn keys(stage: &Stage, kind: PendingKind, offset: u32, limit: u32) -> Vec<String> {
    let page = PendingPage { kind, offset, limit };
    let records = stage.store.pending(page).await.unwrap().answer;
    let reference = |it: zentra_sidecar::idempotency::Record| it.subject.reference.unwrap();
    records.into_iter().map(|record| reference(record).to_string()).collect()
}

pub(crate) async fn pending_records_come_by_their_time(stage: Stage) {
    for (reference, after_ms) in [("third", 300_000), ("first", 0), ("second", 200_000)] {
        let payment = charge(reference, reference);
        stage.run(&payment, 1).await;
        let mut doubt = payment.doubt(1, 1);
        doubt.next_check_after_ms = after_ms;
        stage.store.doubt(&doubt).await.unwrap();
    }
    stage.disturb().await;
    assert_eq!(keys(&stage, PendingKind::Due, 0, 10).await, ["first"]);
    assert_eq!(keys(&stage, PendingKind::All, 0, 10).await, ["first", "second", "third"]);
    assert_eq!(keys(&stage, PendingKind::All, 1, 1).await, ["second"]);
    let advance = |after_ms| Advance {
        digest: charge("first", "first").subject.digest,
        next_check_after_ms: after_ms,
    };
    assert!(stage.store.advance(&advance(250_000)).await.unwrap().answer);
    assert_eq!(keys(&stage, PendingKind::All, 1, 1).await, ["first"]);
    assert!(keys(&stage, PendingKind::Due, 0, 10).await.is_empty());
    let done = charge("first", "first").observed(1, 1, outcome(Class::Succeeded, "chg_1", 1));
    stage.store.complete(&done).await.unwrap();
    assert!(!stage.store.advance(&advance(0)).await.unwrap().answer);
    assert_eq!(keys(&stage, PendingKind::All, 0, 10).await.len(), 2);
}

pub(crate) async fn pending_records_are_counted(stage: Stage) {
    let stats = stage.store.pending_stats().await.unwrap().answer;
    assert_eq!(stats, PendingStats::default());
    let token = Payment::new("shop/checkout", Operation::Tokenize, "key", None);
    stage.run(&token, 1).await;
    stage.run(&charge("sent", "sent"), 1).await;
    let oldest = stage.record(&charge("sent", "sent")).await.unwrap();
    stage.run(&charge("unknown", "unknown"), 1).await;
    let doubt = charge("unknown", "unknown").doubt(1, 1);
    stage.store.doubt(&doubt).await.unwrap();
    for (key, outcomes) in [
        ("open", vec![outcome(Class::Open, "chg_1", 1)]),
        ("final", vec![outcome(Class::Succeeded, "chg_2", 1)]),
        (
            "conflict",
            vec![outcome(Class::Succeeded, "chg_3", 1), outcome(Class::Succeeded, "chg_4", 1)],
        ),
    ] {
        let payment = charge(key, key);
        stage.run(&payment, 1).await;
        for outcome in outcomes {
            stage.store.complete(&payment.evidence(1, 1, outcome)).await.unwrap();
        }
    }
    stage.disturb().await;
    let stats = stage.store.pending_stats().await.unwrap().answer;
    assert_eq!(
        stats,
        PendingStats {
            unresolved: 2,
            oldest_unresolved_ms: Some(oldest.first_sent_ms),
            open: 1,
            conflicts: 1,
            lost_at_ms: None,
        }
    );
    assert_eq!(keys(&stage, PendingKind::Conflicts, 0, 10).await, ["conflict"]);
}

pub(crate) async fn an_abandoned_record_is_seen_as_unknown(stage: Stage) {
    let payment = charge("key", "order-1").lease_ms(0);
    stage.run(&payment, 1).await;
    let advance = Advance { digest: payment.subject.digest, next_check_after_ms: LONG_MS };
    assert!(stage.store.advance(&advance).await.unwrap().answer);
    let record = stage.record(&payment).await.unwrap();
    assert!(record.ambiguous && record.state == State::Unknown);
    assert_eq!(record.fence, fence(1, 1));
}

pub(super) fn begin(payment: &Payment, resend_window_ms: u64) -> SettleBegin {
    SettleBegin {
        digest: payment.subject.digest,
        owner: owner(9),
        lease_ms: LONG_MS,
        resend_window_ms,
    }
}

pub(super) fn settle(payment: &Payment, class: Class) -> Settle {
    Settle {
        digest: payment.subject.digest,
        fence: fence(9, 2),
        outcome: outcome(class, "", 1),
        amount: None,
        settled_by: "jo: Zentra's support says so".into(),
        periods: payment.periods,
    }
}

pub(crate) async fn an_operator_settles_what_is_over(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    stage.store.doubt(&payment.doubt(1, 1)).await.unwrap();
    let answer = stage.store.settle_begin(&begin(&payment, 0)).await.unwrap().answer;
    let SettleAnswer::Begun { fence: held, .. } = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(held, fence(9, 2));
    let busy = stage.claim(&payment.claim(2)).await;
    assert!(matches!(busy, ClaimAnswer::Busy { .. }), "{busy:?}");
    for _ in 0..2 {
        let word = settle(&payment, Class::NotHappened);
        let answer = stage.store.settle(&word).await.unwrap().answer;
        assert_eq!(answer, SettleAnswer::Settled);
    }
    let record = stage.record(&payment).await.unwrap();
    assert!(record.expires_ms.is_some() && !record.reservations_held);
    assert_eq!(record.settled_by.as_deref(), Some("jo: Zentra's support says so"));
    let answer = stage.store.settle_begin(&begin(&payment, 0)).await.unwrap().answer;
    assert_eq!(answer, SettleAnswer::Refused(WhyNotSettled::Resolved));
}

pub(crate) async fn an_operator_cannot_settle_what_may_be_sent(stage: Stage) {
    let payment = charge("key", "order-1");
    let refusal = |begin| {
        let store = stage.store.clone();
        async move { store.settle_begin(&begin).await.unwrap().answer }
    };
    let refused = SettleAnswer::Refused;
    assert_eq!(refusal(begin(&payment, 0)).await, refused(WhyNotSettled::Absent));
    stage.run(&payment, 1).await;
    assert_eq!(refusal(begin(&payment, 0)).await, refused(WhyNotSettled::Leased));
    stage.store.doubt(&payment.doubt(1, 1)).await.unwrap();
    assert_eq!(refusal(begin(&payment, LONG_MS)).await, refused(WhyNotSettled::ResendAllowed));
    let unbegun = settle(&payment, Class::NotHappened);
    let answer = stage.store.settle(&unbegun).await.unwrap().answer;
    assert_eq!(answer, refused(WhyNotSettled::Fenced));
    refusal(begin(&payment, 0)).await;
    let open = settle(&payment, Class::Open);
    let answer = stage.store.settle(&open).await.unwrap().answer;
    assert_eq!(answer, refused(WhyNotSettled::OutcomeOpen));
}

pub(crate) async fn evidence_against_a_settlement_is_a_conflict(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    stage.store.doubt(&payment.doubt(1, 1)).await.unwrap();
    stage.store.settle_begin(&begin(&payment, 0)).await.unwrap();
    stage.store.settle(&settle(&payment, Class::NotHappened)).await.unwrap();
    let contrary = payment.observed(9, 2, outcome(Class::Open, "chg_1", 1));
    let answer = stage.store.complete(&contrary).await.unwrap().answer;
    assert!(matches!(answer, CompleteAnswer::Conflict { .. }), "{answer:?}");
}

pub(crate) async fn one_process_reconciles(stage: Stage) {
    let other = stage.other_process().await;
    let lease = |by, lease_ms| ReconcilerLease { owner: owner(by), lease_ms };
    assert!(stage.store.reconciler_lease(&lease(1, LONG_MS)).await.unwrap().answer);
    assert!(!other.reconciler_lease(&lease(2, LONG_MS)).await.unwrap().answer);
    assert!(stage.store.reconciler_lease(&lease(1, LONG_MS)).await.unwrap().answer);
    assert!(!stage.store.reconciler_lease(&lease(1, 0)).await.unwrap().answer);
    assert!(other.reconciler_lease(&lease(2, LONG_MS)).await.unwrap().answer);
}

pub(crate) async fn a_process_with_another_fingerprint_key_is_not_ready(stage: Stage) {
    let loaded = |numbers: &[u8]| {
        let lines: Vec<_> = numbers.iter().map(|it| key_line(*it)).collect();
        FingerprintKeys::parse(&lines.join("\n")).ok().unwrap().checks()
    };
    assert_eq!(stage.store.readiness(&loaded(&[1])).await, Ok(vec![]));
    let foreign = stage.store.readiness(&loaded(&[2])).await.unwrap();
    assert!(matches!(foreign[..], [NotReady::ForeignKey(_)]), "{foreign:?}");
    let mut forged = loaded(&[1]);
    forged[0].check[0] ^= 1;
    let differs = stage.store.readiness(&forged).await.unwrap();
    assert!(matches!(differs[..], [NotReady::KeyDiffers(_)]), "{differs:?}");
    // A rotation: loaded beside the old one first, then in front of it, then alone.
    for numbers in [&[1, 2][..], &[2, 1], &[2]] {
        assert_eq!(stage.store.readiness(&loaded(numbers)).await, Ok(vec![]));
    }
    let old = stage.store.readiness(&loaded(&[1])).await.unwrap();
    assert!(matches!(old[..], [NotReady::ForeignKey(_)]), "{old:?}");
}

pub(crate) async fn a_newer_record_is_left_alone(stage: Stage) {
    let payment = charge("key", "order-1").lease_ms(0);
    let newer = stage.other_release(3, 3).await;
    newer.claim(&payment.claim(1)).await.unwrap();
    let before = newer.claim(&payment.claim(1)).await.unwrap();
    assert!(matches!(before.answer, ClaimAnswer::Run { .. }), "{before:?}");
    let claimed = stage.claim(&payment.claim(2)).await;
    assert_eq!(claimed, ClaimAnswer::TooNew { version: 3 });
    let done = payment.evidence(1, 1, outcome(Class::Succeeded, "chg_1", 1));
    let completed = stage.store.complete(&done).await.unwrap().answer;
    assert_eq!(completed, CompleteAnswer::TooNew { version: 3 });
    let settled = stage.store.settle_begin(&begin(&payment, 0)).await.unwrap().answer;
    assert_eq!(settled, SettleAnswer::Refused(WhyNotSettled::TooNew));
    assert_eq!(stage.record(&payment).await.unwrap().state, State::Sent);
}

pub(crate) async fn a_newer_record_stays_due(stage: Stage) {
    let payment = charge("key", "order-1").lease_ms(0);
    let newer = stage.other_release(3, 3).await;
    newer.claim(&payment.claim(1)).await.unwrap();
    let before = stage.record(&payment).await;
    let advance = Advance { digest: payment.subject.digest, next_check_after_ms: LONG_MS };
    assert!(stage.store.advance(&advance).await.unwrap().answer);
    assert_eq!(keys(&stage, PendingKind::All, 0, 10).await, ["order-1"]);
    assert!(keys(&stage, PendingKind::Due, 0, 10).await.is_empty(), "it was put off");
    assert_eq!(stage.record(&payment).await, before);
}

pub(crate) async fn two_releases_finish_each_others_records(stage: Stage) {
    let newer = stage.other_release(2, 2).await;
    let (old, new) = (charge("old", "old"), charge("new", "new"));
    stage.run(&old, 1).await;
    newer.claim(&new.claim(1)).await.unwrap();
    let paid = |payment: &Payment| payment.evidence(1, 1, outcome(Class::Succeeded, "chg", 1));
    newer.complete(&paid(&old)).await.unwrap();
    stage.store.complete(&paid(&new)).await.unwrap();
    for payment in [old, new] {
        let here = stage.claim(&payment.claim(2)).await;
        assert!(matches!(here, ClaimAnswer::Replay { .. }), "{here:?}");
        assert_eq!(newer.claim(&payment.claim(2)).await.unwrap().answer, here);
    }
}
