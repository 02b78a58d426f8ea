//! Who may make a payment.

use zentra_sidecar::domain::Operation;
use zentra_sidecar::idempotency::{
    ClaimAnswer, Class, CompleteAnswer, DoubtAnswer, Lookup, Namespace, ReleaseAnswer, Renew,
    RenewAnswer, State, WhyKept,
};

use super::Stage;
use crate::support::payment::{LONG_MS, Payment, charge, fence, outcome};

pub(crate) async fn a_first_claim_runs_and_says_what_it_holds(stage: Stage) {
    let payment = charge("key", "order-1");
    let reply = stage.store.claim(&payment.claim(1)).await.unwrap();
    let (look_up_first, first_sent_ms, over) = (false, reply.now_ms, Vec::new());
    assert_eq!(reply.answer, ClaimAnswer::Run { epoch: 1, look_up_first, first_sent_ms, over });
    let record = stage.record(&payment).await.unwrap();
    assert_eq!(record.subject, payment.subject);
    assert_eq!(record.state, State::Sent);
    assert_eq!(record.fence, fence(1, 1));
    assert_eq!(record.lease_end_ms, reply.now_ms + LONG_MS);
    assert_eq!(record.expires_ms, None);
    assert!(!record.ambiguous && record.reservations_held);
    let by_reference = Lookup::Reference(Namespace::Charge, payment.subject.reference.unwrap());
    let found = stage.store.read(&by_reference).await.unwrap().answer;
    assert_eq!(found, Some(record));

    stage.disturb().await;
    let done = outcome(Class::Succeeded, "chg_1", 1);
    let evidence = charge("key", "order-1").evidence(1, 1, done.clone());
    let answer = stage.store.complete(&evidence).await.unwrap().answer;
    assert_eq!(answer, CompleteAnswer::Stored { posts: 1, before: None });
    let ClaimAnswer::Replay { record } = stage.claim(&charge("key", "order-1").claim(2)).await
    else {
        panic!("not replayed");
    };
    assert_eq!(record.outcome, Some(done));
    assert_eq!((record.posts, record.state), (1, State::Done));
}

pub(crate) async fn a_duplicate_is_told_to_wait_and_woken(stage: Stage) {
    let payment = charge("key", "order-1");
    let other = stage.other_process().await;
    stage.run(&payment, 1).await;
    let first = other.claim(&payment.claim(2)).await.unwrap().answer;
    assert!(matches!(first, ClaimAnswer::Busy { .. }), "{first:?}");

    let mut waiter = other.subscribe(&payment.subject.digest).await.unwrap();
    let ClaimAnswer::Busy { lease_left_ms } = other.claim(&payment.claim(2)).await.unwrap().answer
    else {
        panic!("not busy");
    };
    assert!(lease_left_ms <= LONG_MS && lease_left_ms > LONG_MS / 2);
    let evidence = payment.evidence(1, 1, outcome(Class::Succeeded, "chg_1", 1));
    stage.store.complete(&evidence).await.unwrap();
    waiter.woken().await;
    let answer = other.claim(&payment.claim(2)).await.unwrap().answer;
    assert!(matches!(answer, ClaimAnswer::Replay { .. }), "{answer:?}");
}

pub(crate) async fn an_owner_may_claim_again(stage: Stage) {
    let payment = charge("key", "order-1").lease_ms(0);
    let first = stage.claim(&payment.claim(1)).await;
    stage.disturb().await;
    let again = stage.claim(&payment.claim(1)).await;
    let ClaimAnswer::Run { epoch, first_sent_ms, .. } = first else {
        panic!("{first:?}");
    };
    assert!(
        matches!(again, ClaimAnswer::Run { epoch: e, first_sent_ms: f, .. }
            if e == epoch && f == first_sent_ms),
        "{again:?}"
    );

    let taken = stage.claim(&payment.clone().lease_ms(LONG_MS).claim(2)).await;
    assert!(matches!(taken, ClaimAnswer::Recover { epoch: 2, .. }), "{taken:?}");
    let again = stage.claim(&payment.claim(2)).await;
    assert!(matches!(again, ClaimAnswer::Recover { epoch: 2, .. }), "{again:?}");
}

pub(crate) async fn a_takeover_fences_the_old_owner(stage: Stage) {
    let payment = charge("key", "order-1").lease_ms(0);
    stage.run(&payment, 1).await;
    let longer = payment.clone().lease_ms(LONG_MS);
    let ClaimAnswer::Recover { epoch, record, look_up_only, .. } =
        stage.claim(&longer.claim(2)).await
    else {
        panic!("not taken over");
    };
    assert_eq!((epoch, look_up_only), (2, false));
    assert!(record.ambiguous && !record.born_ambiguous);
    assert_eq!(record.subject.command, payment.subject.command);

    let digest = payment.subject.digest;
    let renew = |by, epoch| Renew { digest, fence: fence(by, epoch), lease_ms: LONG_MS };
    let renewed = stage.store.renew(&renew(1, 1)).await.unwrap().answer;
    assert_eq!(renewed, RenewAnswer::Lost);
    let released = stage.store.release(&payment.release(1, 1)).await.unwrap().answer;
    assert_eq!(released, ReleaseAnswer::NotReleased(WhyKept::Fenced));
    let doubted = stage.store.doubt(&payment.doubt(1, 1)).await.unwrap().answer;
    assert!(matches!(doubted, DoubtAnswer::Fenced { .. }), "{doubted:?}");
    let renewed = stage.store.renew(&renew(2, 2)).await.unwrap().answer;
    assert_eq!(renewed, RenewAnswer::Renewed);
    assert_eq!(stage.record(&payment).await.unwrap().fence, fence(2, 2));
}

