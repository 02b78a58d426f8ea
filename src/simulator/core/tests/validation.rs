use super::*;

/// Field and code of every fault of a refused body.
fn faults(path: &str, body: &Value) -> Vec<(String, String)> {
    let (status, answer) = Account::new().post(path, body);
    assert_eq!(status, 422, "{answer}");
    let errors = answer["error"]["details"]["errors"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    errors.iter().map(|error| (text(&error["field"]), text(&error["code"]))).collect()
}

fn one(field: &str, code: &str) -> Vec<(String, String)> {
    vec![(field.to_owned(), code.to_owned())]
}

fn charge_with(field: &str, value: Value) -> Value {
    let mut body = charge("r", "tok_1");
    body[field] = value;
    body
}

#[test]
fn all_missing_fields_are_named() {
    let fields: Vec<_> =
        faults("charges", &json!({})).into_iter().map(|(field, _)| field).collect();
    let expected =
        ["idempotency_key", "reference", "amount_minor", "currency", "customer_id", "capture_mode"];
    assert_eq!(fields, expected);
}

#[test]
fn each_field_of_a_charge_is_checked() {
    for (field, value, code) in [
        ("amount_minor", json!(0), "validation_error"),
        ("amount_minor", json!(-1), "validation_error"),
        ("amount_minor", json!(1.5), "invalid_format"),
        ("amount_minor", json!("100"), "invalid_format"),
        ("currency", json!("ngn"), "invalid_format"),
        ("currency", json!("ZZZ"), "validation_error"),
        ("capture_mode", json!("automatic"), "invalid_format"),
        ("reference", json!("a/b"), "invalid_format"),
        ("reference", json!("a".repeat(129)), "invalid_format"),
        ("idempotency_key", json!("k".repeat(256)), "invalid_format"),
        ("customer_id", Value::Null, "missing_required_field"),
    ] {
        assert_eq!(faults("charges", &charge_with(field, value)), one(field, code));
    }
}

#[test]
fn a_renewal_needs_a_token() {
    let mut body = charge_with("payment_token_id", Value::Null);
    body["capture_mode"] = json!("merchant_initiated");
    assert_eq!(faults("charges", &body), one("payment_token_id", "missing_required_field"));
}

#[test]
fn each_field_of_a_card_is_checked_and_none_is_echoed() {
    for (field, value, code) in [
        ("number", json!("4242424242424241"), "invalid_format"),
        ("number", json!("4242 4242 4242 4242"), "invalid_format"),
        ("expiry_month", json!(13), "invalid_format"),
        ("expiry_year", json!(2029), "validation_error"),
        ("cvv", json!("12"), "invalid_format"),
    ] {
        let mut body = card(GOOD_CARD);
        body["card"][field] = value;
        assert_eq!(faults("tokens/card", &body), one(&format!("card.{field}"), code));
        let (_, answer) = Account::new().post("tokens/card", &body);
        assert!(!answer.to_string().contains("4242"));
    }
    let missing = json!({"customer_id": "cus_1"});
    assert_eq!(faults("tokens/card", &missing), one("card", "missing_required_field"));
}

#[test]
fn a_card_is_good_through_the_month_it_expires() {
    let mut body = card(GOOD_CARD);
    body["card"]["expiry_month"] = json!("1");
    body["card"]["expiry_year"] = json!("2030");
    assert_eq!(Account::new().post("tokens/card", &body).0, 201);
}

#[test]
fn a_body_must_be_a_json_object_and_say_so() {
    let body = charge("r", "tok_1");
    let mut plain = request(Method::POST, "charges", Some(&body));
    plain.headers.insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(Account::new().respond(&plain).status, 400);
    for text in ["", "{", "[]", "7"] {
        let mut broken = request(Method::POST, "charges", Some(&body));
        broken.body = text.as_bytes().into();
        let answer = Account::new().respond(&broken);
        assert_eq!((answer.status, code(&answer.json())), (400, "validation_error"), "{text}");
    }
}
