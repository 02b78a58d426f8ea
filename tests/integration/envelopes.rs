//! Every form in which Zentra's documentation shows its answers, and what callers get of each.

use std::fmt::Debug;

use insta::assert_debug_snapshot;
use serde_json::{Value, json};

use crate::support::requests::{self, GOOD_CARD};
use crate::support::sidecar::{Client, Sidecar};
use crate::support::stub::{Reply, Stub};
use crate::support::told::refused;

/// One object in each envelope, both in `snake_case` and in `camelCase`.
fn each_envelope(data: &Value) -> Vec<Value> {
    let mut bodies = Vec::new();
    for data in [data.clone(), in_camel_case(data)] {
        let meta = json!({"timestamp": "2026-11-22T10:00:00Z", "requestId": "req_in_body"});
        bodies.push(json!({"success": true, "data": data}));
        bodies.push(json!({"status": "success", "data": data}));
        bodies.push(json!({"data": data, "meta": meta}));
    }
    bodies
}

/// One page, of two that there are, in each envelope and with each kind of pagination.
fn each_page(item: &Value) -> Vec<Value> {
    let items = json!([item]);
    let meta = json!({"timestamp": "2026-11-22T10:00:00Z", "requestId": "req_in_body"});
    let a = json!({"page": 1, "limit": 1, "total": 2, "pages": 2, "has_more": true});
    let b = json!({"page": 1, "limit": 1, "total": 2, "totalPages": 2});
    let c = json!({"page": 1, "limit": 1, "total": 2, "pages": 2, "hasMore": true});
    let camel = json!([in_camel_case(item)]);
    vec![
        json!({"success": true, "data": items, "pagination": a}),
        json!({"status": "success", "data": items, "pagination": b}),
        json!({"data": {"items": camel, "pagination": c}, "meta": meta}),
        json!({"success": true, "data": items, "pagination": {"offset": 0, "limit": 1, "total": 2}}),
        json!({"success": true, "data": items}),
        json!({"success": true, "data": items, "pagination": null}),
    ]
}

fn in_camel_case(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let camel = |name: &String| {
                let mut words = name.split('_');
                let first = words.next().unwrap().to_owned();
                words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
            };
            Value::Object(fields.iter().map(|it| (camel(it.0), in_camel_case(it.1))).collect())
        }
        other => other.clone(),
    }
}

/// Gives each of the bodies to the call; all answers must be the same but for the request's id.
async fn all_the_same<T, F>(bodies: Vec<Value>, call: impl Fn(Client) -> F) -> T
where
    T: Debug,
    F: Future<Output = T>,
{
    let mut first: Option<T> = None;
    for body in bodies {
        let reply = Reply::json(200, &body).header("x-request-id", "req_in_header");
        let stub = Stub::always(reply).await;
        let sidecar = Sidecar::start(&stub.url, &[]).await;
        let answer = call(sidecar.client()).await;
        let shown = |answer: &T| format!("{answer:?}").replace("req_in_body", "req_in_header");
        match &first {
            Some(first) => assert_eq!(shown(&answer), shown(first), "{body}"),
            None => first = Some(answer),
        }
    }
    first.unwrap()
}

fn charge() -> Value {
    json!({
        "id": "chg_1", "reference": "order-1", "status": "successful", "amount_minor": 50_000,
        "currency": "NGN", "customer_id": "cus_1", "payment_token_id": "tok_1",
        "capture_mode": "customer_action_required", "created_at": "2026-11-22T10:00:00.25Z",
        "something_new": {"that_nobody": "knows"},
    })
}

fn refund() -> Value {
    json!({
        "id": "rfd_1", "reference": "refund-1", "charge_reference": "order-1", "status": "pending",
        "amount_minor": 20_000, "currency": "NGN", "reason": "zweimal gebucht (№ 7)",
        "created_at": "2026-11-22T10:00:00Z",
    })
}

fn card_token() -> Value {
    json!({
        "id": "tok_1", "customer_id": "cus_1", "type": "card", "status": "active",
        "brand": "visa", "last4": "4242", "expiry_month": 12, "expiry_year": 2030,
        "created_at": "2026-11-22T10:00:00Z",
    })
}

#[tokio::test]
async fn charge_in_each_form() {
    let answer = all_the_same(each_envelope(&charge()), |mut client| async move {
        client.charge(requests::charge("order-1")).await.unwrap().into_inner()
    });
    assert_debug_snapshot!(answer.await);
}

