use super::*;
use crate::simulator::core::EnvelopeForm;

fn with_key(header: Option<&str>) -> (u16, String) {
    let mut account = Account::with(SettingsChange {
        expired_keys: Some(vec!["sk_simulated_old".to_owned()]),
        ..Default::default()
    });
    let mut request = request(Method::GET, "charges", None);
    request.headers.remove("authorization");
    if let Some(header) = header {
        request.headers.insert("authorization", header.parse().unwrap());
    }
    let response = account.respond(&request);
    (response.status, code(&response.json()).to_owned())
}

#[test]
fn each_wrong_key_has_its_own_answer() {
    for (header, expected) in [
        (None, "unauthorized"),
        (Some("Basic abc"), "unauthorized"),
        (Some("Bearer pk_simulated_0"), "invalid_api_key"),
        (Some("Bearer sk_simulated_wrong"), "invalid_api_key"),
        (Some("Bearer sk_sandbox_1"), "wrong_environment"),
        (Some("Bearer sk_live_1"), "wrong_environment"),
        (Some("Bearer sk_simulated_old"), "expired_api_key"),
    ] {
        assert_eq!(with_key(header), (401, expected.to_owned()));
    }
    assert_eq!(with_key(Some(&format!("Bearer {DEFAULT_KEY}"))).0, 200);
}

#[test]
fn keys_can_be_rotated() {
    let keys = vec!["sk_simulated_new".to_owned(), DEFAULT_KEY.to_owned()];
    let mut account =
        Account::with(SettingsChange { secret_keys: Some(keys), ..Default::default() });
    assert_eq!(account.get("charges").0, 200);
    let keys = Some(vec!["sk_simulated_new".to_owned()]);
    account.zentra.configure(SettingsChange { secret_keys: keys, ..Default::default() });
    assert_eq!(account.get("charges").0, 401);
}

#[test]
fn beyond_the_rate_limit_a_request_has_no_effect_and_is_told_to_wait() {
    let mut account = Account::new();
    let token = account.token(GOOD_CARD);
    account.pass(60);
    account.zentra.configure(SettingsChange { requests_per_minute: Some(1), ..Default::default() });
    account.get("charges");
    let body = charge("r", &token);
    let refused = account.respond(&request(Method::POST, "charges", Some(&body)));
    assert_eq!((refused.status, code(&refused.json())), (429, "rate_limit_exceeded"));
    assert_eq!(refused.headers["retry-after"], "60");
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
    assert_eq!(refused.json()["error"]["details"]["retry_after"], 60);
    account.pass(60);
    assert_eq!(account.post("charges", &body).0, 201);
}

#[test]
fn every_answer_has_a_request_id_which_the_ledger_knows() {
    let change = SettingsChange { envelope: Some(EnvelopeForm::C), ..Default::default() };
    let mut account = Account::with(change);
    let response = account.respond(&request(Method::GET, "charges/none", None));
    assert_eq!(code(&response.json()), "NOT_FOUND");
    let id = response.headers["x-request-id"].to_str().unwrap();
    assert!(id.starts_with("req_"));
    assert_eq!(response.json()["meta"]["requestId"], id);
    assert_eq!(account.ledger().reads[0].request_id, id);
}

#[test]
fn a_path_that_is_no_route_is_not_found() {
    let mut account = Account::new();
    assert_eq!(account.get("charges/a/b").0, 404);
    assert_eq!(account.post("charges/a", &json!({})).0, 404);
}

#[test]
fn the_ledger_shows_what_a_request_told_about_its_trace() {
    let mut account = Account::new();
    let mut read = request(Method::GET, "charges/r", None);
    read.headers.insert("traceparent", "00-1-2-01".parse().unwrap());
    read.headers.insert("x-attempt", "2".parse().unwrap());
    account.respond(&read);
    let seen = &account.ledger().reads[0];
    assert_eq!(seen.traceparent.as_deref(), Some("00-1-2-01"));
    assert_eq!(seen.attempt.as_deref(), Some("2"));
    assert_eq!(seen.reference.as_deref(), Some("r"));
}

#[test]
fn the_same_requests_give_the_same_ledger() {
    let run = || {
        let mut account = Account::new();
        let token = account.token(GOOD_CARD);
        account.post("charges", &charge("r", &token));
        account.post("refunds", &refund("k", "r", None));
        json!(account.ledger())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_reset_forgets_everything_but_never_repeats_an_id() {
    let mut account = Account::new();
    let before = account.token(GOOD_CARD);
    account.zentra.reset();
    assert!(account.ledger().tokens.is_empty());
    assert!(account.ledger().posts.is_empty());
    assert_ne!(account.token(GOOD_CARD), before);
}
