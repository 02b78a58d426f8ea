//! What a caller is told where there is no payment to tell of: every row that needs no store.

use std::time::Duration;

use serde_json::{Value, json};
use zentra_sidecar::simulator::{Action, Fault, Options, Route, Tamper};

use crate::support::requests::{self, GOOD_CARD};
use crate::support::rig::Rig;
use crate::support::sidecar::Sidecar;
use crate::support::stub::{Reply, Stub};
use crate::support::told::refused;

/// What a refusal says about the key's payment: its record was released before the answer.
const REFUSED: &str = "no";

fn error(code: &str) -> Value {
    let message = "4242424242424242 Ada Canary";
    json!({"success": false, "error": {"code": code, "message": message, "status": 0}})
}

/// What the caller of Charge is told where Zentra answers so.
async fn charge_told(reply: Reply) -> String {
    let stub = Stub::always(reply.header("x-request-id", "req_1")).await;
    let sidecar = Sidecar::start(&stub.url, &[]).await;
    refused(sidecar.client().charge(within(requests::charge("order-1"))).await)
}

/// A deadline that leaves time for a look-up, and for no long search.
fn within<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(Duration::from_secs(1));
    request
}

/// What the caller of GetCharge is told where Zentra answers so.
async fn read_told(reply: Reply) -> String {
    let stub = Stub::always(reply.header("x-request-id", "req_1")).await;
    let sidecar = Sidecar::start(&stub.url, &[]).await;
    refused(sidecar.client().get_charge(requests::get_charge("order-1")).await)
}

/// The metadata of a refusal of a charge, with the code that Zentra gave.
fn after(money_moved: &str, code: &str) -> String {
    let code = if code.is_empty() { String::new() } else { format!(" provider_code={code}") };
    format!("money_moved={money_moved}{code} provider_request_id=req_1 reference=order-1 sent=true")
}

#[tokio::test]
async fn a_refused_charge() {
    for (status, code, expected, advice) in [
        (400, "validation_error", "InvalidArgument UPSTREAM_REJECTED", "never again"),
        (422, "missing_required_field", "InvalidArgument UPSTREAM_REJECTED", "never again"),
        (401, "invalid_api_key", "Internal UPSTREAM_AUTH", "again in 30000 ms"),
        (401, "wrong_environment", "Internal UPSTREAM_AUTH", "again in 30000 ms"),
        (403, "insufficient_permissions", "Internal UPSTREAM_AUTH", "again in 30000 ms"),
        (404, "not_found", "FailedPrecondition UPSTREAM_NOT_FOUND", "never again"),
        (409, "token_not_ready", "FailedPrecondition TOKEN_NOT_READY", "never again"),
        (422, "token_not_ready", "FailedPrecondition TOKEN_NOT_READY", "never again"),
    ] {
        let told = charge_told(Reply::json(status, &error(code))).await;
        assert_eq!(told, format!("{expected} {}; {advice}", after(REFUSED, code)), "{status}");
    }
}

#[tokio::test]
async fn a_reference_whose_payment_cannot_be_seen() {
    // It may be this key's own payment, from before the record.
    let told = charge_told(Reply::json(409, &error("duplicate_reference"))).await;
    let metadata = after("unknown", "duplicate_reference");
    assert_eq!(told, format!("AlreadyExists REFERENCE_ALREADY_USED {metadata}; never again"));
}

#[tokio::test]
async fn a_key_that_zentra_knows_for_another_payment() {
    for status in [409, 422] {
        let told = charge_told(Reply::json(status, &error("idempotency_key_mismatch"))).await;
        // The other payment has this very key, and may have been made: no is never said.
        let metadata = after("unknown", "idempotency_key_mismatch");
        let expected = format!("FailedPrecondition IDEMPOTENCY_KEY_REUSED {metadata}; never again");
        assert_eq!(told, expected, "{status}");
    }
}

#[tokio::test]
async fn a_key_that_is_at_work_at_zentra_is_looked_up_and_not_sent_again() {
    let stub = Stub::start(|seen| match seen.method.as_str() {
        "POST" => Reply::json(409, &error("idempotency_key_in_use")),
        _ => Reply::json(404, &error("not_found")),
    })
    .await;
    let sidecar = Sidecar::start(&stub.url, &[]).await;
    let told = refused(sidecar.client().charge(within(requests::charge("order-1"))).await);
    let expected = "Unavailable OUTCOME_UNKNOWN money_moved=unknown";
    assert!(told.starts_with(expected), "{told}");
    assert!(told.ends_with("reference=order-1 sent=true; again in 1000 ms"), "{told}");
    let posts = stub.seen().iter().filter(|seen| seen.method == "POST").count();
    assert_eq!(posts, 1);
}