#[tokio::test]
async fn renew_in_each_form() {
    let mut renewal = charge();
    renewal["capture_mode"] = json!("merchant_initiated");
    let answer = all_the_same(each_envelope(&renewal), |mut client| async move {
        client.renew(requests::renew("order-1")).await.unwrap().into_inner()
    });
    assert_debug_snapshot!(answer.await);
}

#[tokio::test]
async fn verify_in_each_form() {
    let answer = all_the_same(each_envelope(&charge()), |mut client| async move {
        client.verify(requests::verify("order-1")).await.unwrap().into_inner()
    });
    assert_debug_snapshot!(answer.await);
}

#[tokio::test]
async fn get_charge_in_each_form() {
    let mut failed = charge();
    failed["status"] = json!("failed");
    failed["gateway_response"] = json!("DO_NOT_HONOR");
    let answer = all_the_same(each_envelope(&failed), |mut client| async move {
        client.get_charge(requests::get_charge("order-1")).await.unwrap().into_inner()
    });
    assert_debug_snapshot!(answer.await);
}

#[tokio::test]
async fn a_charge_that_waits_for_its_customer_in_each_form() {
    let address = "https://pay.example/3ds?x=1";
    for action in [
        ("next_action", json!({"redirect_url": address})),
        ("next_action", json!({"authorization_url": address})),
        ("next_action", json!(address)),
        ("authorization_url", json!(address)),
        ("redirect_url", json!(address)),
    ] {
        let mut waiting = charge();
        waiting["status"] = json!("requires_action");
        waiting[action.0] = action.1;
        let answer = all_the_same(each_envelope(&waiting), |mut client| async move {
            client.charge(requests::charge("order-1")).await.unwrap().into_inner()
        });
        let charge = answer.await.charge.unwrap();
        assert_eq!(charge.status().as_str_name(), "CHARGE_STATUS_REQUIRES_ACTION");
        assert_eq!(charge.next_action.unwrap().redirect_url, address);
    }
}

#[tokio::test]
async fn refund_in_each_form() {
    // The charge is read first: a Zentra that knows both by the same body.
    let mut both = refund();
    both["status"] = json!("successful");
    both["reference"] = json!("order-1");
    let answer = all_the_same(each_envelope(&both), |mut client| async move {
        let request = requests::refund("refund-1", "order-1", Some(20_000));
        client.refund(request).await.unwrap().into_inner()
    });
    assert_debug_snapshot!(answer.await);
}

#[tokio::test]
async fn get_refund_in_each_form() {
    let answer = all_the_same(each_envelope(&refund()), |mut client| async move {
        client.get_refund(requests::get_refund("refund-1")).await.unwrap().into_inner()
    });
    assert_debug_snapshot!(answer.await);
}

#[tokio::test]
async fn tokenize_a_card_in_each_form() {
    let mut nested = card_token();
    let fields = nested.as_object_mut().unwrap();
    let names = ["brand", "last4", "expiry_month", "expiry_year"];
    let card = names.map(|name| (name.to_owned(), fields.remove(name).unwrap()));
    fields.insert("card".into(), Value::Object(card.into_iter().collect()));
    let id = fields.remove("id").unwrap();
    fields.insert("payment_token_id".into(), id);
    let bodies = [each_envelope(&card_token()), each_envelope(&nested)].concat();
    let answer = all_the_same(bodies, |mut client| async move {
        client.tokenize(requests::card(GOOD_CARD)).await.unwrap().into_inner()
    });
    assert_debug_snapshot!(answer.await);
}

#[tokio::test]
async fn tokenize_a_bank_account_in_each_form() {
    let account = json!({"bank_code": "058", "last4": "6789"});
    let token = json!({"id": "tok_2", "customer_id": "cus_1", "status": "active"});
    let mut bodies = Vec::new();
    for (name, value) in [("bank_account", account.clone()), ("bank", account.clone())] {
        let mut token = token.clone();
        token[name] = value;
        bodies.extend(each_envelope(&token));
    }
    let mut flat = token;
    flat["type"] = json!("bank_account");
    flat.as_object_mut().unwrap().extend(account.as_object().unwrap().clone());
    bodies.extend(each_envelope(&flat));
    let answer = all_the_same(bodies, |mut client| async move {
        client.tokenize(requests::bank_account("0123456789")).await.unwrap().into_inner()
    });
    assert_debug_snapshot!(answer.await);
}