pub(crate) async fn an_existing_record_beats_a_refusal(stage: Stage) {
    let payment = charge("key", "order-1");
    let answer = stage.claim(&payment.refused(1)).await;
    let look_ups_first = false;
    assert_eq!(answer, ClaimAnswer::Refused { look_ups_first });
    assert_eq!(stage.record(&payment).await, None);

    stage.run(&payment, 1).await;
    let busy = stage.claim(&payment.refused(2)).await;
    assert!(matches!(busy, ClaimAnswer::Busy { .. }), "{busy:?}");
    stage.store.doubt(&payment.doubt(1, 1)).await.unwrap();
    let recover = stage.claim(&payment.refused(2)).await;
    assert!(matches!(recover, ClaimAnswer::Recover { look_up_only: true, .. }), "{recover:?}");
    let evidence = payment.evidence(2, 2, outcome(Class::Succeeded, "chg_1", 1));
    stage.store.complete(&evidence).await.unwrap();
    let replay = stage.claim(&payment.refused(3)).await;
    assert!(matches!(replay, ClaimAnswer::Replay { .. }), "{replay:?}");
}

pub(crate) async fn other_content_neither_hears_nor_takes_over(stage: Stage) {
    let payment = charge("key", "order-1").lease_ms(0);
    stage.run(&payment, 1).await;
    let before = stage.record(&payment).await;
    for claim in
        [payment.clone().content("600 NGN").claim(2), payment.clone().content("600 NGN").refused(2)]
    {
        let answer = stage.claim(&claim).await;
        assert!(matches!(answer, ClaimAnswer::KeyReused { .. }), "{answer:?}");
    }
    assert_eq!(stage.record(&payment).await, before);
}

pub(crate) async fn a_rotated_fingerprint_key_still_matches(stage: Stage) {
    let payment = charge("key", "order-1").lease_ms(0);
    stage.run(&payment.clone().keys(&[1]), 1).await;
    let unknown = stage.claim(&payment.clone().keys(&[2]).claim(2)).await;
    assert_eq!(unknown, ClaimAnswer::FingerprintKeyUnknown);
    let rotated = stage.claim(&payment.clone().keys(&[2, 1]).claim(3)).await;
    assert!(matches!(rotated, ClaimAnswer::Recover { .. }), "{rotated:?}");
}

pub(crate) async fn a_reference_is_taken_once(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.run(&payment, 1).await;
    // Whether look-ups come first differs with what disturbs the store on the way.
    let taken = |answer: ClaimAnswer| match answer {
        ClaimAnswer::ReferenceTaken { same_caller, outcome, .. } => (same_caller, outcome),
        other => panic!("{other:?}"),
    };
    let second = charge("other", "order-1");
    assert_eq!(taken(stage.claim(&second.claim(2)).await), (true, None));
    let paid = outcome(Class::Succeeded, "chg_1", 1);
    let evidence = payment.evidence(1, 1, paid.clone());
    stage.store.complete(&evidence).await.unwrap();
    stage.disturb().await;
    assert_eq!(taken(stage.claim(&second.claim(2)).await), (true, Some(paid)));
    let foreign = Payment::new("shop/other", Operation::Renew, "key", Some("order-1"));
    assert_eq!(taken(stage.claim(&foreign.claim(2)).await), (false, None));
    assert_eq!(stage.record(&foreign).await, None);
}

pub(crate) async fn references_of_charges_and_refunds_are_apart(stage: Stage) {
    stage.run(&charge("key", "order-1"), 1).await;
    let refund = Payment::new("shop/checkout", Operation::Refund, "key", Some("order-1"));
    stage.run(&refund, 2).await;
    stage.run(&Payment::new("shop/checkout", Operation::Tokenize, "key", None), 3).await;
}

pub(crate) async fn one_of_many_at_once_runs(stage: Stage) {
    let payment = charge("key", "order-1");
    stage.disturb().await;
    let claims = (0..50).map(|by| {
        let (store, payment) = (stage.store.clone(), payment.clone());
        async move { store.claim(&payment.claim(by)).await.unwrap().answer }
    });
    let answers = futures_util::future::join_all(claims).await;
    let runs = answers.iter().filter(|answer| matches!(answer, ClaimAnswer::Run { .. })).count();
    let waits = answers.iter().filter(|answer| matches!(answer, ClaimAnswer::Busy { .. })).count();
    assert_eq!((runs, waits), (1, 49));
}

pub(crate) async fn one_of_two_keys_with_one_reference_runs(stage: Stage) {
    let (one, two) = (charge("one", "order-1").claim(1), charge("two", "order-1").claim(2));
    let (one, two) = tokio::join!(stage.claim(&one), stage.claim(&two));
    let run = |answer: &ClaimAnswer| matches!(answer, ClaimAnswer::Run { .. });
    let taken = |answer: &ClaimAnswer| matches!(answer, ClaimAnswer::ReferenceTaken { .. });
    assert!((run(&one) && taken(&two)) || (taken(&one) && run(&two)), "{one:?} {two:?}");
}
