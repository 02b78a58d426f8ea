//! What the audit log says of writes that were refused: by whom, what was asked, and who decided.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::Request;
use zentra_sidecar::simulator::{Action, Fault, Route};

use super::audit::{line_of, rig};
use crate::support::requests::{self, GOOD_CARD};

#[tokio::test]
async fn what_was_refused_at_the_door_says_what_was_asked_for() {
    let (_simulator, sidecar, lines) = rig(&["--card-data=refuse"]).await;
    let mut client = sidecar.client();
    client.tokenize(requests::card(GOOD_CARD)).await.unwrap_err();
    let mut hasty = Request::new(requests::charge("too-hasty"));
    // As a header alone, so that the sidecar's answer comes and not the client's own.
    hasty.metadata_mut().insert("grpc-timeout", "1m".parse().unwrap());
    hasty.set_timeout(Duration::from_millis(1));
    let _ = client.charge(hasty).await;
    let mut wrong = requests::refund("wrong", "order-1", Some(100));
    wrong.actor = "jo@support".to_owned();
    wrong.reason = "it broke".to_owned();
    wrong.idempotency_key = "not a key".to_owned();
    client.refund(wrong).await.unwrap_err();
    let lines = lines.all();
    let [tokenize, charge, refund] = &lines[..] else { panic!("{lines:#?}") };
    let all = |line: &Value, wanted: &[(&str, Value)]| {
        for (field, value) in wanted {
            assert_eq!(&line[*field], value, "{field}: {line:#}");
        }
    };
    all(
        tokenize,
        &[
            ("reason", json!("CARD_DATA_REFUSED")),
            ("customer_id", json!("cus_1")),
            ("actor", json!("jo@shop")),
        ],
    );
    all(
        charge,
        &[
            ("reason", json!("DEADLINE_TOO_SHORT")),
            ("reference", json!("too-hasty")),
            ("actor", json!("jo@shop")),
            ("amount_minor", json!(50_000)),
            ("currency", json!("NGN")),
            ("customer_id", json!("cus_1")),
            ("payment_token_id", json!("tok_1")),
        ],
    );
    all(
        refund,
        &[
            ("reason", json!("INVALID_REQUEST")),
            ("reference", json!("wrong")),
            ("charge_reference", json!("order-1")),
            ("actor", json!("jo@support")),
            ("refund_reason", json!("it broke")),
            ("amount_minor", json!(100)),
        ],
    );
}

/// What has a fault may be anything, and is not told.
#[tokio::test]
async fn a_field_with_a_fault_is_left_out() {
    let (_simulator, sidecar, lines) = rig(&[]).await;
    let mut charge = requests::charge(GOOD_CARD);
    charge.actor = GOOD_CARD.to_owned();
    charge.customer_id = "..".to_owned();
    sidecar.client().charge(charge).await.unwrap_err();
    let lines = lines.all();
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert!(!line.to_string().contains(GOOD_CARD), "{line}");
    for field in ["reference", "actor", "customer_id"] {
        assert_eq!(line[field], Value::Null, "{line:#}");
    }
    assert_eq!(line["amount_minor"], json!(50_000));
}

#[tokio::test]
async fn the_decision_is_what_was_decided_and_not_what_the_reason_is_called() {
    let (simulator, sidecar, lines) = rig(&[]).await;
    let mut client = sidecar.client();
    let token = client.tokenize(requests::card(GOOD_CARD)).await.unwrap().into_inner();
    let payment_token_id = token.token.unwrap().id;
    let mut charge = requests::charge("order-1");
    charge.payment_token_id = payment_token_id;
    client.charge(charge.clone()).await.unwrap();
    // By the sidecar: there is no such charge, or not so much of it.
    client.refund(requests::refund("no-charge", "nowhere", Some(1))).await.unwrap_err();
    client.refund(requests::refund("too-much", "order-1", Some(50_001))).await.unwrap_err();
    simulator.inject(Fault::on(Route::GetCharge, Action::ResetBefore).times(0));
    client.refund(requests::refund("unread", "order-2", Some(1))).await.unwrap_err();
    simulator.clear_faults();
    // By Zentra, after the sidecar had let it through.
    charge.reference = "no-token".to_owned();
    charge.idempotency_key = "key-no-token".to_owned();
    charge.payment_token_id = "tok_nowhere".to_owned();
    client.charge(charge).await.unwrap_err();
    let lines = lines.all();
    let told = ["no-charge", "too-much", "unread", "no-token"].map(|reference| {
        let line = line_of(&lines, reference);
        ["decision", "reason"].map(|field| line[field].as_str().unwrap())
    });
    let wanted = [
        ["refused", "UPSTREAM_NOT_FOUND"],
        ["refused", "REFUND_EXCEEDS_CHARGE"],
        ["refused", "UPSTREAM_UNAVAILABLE"],
        ["allowed", "UPSTREAM_NOT_FOUND"],
    ];
    assert_eq!(told, wanted);
}
