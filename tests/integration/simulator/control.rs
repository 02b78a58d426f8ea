use super::*;

fn fields(body: &Value) -> Vec<&str> {
    let errors = body["error"]["errors"].as_array().unwrap();
    errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_fault_is_set_seen_used_up_and_cleared() {
    let bench = Bench::new().await;
    let fault = r#"{"route":"create_charge","reference":"r","kind":"status","status":503}"#;
    let (status, body) = bench.control("POST", "faults", fault).await;
    assert_eq!((status, &body), (200, &json!({"ids": [1]})));
    assert_eq!(bench.answer(bench.charge("r", GOOD_CARD).await).await.0, 503);
    assert_eq!(bench.answer(bench.charge("r", GOOD_CARD).await).await.0, 201);
    let (_, body) = bench.control("GET", "faults", "").await;
    assert_eq!(
        (&body["faults"][0]["kind"], &body["faults"][0]["fired"]),
        (&json!("status"), &json!(1))
    );
    assert_eq!(bench.control("DELETE", "faults/1", "").await.0, 200);
    assert_eq!(bench.control("DELETE", "faults/1", "").await.0, 404);
    bench.control("DELETE", "faults", "").await;
    assert_eq!(bench.control("GET", "faults", "").await.1, json!({"faults": []}));
}

#[tokio::test]
async fn every_kind_of_fault_is_understood() {
    let bench = Bench::new().await;
    let faults = json!({"faults": [
        {"kind": "delay_before", "ms": 10},
        {"kind": "delay_after", "ms": 10, "route": "any"},
        {"kind": "status", "status": 500, "effect": true, "code": "x", "body": "{}", "retry_after": "5"},
        {"kind": "reset_before", "skip": 1, "times": 2},
        {"kind": "reset_after", "probability": 0.5},
        {"kind": "answer_lost", "close_after_ms": 10},
        {"kind": "late_effect", "after_ms": 1000, "status": 504, "lock": true},
        {"kind": "truncated", "keep_bytes": 3},
        {"kind": "not_json", "body": "oops"},
        {"kind": "huge", "bytes": 1000},
        {"kind": "redirect", "status": 302, "location": "/x"},
        {"kind": "wrong", "field": "amount", "value": 7},
        {"kind": "wrong", "field": "currency"},
        {"kind": "wrong", "field": "reference", "value": "y"},
    ]});
    let (status, body) = bench.control("POST", "faults", &faults.to_string()).await;
    assert_eq!(status, 200, "{body}");
    let (_, body) = bench.control("GET", "faults", "").await;
    assert_eq!(body["faults"][4]["times"], 0, "a chance lasts until it is cleared");
    assert_eq!(body["faults"].as_array().unwrap().len(), 14);
}

#[tokio::test]
async fn all_mistakes_of_a_control_request_are_told_and_nothing_is_done() {
    let bench = Bench::new().await;
    let fault = r#"{"route":"charges","kind":"status","status":99,"efect":true}"#;
    let (status, body) = bench.control("POST", "faults", fault).await;
    assert_eq!((status, fields(&body)), (422, vec!["route", "status", "efect"]));

    let faults = r#"{"faults":[{"kind":"reset_after"},{"kind":"explode"},7]}"#;
    let (status, body) = bench.control("POST", "faults", faults).await;
    assert_eq!((status, fields(&body)), (422, vec!["faults[1].kind", "faults[2]"]));

    let options = r#"{"envelope":"d","dedupe":false,"webhook_url":"ftp://x"}"#;
    let (status, body) = bench.control("POST", "options", options).await;
    assert_eq!((status, fields(&body)), (422, vec!["envelope", "webhook_url", "dedupe"]));

    assert_eq!(bench.control("POST", "clock", "[]").await.0, 400);
    assert_eq!(bench.control("GET", "nothing", "").await.0, 404);
    assert!(bench.simulator.ledger().faults.is_empty());
}

#[tokio::test]
async fn the_clock_is_moved_and_a_pending_charge_settles() {
    let bench = Bench::new().await;
    bench.answer(bench.charge("r", "4000000000000077").await).await;
    let before = bench.simulator.now();
    let (status, body) = bench.control("POST", "clock", r#"{"advance_seconds":3600}"#).await;
    assert_eq!(status, 200);
    let after: jiff::Timestamp = body["now"].as_str().unwrap().parse().unwrap();
    assert!(after.duration_since(before).as_secs() >= 3600);
    assert_eq!(bench.simulator.ledger().charges[0].status, "successful");
}

#[tokio::test]
async fn options_change_while_it_runs_and_secrets_are_not_shown() {
    let bench = Bench::new().await;
    let options = r#"{"envelope":"c","secret_keys":["sk_simulated_new"],"requests_per_minute":9}"#;
    let (status, body) = bench.control("POST", "options", options).await;
    assert_eq!((status, &body["envelope"]), (200, &json!("c")));
    assert!(!body.to_string().contains("sk_simulated"));
    let (status, body) = bench.answer(bench.post("charges", &json!({}))).await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("INVALID_API_KEY")));
}

#[tokio::test]
async fn the_ledger_is_read_by_reference_and_reset() {
    let bench = Bench::new().await;
    for reference in ["a", "b"] {
        bench.answer(bench.charge(reference, GOOD_CARD).await).await;
    }
    let (_, body) = bench.control("GET", "ledger?reference=b", "").await;
    assert_eq!(body["charges"].as_array().unwrap().len(), 1);
    assert_eq!(body["posts"][0]["idempotency_key"], "key-b");
    assert_eq!(body["posts"][0]["outcome"]["is"], "effect");
    bench.control("POST", "reset", "").await;
    let (_, body) = bench.control("GET", "ledger", "").await;
    assert_eq!((&body["charges"], &body["posts"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn a_charge_is_settled_by_hand() {
    let bench = Bench::new().await;
    bench.answer(bench.charge("r", GOOD_CARD).await).await;
    let body = r#"{"reference":"r","status":"disputed"}"#;
    let (status, charge) = bench.control("POST", "charges/settle", body).await;
    assert_eq!((status, &charge["status"]), (200, &json!("disputed")));
    let none = r#"{"reference":"none"}"#;
    assert_eq!(bench.control("POST", "charges/settle", none).await.0, 404);
    assert_eq!(bench.control("GET", "health", "").await, (200, json!({"status": "ok"})));
}
