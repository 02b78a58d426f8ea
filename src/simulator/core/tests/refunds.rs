use super::*;
use crate::simulator::core::RefundReference;

fn paid() -> Account {
    let mut account = Account::new();
    let token = account.token(GOOD_CARD);
    account.post("charges", &charge("r", &token));
    account
}

#[test]
fn refunds_may_be_partial_and_repeated_but_never_beyond_the_charge() {
    let mut account = paid();
    assert_eq!(account.post("refunds", &refund("a", "r", Some(400))).0, 201);
    assert_eq!(account.get("charges/r").1["data"]["status"], "partially_refunded");

    let (status, body) = account.post("refunds", &refund("b", "r", Some(601)));
    assert_eq!((status, code(&body)), (422, "validation_error"));
    assert_eq!(body["error"]["details"], json!({"remaining_minor": 600}));

    let (status, body) = account.post("refunds", &refund("b", "r", None));
    assert_eq!((status, &body["data"]["amount_minor"]), (201, &json!(600)));
    assert_eq!(account.get("charges/r").1["data"]["status"], "refunded");
    assert_eq!(account.post("refunds", &refund("c", "r", None)).0, 422);

    let given: i64 = account.ledger().refunds_of("r").iter().map(|r| r.amount_minor).sum();
    assert_eq!(given, 1000);
}

/// What a sidecar keeps by itself can only be seen where Zentra would take more.
#[test]
fn without_the_check_amounts_go_beyond_the_charge_and_all_that_is_left_does_not() {
    let mut account = paid();
    let check_refunds = Some(false);
    account.zentra.configure(SettingsChange { check_refunds, ..Default::default() });
    account.post("refunds", &refund("a", "r", Some(900)));
    let (status, body) = account.post("refunds", &refund("b", "r", None));
    assert_eq!((status, &body["data"]["amount_minor"]), (201, &json!(100)));
    let (status, body) = account.post("refunds", &refund("c", "r", None));
    assert_eq!((status, code(&body)), (422, "validation_error"));
    assert_eq!(account.post("refunds", &refund("d", "r", Some(700))).0, 201);
    assert_eq!(account.post("refunds", &refund("e", "r", None)).0, 422);
    assert_eq!(account.get("charges/r").1["data"]["status"], "refunded");

    let given: i64 = account.ledger().refunds_of("r").iter().map(|r| r.amount_minor).sum();
    assert_eq!(given, 1700);
}

#[test]
fn only_a_paid_charge_can_be_refunded() {
    let mut account = Account::new();
    let token = account.token("4000000000000077");
    account.post("charges", &charge("r", &token));
    let (status, body) = account.post("refunds", &refund("a", "r", None));
    assert_eq!((status, &body["error"]["details"]["status"]), (422, &json!("pending")));
    assert_eq!(account.post("refunds", &refund("a", "none", None)).0, 404);
}

#[test]
fn a_refund_is_found_by_the_callers_reference_or_by_its_own() {
    let mut account = paid();
    account.post("refunds", &refund("a", "r", Some(1)));
    assert_eq!(account.get("refunds/a-ref").1["data"]["amount_minor"], 1);

    account.zentra.configure(SettingsChange {
        refund_reference: Some(RefundReference::Own),
        ..Default::default()
    });
    let (_, body) = account.post("refunds", &refund("b", "r", Some(2)));
    let own = body["data"]["reference"].as_str().unwrap();
    assert!(own.starts_with("ref_"));
    assert_eq!(account.get(&format!("refunds/{own}")).1["data"]["amount_minor"], 2);
    assert_eq!(account.get("refunds/b-ref").0, 404);
}

#[test]
fn the_same_refund_key_gives_back_once() {
    let mut account = paid();
    let body = refund("a", "r", Some(400));
    account.post("refunds", &body);
    assert_eq!(account.post("refunds", &body).0, 200);
    assert_eq!(account.ledger().refunds.len(), 1);
    let mut other = refund("b", "r", Some(1));
    other["reference"] = json!("a-ref");
    assert_eq!(code(&account.post("refunds", &other).1), "duplicate_reference");
}