#[tokio::test]
async fn a_rate_limit_is_handed_on_with_its_wait() {
    let limited = || Reply::json(429, &error("rate_limit_exceeded"));
    let in_body = json!({"error": {"code": "rate_limit_exceeded", "details": {"retry_after": 7}}});
    for (reply, code, wait) in [
        (limited(), "rate_limit_exceeded", 60_000),
        (limited().header("retry-after", "3"), "rate_limit_exceeded", 3_000),
        (limited().header("retry-after", "3600"), "rate_limit_exceeded", 3_600_000),
        (limited().header("retry-after", "-1"), "rate_limit_exceeded", 60_000),
        (limited().header("retry-after", "soon"), "rate_limit_exceeded", 60_000),
        (
            limited().header("retry-after", "Sun, 22 Nov 2026 10:00:09 GMT"),
            "rate_limit_exceeded",
            9_000,
        ),
        (Reply::json(429, &in_body), "rate_limit_exceeded", 7_000),
        (Reply::new(429, "slow down"), "", 60_000),
    ] {
        let told = charge_told(reply).await;
        let metadata = after(REFUSED, code);
        let expected = format!("UPSTREAM_RATE_LIMITED {metadata}; again in {wait} ms");
        assert_eq!(told, format!("ResourceExhausted {expected}"));
    }
}