#[tokio::test]
async fn list_charges_in_each_form() {
    let answer = all_the_same(each_page(&charge()), |mut client| async move {
        client.list_charges(requests::list_charges(1, "")).await.unwrap().into_inner()
    });
    assert_debug_snapshot!(answer.await);
}

#[tokio::test]
async fn list_tokens_in_each_form() {
    let answer = all_the_same(each_page(&card_token()), |mut client| async move {
        client.list_tokens(requests::list_tokens(1, "")).await.unwrap().into_inner()
    });
    assert_debug_snapshot!(answer.await);
}

#[tokio::test]
async fn the_last_page_has_no_next_in_each_form() {
    let last = |pagination: Value| json!({"data": [charge()], "pagination": pagination});
    for body in [
        last(json!({"page": 1, "limit": 1, "total": 1, "pages": 1, "has_more": false})),
        last(json!({"page": 1, "limit": 1, "total": 1, "totalPages": 1})),
        last(json!({"offset": 0, "limit": 1, "total": 1})),
        json!({"data": {"items": [charge()], "pagination": {"hasMore": false}}}),
    ] {
        let stub = Stub::always(Reply::json(200, &body)).await;
        let sidecar = Sidecar::start(&stub.url, &[]).await;
        let request = requests::list_charges(1, "");
        let page = sidecar.client().list_charges(request).await.unwrap().into_inner();
        assert_eq!((page.charges.len(), &*page.next_page_token), (1, ""), "{body}");
    }
}

#[tokio::test]
async fn an_error_in_each_form() {
    for error in [
        json!({"success": false, "error": {"code": "validation_error", "message": "m",
            "field": "amount_minor", "status": 422, "details": null}}),
        // The member `success` may be missing.
        json!({"error": {"code": "validation_error", "message": "m"}}),
        json!({"error": {"code": "VALIDATION_ERROR", "message": "m", "details": {}},
            "meta": {"path": "/x", "method": "POST", "requestId": "req_1"}}),
        json!({"status": "error", "error": {"code": "validation_error", "message": "m"}}),
    ] {
        let reply = Reply::json(422, &error).header("x-request-id", "req_1");
        let stub = Stub::always(reply).await;
        let sidecar = Sidecar::start(&stub.url, &[]).await;
        let told = refused(sidecar.client().get_charge(requests::get_charge("order-1")).await);
        let expected = "InvalidArgument UPSTREAM_REJECTED provider_code=validation_error \
                        provider_request_id=req_1 reference=order-1; never again";
        assert_eq!(told, expected, "{error}");
    }
}

#[tokio::test]
async fn a_status_word_is_kept_as_it_came_whatever_it_means() {
    for (word, status) in [
        ("pending", "PENDING"),
        ("awaiting_provider", "PENDING"),
        ("customer_action_required", "REQUIRES_ACTION"),
        ("settled", "SUCCEEDED"),
        ("declined", "FAILED"),
        ("expired", "FAILED"),
        ("canceled", "CANCELLED"),
        ("partially_refunded", "PARTIALLY_REFUNDED"),
        ("refunded", "REFUNDED"),
        ("chargeback", "DISPUTED"),
        ("reversed", "REVERSED"),
        ("paid", "UNRECOGNIZED"),
        ("SUCCESSFUL", "UNRECOGNIZED"),
        ("on hold (№ 7)", "UNRECOGNIZED"),
    ] {
        let mut charge = charge();
        charge["status"] = json!(word);
        let stub = Stub::always(Reply::json(200, &json!({"data": charge}))).await;
        let sidecar = Sidecar::start(&stub.url, &[]).await;
        let answer = sidecar.client().charge(requests::charge("order-1")).await.unwrap();
        let charge = answer.into_inner().charge.unwrap();
        assert_eq!(charge.status().as_str_name(), format!("CHARGE_STATUS_{status}"), "{word}");
        assert_eq!(charge.provider_status, word);
    }
}

#[tokio::test]
async fn times_before_1970_are_valid_timestamps() {
    let mut charge = charge();
    charge["created_at"] = json!("1969-12-31T23:59:59.5Z");
    let stub = Stub::always(Reply::json(200, &json!({"data": charge}))).await;
    let sidecar = Sidecar::start(&stub.url, &[]).await;
    let answer = sidecar.client().get_charge(requests::get_charge("order-1")).await.unwrap();
    let time = answer.into_inner().charge.unwrap().create_time.unwrap();
    assert_eq!((time.seconds, time.nanos), (-1, 500_000_000));
}
