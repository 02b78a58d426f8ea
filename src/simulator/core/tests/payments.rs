use super::*;
use crate::simulator::core::{DeclineForm, status};

#[test]
fn a_renewal_is_refused_before_the_verify_and_goes_through_after_it() {
    let mut account = Account::new();
    let token = account.token(GOOD_CARD);
    assert_eq!(account.post("charges", &charge("setup", &token)).0, 201);

    let (refused, body) = account.post("charges", &renewal("month-1", &token));
    assert_eq!((refused, code(&body)), (409, "token_not_ready"));

    let (verified, body) = account.post("charges/setup/verify", &json!({}));
    assert_eq!((verified, body["data"]["status"].as_str()), (200, Some("successful")));
    let (renewed, body) = account.post("charges", &renewal("month-1", &token));
    assert_eq!((renewed, body["data"]["status"].as_str()), (201, Some("successful")));

    let ledger = account.ledger();
    assert_eq!(ledger.charges.len(), 2);
    assert_eq!(ledger.tokens[0].bound_by.as_ref(), Some(&ledger.charges[0].id));
}

#[test]
fn a_verified_renewal_or_decline_binds_nothing() {
    let mut account = Account::new();
    let token = account.token("4000000000000002");
    account.post("charges", &charge("setup", &token));
    let (status, body) = account.post("charges/setup/verify", &json!({}));
    assert_eq!((status, body["data"]["status"].as_str()), (200, Some("failed")));
    assert_eq!(account.post("charges", &renewal("r", &token)).0, 409);
}

#[test]
fn each_magic_card_behaves_as_documented() {
    let mut account = Account::new();
    let mut charge_on = |number: &str| {
        let token = account.token(number);
        account.post("charges", &charge(&format!("r{number}"), &token)).1["data"].clone()
    };
    assert_eq!(charge_on(GOOD_CARD)["status"], status::SUCCESSFUL);
    for (number, failure) in [
        ("4000000000000002", "card_declined"),
        ("4000000000009995", "insufficient_funds"),
        ("4000000000000069", "expired_card"),
    ] {
        let charge = charge_on(number);
        assert_eq!(
            (&charge["status"], &charge["failure_code"]),
            (&json!("failed"), &json!(failure))
        );
    }
    assert_eq!(charge_on("4000002500003155")["status"], status::REQUIRES_ACTION);
    assert_eq!(charge_on("4000000000000077")["status"], status::PENDING);
    assert_eq!(charge_on("4000000000006975")["status"], status::SUCCESSFUL);
    assert_eq!(charge_on("4000000000000341")["status"], status::SUCCESSFUL);
}

#[test]
fn a_bank_account_is_declined_by_its_magic_number() {
    let mut account = Account::new();
    let body = json!({
        "customer_id": "cus_1",
        "bank_account": {"account_number": "0000000002", "bank_code": "058"},
    });
    let (made, token) = account.post("tokens/bank-account", &body);
    assert_eq!((made, &token["data"]["bank_account"]["last4"]), (201, &json!("0002")));
    let token = token["data"]["id"].as_str().unwrap();
    let (_, body) = account.post("charges", &charge("r", token));
    assert_eq!(body["data"]["failure_code"], "do_not_honor");
}

#[test]
fn a_pending_charge_settles_two_seconds_later_and_says_so() {
    let mut account = Account::new();
    let token = account.token("4000000000000077");
    account.post("charges", &charge("r", &token));
    account.pass(1);
    assert_eq!(account.get("charges/r").1["data"]["status"], "pending");
    account.pass(1);
    assert_eq!(account.get("charges/r").1["data"]["status"], "successful");
    let kinds: Vec<_> = account.ledger().events.into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["charge.pending", "charge.successful"]);
}

#[test]
fn the_customer_completes_or_fails_what_waits_for_him() {
    let mut account = Account::new();
    let token = account.token("4000002500003155");
    for (reference, completes, status) in [("a", true, "successful"), ("b", false, "failed")] {
        let (_, body) = account.post("charges", &charge(reference, &token));
        let id = body["data"]["id"].as_str().unwrap();
        assert!(body["data"]["redirect_url"].as_str().unwrap().ends_with(id));
        assert!(account.zentra.customer_acts(account.now, id, completes));
        let (_, body) = account.get(&format!("charges/{reference}"));
        assert_eq!(body["data"]["status"], status);
        assert_eq!(body["data"]["redirect_url"], Value::Null);
        assert!(!account.zentra.customer_acts(account.now, id, completes));
    }
}

#[test]
fn a_decline_as_an_error_keeps_no_charge() {
    let change = SettingsChange { declines: Some(DeclineForm::Error), ..Default::default() };
    let mut account = Account::with(change);
    let token = account.token("4000000000009995");
    let (status, body) = account.post("charges", &charge("r", &token));
    assert_eq!((status, code(&body)), (422, "insufficient_funds"));
    assert_eq!(account.get("charges/r").0, 404);
    assert!(account.ledger().charges.is_empty());
}

#[test]
fn a_token_is_unknown_or_belongs_to_its_customer() {
    let mut account = Account::new();
    let (status, body) = account.post("charges", &charge("r", "tok_none"));
    assert_eq!((status, code(&body)), (404, "not_found"));
    let token = account.token(GOOD_CARD);
    let mut foreign = charge("r", &token);
    foreign["customer_id"] = json!("cus_2");
    let (status, body) = account.post("charges", &foreign);
    assert_eq!((status, code(&body)), (422, "validation_error"));
    assert_eq!(body["error"]["field"], "payment_token_id");
}

#[test]
fn lists_are_paged_newest_first() {
    let mut account = Account::new();
    let token = account.token(GOOD_CARD);
    for number in 0..5 {
        account.post("charges", &charge(&format!("r{number}"), &token));
    }
    let (_, body) = account.get("charges?page=2&limit=2");
    let references: Vec<_> =
        body["data"].as_array().unwrap().iter().map(|charge| &charge["reference"]).collect();
    assert_eq!(references, ["r2", "r1"]);
    let expected = json!({"page": 2, "limit": 2, "total": 5, "pages": 3, "has_more": true});
    assert_eq!(body["pagination"], expected);

    let (_, body) = account.get("customers/cus_1/tokens");
    assert_eq!(body["data"][0]["card"]["last4"], "4242");
    assert_eq!(account.get("customers/cus_9/tokens").1["data"], json!([]));
}

#[test]
fn nothing_of_a_card_number_or_cvv_is_kept() {
    let mut account = Account::new();
    let token = account.token(GOOD_CARD);
    account.post("charges", &charge("r", &token));
    let kept = format!("{:?}{}", account.zentra, json!(account.ledger()));
    assert!(!kept.contains(GOOD_CARD));
    assert!(!kept.contains("\"123\""));
}

#[test]
fn any_status_word_can_be_set_by_hand() {
    let mut account = Account::new();
    let token = account.token(GOOD_CARD);
    account.post("charges", &charge("r", &token));
    let settled = account.zentra.settle(account.now, "r", "on_the_moon", None);
    assert_eq!(settled.unwrap().status, "on_the_moon");
    assert_eq!(account.ledger().events.last().unwrap().kind, "charge.on_the_moon");
}
