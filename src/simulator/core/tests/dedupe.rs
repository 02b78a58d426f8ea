use super::*;
use crate::simulator::core::Outcome;

fn account_and_charge() -> (Account, Value) {
    let mut account = Account::new();
    let token = account.token(GOOD_CARD);
    (account, charge("r", &token))
}

#[test]
fn the_same_key_and_body_give_the_first_charge_in_its_present_state() {
    let (mut account, body) = account_and_charge();
    let (_, first) = account.post("charges", &body);
    account.post("refunds", &refund("k", "r", Some(300)));
    let (status, again) = account.post("charges", &body);
    assert_eq!((status, &again["data"]["id"]), (200, &first["data"]["id"]));
    assert_eq!(again["data"]["status"], "partially_refunded");
    let ledger = account.ledger();
    assert_eq!(ledger.charges.len(), 1);
    assert!(matches!(ledger.posts[3].outcome, Outcome::Replay { .. }));
}

#[test]
fn the_same_key_with_another_body_is_a_mismatch() {
    let (mut account, mut body) = account_and_charge();
    account.post("charges", &body);
    body["amount_minor"] = json!(1001);
    let (status, body) = account.post("charges", &body);
    assert_eq!((status, code(&body)), (409, "idempotency_key_mismatch"));
}

#[test]
fn a_key_is_in_use_while_its_first_request_runs() {
    let (mut account, body) = account_and_charge();
    let first = request(Method::POST, "charges", Some(&body));
    let received = account.zentra.receive(account.now, first);
    let (status, answer) = account.post("charges", &body);
    assert_eq!((status, code(&answer)), (409, "idempotency_key_in_use"));
    account.zentra.act(account.now, received);
    assert_eq!(account.post("charges", &body).0, 200);
}

#[test]
fn two_keys_with_one_reference_at_once_make_one_charge() {
    let (mut account, body) = account_and_charge();
    let mut other = body.clone();
    other["idempotency_key"] = json!("other");
    let both = [body, other].map(|body| {
        let request = request(Method::POST, "charges", Some(&body));
        account.zentra.receive(account.now, request)
    });
    for received in both {
        account.zentra.act(account.now, received);
    }
    assert_eq!(account.ledger().charges.len(), 1);
    let refused = Outcome::Refused { code: "duplicate_reference".to_owned() };
    assert_eq!(account.ledger().posts[2].outcome, refused);
}

#[test]
fn a_refused_request_is_not_remembered() {
    let (mut account, body) = account_and_charge();
    let mut wrong = body.clone();
    wrong["payment_token_id"] = json!("tok_none");
    assert_eq!(account.post("charges", &wrong).0, 404);
    assert_eq!(account.post("charges", &body).0, 201);
}

#[test]
fn a_key_is_forgotten_after_its_retention_and_the_reference_is_not() {
    let (mut account, body) = account_and_charge();
    account.post("charges", &body);
    account.pass(24 * 3600);
    let (status, body) = account.post("charges", &body);
    assert_eq!((status, code(&body)), (409, "duplicate_reference"));
}

#[test]
fn with_both_dedupes_off_every_post_is_a_charge() {
    let (mut account, body) = account_and_charge();
    account.zentra.configure(SettingsChange {
        dedupe_by_key: Some(false),
        dedupe_by_reference: Some(false),
        ..Default::default()
    });
    let first = account.post("charges", &body).1["data"]["id"].clone();
    assert_eq!(account.post("charges", &body).0, 201);
    assert_eq!(account.ledger().charges_of("r").len(), 2);
    assert_eq!(account.get("charges/r").1["data"]["id"], first);
}

#[test]
fn tokens_are_deduped_by_key_and_tell_cards_apart() {
    let mut account = Account::new();
    let mut body = card(GOOD_CARD);
    body["idempotency_key"] = json!("k");
    let (_, first) = account.post("tokens/card", &body);
    body["card"]["cvv"] = json!("999");
    assert_eq!(account.post("tokens/card", &body).1["data"]["id"], first["data"]["id"]);
    body["card"]["number"] = json!("4000000000000002");
    assert_eq!(code(&account.post("tokens/card", &body).1), "idempotency_key_mismatch");
    assert_eq!(account.ledger().tokens.len(), 1);
}