#[tokio::test]
async fn an_answer_that_proves_nothing_leaves_the_outcome_unknown() {
    let charge = json!({"success": true, "data": {"id": "chg_1", "reference": "order-1",
        "status": "successful", "amount_minor": 50_000, "currency": "NGN"}});
    let mut without_status = charge.clone();
    without_status["data"].as_object_mut().unwrap().remove("status");
    let mut said_to_fail = charge.clone();
    said_to_fail["success"] = json!("false");
    for (reply, code) in [
        (Reply::json(409, &error("something_new")), ""),
        (Reply::json(402, &error("something_new")), ""),
        (Reply::json(500, &error("validation_error")), "validation_error"),
        (Reply::json(502, &error("card_declined")), "card_declined"),
        (Reply::json(503, &error("not_found")), "not_found"),
        (Reply::json(504, &error("rate_limit_exceeded")), "rate_limit_exceeded"),
        (Reply::json(408, &error("not_found")), "not_found"),
        (Reply::json(200, &error("validation_error")), "validation_error"),
        // A proxy on the way knows nothing of payments.
        (Reply::new(404, "<html>nothing here</html>"), ""),
        (Reply::new(403, "blocked"), ""),
        (Reply::new(422, "{}"), ""),
        (Reply::new(200, ""), ""),
        (Reply::new(200, "<html>hello</html>"), ""),
        (Reply::new(200, r#"{"success":true,"data":{"id":"chg_1","ref"#), ""),
        (Reply::json(200, &json!({"success": true, "data": null})), ""),
        (Reply::json(200, &json!({"success": true, "data": []})), ""),
        (Reply::json(202, &charge), ""),
        (Reply::new(204, ""), ""),
        (Reply::json(500, &charge), ""),
        (Reply::json(200, &without_status), ""),
        (Reply::json(200, &said_to_fail), ""),
        (Reply::new(302, "").header("location", "https://elsewhere.example/"), ""),
    ] {
        let shown = format!("{reply:?}");
        let told = charge_told(reply).await;
        let metadata = after("unknown", code);
        let expected = format!("Unavailable OUTCOME_UNKNOWN {metadata}; again in 1000 ms");
        assert_eq!(told, expected, "{shown}");
    }
}

/// Each way in which an exchange breaks, and how many charges it makes.
fn broken_exchanges() -> [(Action, usize); 6] {
    let lost = Action::AnswerLost { close_after: Some(Duration::ZERO) };
    [
        (Action::ResetBefore, 0),
        (Action::ResetAfter, 1),
        (lost, 1),
        (Action::Truncated { keep: None }, 1),
        (Action::NotJson { body: None }, 1),
        (Action::Huge { bytes: 50 * 1024 * 1024 }, 1),
    ]
}

#[tokio::test]
async fn a_broken_exchange_that_cannot_be_looked_up_leaves_the_outcome_unknown() {
    for (action, effects) in broken_exchanges() {
        let rig = Rig::start().await;
        let request = rig.charge_on(GOOD_CARD, "order-1").await;
        rig.simulator.inject(Fault::on(Route::CreateCharge, action.clone()));
        rig.simulator.inject(Fault::on(Route::GetCharge, Action::ResetBefore).times(0));
        let told = refused(rig.client().charge(within(request)).await);
        assert!(told.starts_with("Unavailable OUTCOME_UNKNOWN money_moved=unknown"), "{told}");
        assert!(told.ends_with("reference=order-1 sent=true; again in 1000 ms"), "{told}");
        let ledger = rig.simulator.ledger();
        assert_eq!(ledger.charges_of("order-1").len(), effects, "{action:?}");
        assert_eq!(ledger.posts_of("order-1").len(), 1, "no second POST without a look-up");
    }
}

#[tokio::test]
async fn a_broken_exchange_is_looked_up_and_ends_in_one_charge() {
    for (action, effects) in broken_exchanges() {
        let rig = Rig::start().await;
        let request = rig.charge_on(GOOD_CARD, "order-1").await;
        rig.simulator.inject(Fault::on(Route::CreateCharge, action.clone()));
        let answer = rig.client().charge(request).await.unwrap().into_inner();
        assert_eq!(answer.charge.unwrap().reference, "order-1");
        let ledger = rig.simulator.ledger();
        assert_eq!(ledger.charges_of("order-1").len(), 1, "{action:?}");
        assert_eq!(ledger.posts_of("order-1").len(), 2 - effects, "{action:?}");
        let number = |route| {
            let seen = ledger.posts.iter().chain(&ledger.reads).find(|it| it.route == route);
            seen.map(|it| it.number)
        };
        assert!(number(Route::CreateCharge) < number(Route::GetCharge));
    }
}

#[tokio::test]
async fn a_zentra_that_cannot_be_reached_got_nothing() {
    let stub = Stub::always(Reply::new(200, "")).await;
    let url = stub.url.clone();
    drop(stub);
    let sidecar = Sidecar::start(&url, &[]).await;
    // The port is free from the moment at which the stub's task has ended.
    tokio::task::yield_now().await;
    let told = refused(sidecar.client().charge(requests::charge("order-1")).await);
    let expected = format!(
        "Unavailable UPSTREAM_UNREACHABLE money_moved={REFUSED} reference=order-1 sent=false; \
         again in 1000 ms"
    );
    assert_eq!(told, expected);
    let told = refused(sidecar.client().get_charge(requests::get_charge("order-1")).await);
    assert_eq!(told, "Unavailable UPSTREAM_UNAVAILABLE reference=order-1; again in 1000 ms");
}

#[tokio::test]
async fn an_answer_about_another_payment_is_a_conflict_never_a_success() {
    for tamper in [Tamper::Reference(None), Tamper::Amount(None), Tamper::Currency(None)] {
        let rig = Rig::start().await;
        let request = rig.charge_on(GOOD_CARD, "order-1").await;
        rig.simulator.inject(Fault::on(Route::CreateCharge, Action::Wrong(tamper.clone())));
        let told = refused(rig.client().charge(request).await);
        let (told, request_id) = without_provider_request_id(&told);
        assert!(request_id.starts_with("req_"));
        assert_eq!(
            told,
            "FailedPrecondition OUTCOME_CONFLICT money_moved=unknown reference=order-1 sent=true; \
             never again",
            "{tamper:?}"
        );
    }
}

#[tokio::test]
async fn a_refund_of_another_charge_amount_or_currency_is_a_conflict() {
    for wrong in [
        json!({"charge_reference": "order-2"}),
        json!({"amount_minor": 20_001}),
        json!({"currency": "USD"}),
    ] {
        let stub = Stub::start(move |seen| {
            let mut data = json!({
                "id": "x_1", "reference": "order-1", "charge_reference": "order-1",
                "status": "successful", "amount_minor": 20_000, "currency": "NGN",
            });
            if seen.method == "POST" {
                let fields = wrong.as_object().unwrap().clone();
                data.as_object_mut().unwrap().extend(fields);
            }
            Reply::json(200, &json!({"success": true, "data": data}))
        })
        .await;
        let sidecar = Sidecar::start(&stub.url, &[]).await;
        let request = requests::refund("refund-1", "order-1", Some(20_000));
        assert_eq!(
            refused(sidecar.client().refund(request).await),
            "FailedPrecondition OUTCOME_CONFLICT money_moved=unknown reference=refund-1 \
             sent=true; never again"
        );
    }
}

#[tokio::test]
async fn reads_and_verify_of_another_charge_are_conflicts() {
    let rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    for route in [Route::GetCharge, Route::VerifyCharge] {
        rig.simulator.inject(Fault::on(route, Action::Wrong(Tamper::Reference(None))));
        let told = match route {
            Route::GetCharge => {
                refused(rig.client().get_charge(requests::get_charge("order-1")).await)
            }
            _ => refused(rig.client().verify(requests::verify("order-1")).await),
        };
        let (told, _) = without_provider_request_id(&told);
        assert_eq!(told, "FailedPrecondition OUTCOME_CONFLICT reference=order-1; never again");
    }
}

#[tokio::test]
async fn a_failed_read() {
    let code = |code: &str| format!("provider_code={code} provider_request_id=req_1");
    for (reply, expected, metadata, advice) in [
        (
            Reply::json(404, &error("not_found")),
            "NotFound NOT_FOUND",
            code("not_found"),
            "never again",
        ),
        (
            Reply::json(500, &error("validation_error")),
            "Unavailable UPSTREAM_UNAVAILABLE",
            code("validation_error"),
            "again in 1000 ms",
        ),
        (
            Reply::new(404, "<html>nothing here</html>"),
            "Unavailable UPSTREAM_UNAVAILABLE",
            "provider_request_id=req_1".to_owned(),
            "again in 1000 ms",
        ),
        (
            Reply::json(401, &error("expired_key")),
            "Internal UPSTREAM_AUTH",
            code("expired_key"),
            "again in 30000 ms",
        ),
        (
            Reply::json(429, &error("rate_limit_exceeded")).header("retry-after", "2"),
            "ResourceExhausted UPSTREAM_RATE_LIMITED",
            code("rate_limit_exceeded"),
            "again in 2000 ms",
        ),
        (
            Reply::json(422, &error("invalid_format")),
            "InvalidArgument UPSTREAM_REJECTED",
            code("invalid_format"),
            "never again",
        ),
    ] {
        let told = read_told(reply).await;
        assert_eq!(told, format!("{expected} {metadata} reference=order-1; {advice}"));
    }
}

#[tokio::test]
async fn a_decline_is_data_in_both_of_its_forms() {
    use zentra_sidecar::grpc::proto::ChargeStatus;
    use zentra_sidecar::simulator::DeclineForm;
    for (declines, provider_status) in [(DeclineForm::Object, "failed"), (DeclineForm::Error, "")] {
        for (card, code) in [
            ("4000000000000002", "card_declined"),
            ("4000000000009995", "insufficient_funds"),
            ("4000000000000069", "expired_card"),
        ] {
            let options = Options { declines, ..Options::default() };
            let rig = Rig::with(options, &[]).await;
            let charge = rig.charged(card, "order-1").await;
            assert_eq!(charge.status(), ChargeStatus::Failed);
            assert_eq!(charge.failure.unwrap().code, code);
            assert_eq!(charge.provider_status, provider_status);
            assert_eq!((&*charge.reference, charge.amount), ("order-1", requests::ngn(50_000)));
        }
    }
}

#[tokio::test]
async fn a_renewal_before_the_verify_is_refused() {
    let rig = Rig::start().await;
    let token = rig.charged(GOOD_CARD, "order-1").await.payment_token_id;
    let mut request = requests::renew("order-2");
    request.payment_token_id = token;
    let told = refused(rig.client().renew(request).await);
    let (told, _) = without_provider_request_id(&told);
    let expected = format!(
        "FailedPrecondition TOKEN_NOT_READY money_moved={REFUSED} provider_code=token_not_ready \
         reference=order-2 sent=true; never again"
    );
    assert_eq!(told, expected);
}

#[tokio::test]
async fn card_data_is_refused_where_it_is_not_accepted() {
    let stub = Stub::always(Reply::new(200, "")).await;
    let sidecar = Sidecar::start(&stub.url, &["--card-data=refuse"]).await;
    let expected = "PermissionDenied CARD_DATA_REFUSED money_moved=no sent=false; never again";
    // Also where it has faults: none of them is looked for.
    for number in [GOOD_CARD, "4242424242424241", ""] {
        let told = refused(sidecar.client().tokenize(requests::card(number)).await);
        assert_eq!(told, expected, "{number}");
    }
    assert!(stub.seen().is_empty());
}

/// The line without Zentra's id of the request, and that id.
fn without_provider_request_id(told: &str) -> (String, String) {
    let id = told.split(" provider_request_id=").nth(1).expect("Zentra's id of the request");
    let id = id.split([' ', ';']).next().unwrap();
    (told.replace(&format!(" provider_request_id={id}"), ""), id.to_owned())
}
