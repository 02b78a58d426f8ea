use super::*;
use crate::simulator::core::{Action, Delivery, Fault, How, Outcome, Route, Tamper};

/// Charges reference `r` under a fault.
fn hit_by(action: Action) -> (Account, Delivery) {
    let mut account = Account::new();
    let token = account.token(GOOD_CARD);
    account.zentra.faults().inject(Fault::on(Route::CreateCharge, action));
    let body = charge("r", &token);
    let received =
        account.zentra.receive(account.now, request(Method::POST, "charges", Some(&body)));
    let delivery = account.zentra.act(account.now, received);
    (account, delivery)
}

fn response(delivery: Delivery) -> Response {
    let How::Whole(response) = delivery.how else { panic!("not whole: {delivery:?}") };
    response
}

fn status(status: u16, effect: bool) -> Action {
    Action::Status { status, effect, code: None, body: None, retry_after: None }
}

#[test]
fn a_status_comes_with_or_without_the_effect() {
    let (account, delivery) = hit_by(status(503, false));
    let answer = response(delivery);
    assert_eq!((answer.status, code(&answer.json())), (503, "service_unavailable"));
    assert!(account.ledger().charges.is_empty());
    assert_eq!(account.ledger().posts[1].outcome, Outcome::Dropped);
    assert_eq!(account.ledger().posts[1].faults, ["status"]);

    let (account, delivery) = hit_by(status(500, true));
    assert_eq!(response(delivery).status, 500);
    assert_eq!(account.ledger().charges.len(), 1);
}

#[test]
fn a_status_carries_the_given_body_and_retry_after() {
    let (_, delivery) = hit_by(Action::Status {
        status: 429,
        effect: false,
        code: None,
        body: Some("<p>later</p>".to_owned()),
        retry_after: Some("garbage".to_owned()),
    });
    let answer = response(delivery);
    assert_eq!(answer.headers["retry-after"], "garbage");
    assert_eq!(answer.headers["content-type"], "text/html");
    assert_eq!(answer.body, "<p>later</p>");
}

#[test]
fn a_reset_falls_before_or_after_the_effect() {
    let (account, delivery) = hit_by(Action::ResetBefore);
    assert!(matches!(delivery.how, How::Reset));
    assert!(account.ledger().charges.is_empty());
    let (account, delivery) = hit_by(Action::ResetAfter);
    assert!(matches!(delivery.how, How::Reset));
    assert_eq!(account.ledger().charges.len(), 1);
}

#[test]
fn a_late_effect_on_its_way_lands_even_beside_a_second_try() {
    let after = Duration::from_secs(30);
    let (mut account, delivery) =
        hit_by(Action::LateEffect { after, status: Some(504), lock: false });
    assert_eq!(response(delivery).status, 504);
    account.zentra.configure(SettingsChange {
        dedupe_by_key: Some(false),
        dedupe_by_reference: Some(false),
        ..Default::default()
    });
    account.pass(29);
    assert_eq!((account.ledger().charges.len(), account.ledger().late_effects), (0, 1));
    assert_eq!(account.ledger().posts[1].outcome, Outcome::Open);
    let token = account.ledger().tokens[0].id.clone();
    assert_eq!(account.post("charges", &charge("r", &token)).0, 201);
    account.pass(1);
    let ledger = account.ledger();
    assert_eq!((ledger.charges_of("r").len(), ledger.late_effects), (2, 0));
    assert!(matches!(ledger.posts[1].outcome, Outcome::Effect { .. }));
}

#[test]
fn a_late_effect_stuck_inside_keeps_its_key_in_use() {
    let after = Duration::from_secs(30);
    let (mut account, delivery) = hit_by(Action::LateEffect { after, status: None, lock: true });
    assert!(matches!(delivery.how, How::Lost(None)));
    let token = account.ledger().tokens[0].id.clone();
    let body = charge("r", &token);
    assert_eq!(code(&account.post("charges", &body).1), "idempotency_key_in_use");
    account.pass(30);
    assert_eq!(account.post("charges", &body).0, 200);
    assert_eq!(account.ledger().charges.len(), 1);
}

#[test]
fn an_answer_can_be_wrong_in_one_field_while_the_ledger_is_right() {
    for (tamper, field, wrong) in [
        (Tamper::Amount(None), "amount_minor", json!(1001)),
        (Tamper::Currency(Some("USD".to_owned())), "currency", json!("USD")),
        (Tamper::Reference(None), "reference", json!("r-other")),
    ] {
        let (account, delivery) = hit_by(Action::Wrong(tamper));
        assert_eq!(response(delivery).json()["data"][field], wrong);
        assert_eq!(account.ledger().charges_of("r")[0].amount_minor, 1000);
    }
}

#[test]
fn bodies_are_cut_off_or_not_json_or_huge_after_the_effect() {
    let (account, delivery) = hit_by(Action::Truncated { keep: Some(5) });
    assert!(matches!(delivery.how, How::Truncated(_, 5)));
    assert_eq!(account.ledger().charges.len(), 1);
    let (_, delivery) = hit_by(Action::NotJson { body: None });
    assert_eq!(response(delivery).headers["content-type"], "text/html");
    let (_, delivery) = hit_by(Action::Huge { bytes: u64::MAX });
    assert!(matches!(delivery.how, How::Huge(_, size) if size == 1 << 30));
}

#[test]
fn a_slow_card_takes_effect_at_once_and_answers_late() {
    let mut account = Account::new();
    let token = account.token("4000000000006975");
    let body = charge("r", &token);
    let received =
        account.zentra.receive(account.now, request(Method::POST, "charges", Some(&body)));
    assert_eq!(received.delay, Duration::ZERO);
    let delivery = account.zentra.act(account.now, received);
    assert_eq!(delivery.after, Duration::from_secs(3));
    assert_eq!(account.ledger().charges.len(), 1);
}
