//! Zentra's answers may hold anything: card data, keys, names. None of it goes raw to callers or
//! into logs, and no redirect leads a key astray.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use zentra_sidecar::grpc::proto;
use zentra_sidecar::simulator::{Action, Fault, Route};

use crate::support::logs::Logs;
use crate::support::requests::{self, GOOD_CARD};
use crate::support::rig::Rig;
use crate::support::sidecar::{KEY, Sidecar};
use crate::support::stub::{Reply, Stub};
use crate::support::told::everything;

fn within<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(Duration::from_secs(1));
    request
}

/// What must never be seen again: a card number in two spellings, keys, a name.
const SECRETS: [&str; 7] = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "sk_live_topsecret",
    "SK_SANDBOX_TOPSECRET",
    "whsec_topsecret",
    "Bearer abcdefgh",
    "Grace Canary",
];

/// Those that a short text of Zentra's is searched for; a name alone is like any other word.
fn recognisable() -> impl Iterator<Item = &'static str> {
    SECRETS.into_iter().filter(|secret| *secret != "Grace Canary")
}

/// A sidecar in front of a Zentra that answers anything with whatever is put into it.
struct Watched {
    logs: Logs,
    reply: Arc<Mutex<Reply>>,
    sidecar: Sidecar,
    _stub: Stub,
}

impl Watched {
    async fn start() -> Self {
        // Trace lines of the libraries below may tell what went over the sockets; that the
        // product keeps them off is a story of the binary.
        let logs = Logs::capture_own();
        let reply = Arc::new(Mutex::new(Reply::new(500, "")));
        let stub = Stub::start({
            let reply = reply.clone();
            move |_| reply.lock().unwrap().clone()
        })
        .await;
        let sidecar = Sidecar::start(&stub.url, &[]).await;
        Self { logs, reply, sidecar, _stub: stub }
    }

    /// Everything that callers and operators get to see of it, in every RPC.
    async fn after(&self, reply: Reply) -> String {
        *self.reply.lock().unwrap() = reply;
        let mut client = self.sidecar.client();
        let refund = requests::refund("r-1", "order-1", None);
        let mut seen = String::new();
        for answer in [
            client.charge(requests::charge("order-1")).await.map(|it| format!("{it:?}")),
            client.renew(requests::renew("order-1")).await.map(|it| format!("{it:?}")),
            client.refund(refund).await.map(|it| format!("{it:?}")),
            client.tokenize(requests::card(GOOD_CARD)).await.map(|it| format!("{it:?}")),
            client.verify(requests::verify("order-1")).await.map(|it| format!("{it:?}")),
            client.get_charge(requests::get_charge("order-1")).await.map(|it| format!("{it:?}")),
            client.get_refund(requests::get_refund("r-1")).await.map(|it| format!("{it:?}")),
            client.list_charges(requests::list_charges(0, "")).await.map(|it| format!("{it:?}")),
            client.list_tokens(requests::list_tokens(0, "")).await.map(|it| format!("{it:?}")),
        ] {
            seen += &answer.unwrap_or_else(|status| everything(&status));
        }
        seen + &self.logs.take()
    }
}

fn assert_clean(seen: &str, secret: &str, what: &str) {
    let seen = seen.to_ascii_lowercase();
    let shown: String = seen.split(&secret.to_ascii_lowercase()).next().unwrap().into();
    let around = &shown[shown.len().saturating_sub(120)..];
    assert!(!seen.contains(&secret.to_ascii_lowercase()), "{secret} by {what}: …{around}<here>");
}

/// An error that holds this text in every place.
fn error_full_of(text: &str) -> Value {
    json!({
        "success": false,
        "error": {
            "code": text, "message": text, "field": text, "status": text,
            "details": {"number": text, "retry_after": text},
        },
        "meta": {"path": text, "method": text},
    })
}

#[tokio::test]
async fn error_bodies_with_secrets_in_every_place() {
    let watched = Watched::start().await;
    for secret in SECRETS {
        let seen = watched.after(Reply::json(422, &error_full_of(secret))).await;
        assert_clean(&seen, secret, "an error");
    }
    let all = SECRETS.join(" and ");
    for status in [200, 400, 401, 404, 409, 422, 429, 500] {
        let seen = watched.after(Reply::json(status, &error_full_of(&all))).await;
        for secret in SECRETS {
            assert_clean(&seen, secret, &format!("an error with {status}"));
        }
    }
    let seen = watched.after(Reply::new(500, format!("<html>{all}</html>"))).await;
    for secret in SECRETS {
        assert_clean(&seen, secret, "a page");
    }
}

#[tokio::test]
async fn request_ids_that_are_none() {
    let watched = Watched::start().await;
    for secret in recognisable() {
        let error = |meta: Value| json!({"error": {"code": "not_found"}, "meta": meta});
        let in_body = Reply::json(404, &error(json!({"requestId": secret})));
        assert_clean(&watched.after(in_body).await, secret, "the body's request id");
        let in_header = Reply::json(404, &error(json!({}))).header("x-request-id", secret);
        assert_clean(&watched.after(in_header).await, secret, "the header's request id");
    }
}

#[tokio::test]
async fn payments_with_secrets_in_their_texts() {
    let watched = Watched::start().await;
    for secret in recognisable() {
        for field in [
            "id",
            "status",
            "customer_id",
            "payment_token_id",
            "capture_mode",
            "created_at",
            "failure_code",
            "failure_message",
            "gateway_response",
            "redirect_url",
            "reason",
            "type",
            "brand",
            "last4",
            "bank_code",
        ] {
            let mut data = json!({
                "id": "x_1", "reference": "order-1", "charge_reference": "order-1",
                "status": "failed", "amount_minor": 50_000, "currency": "NGN",
                "type": "card", "brand": "visa", "last4": "4242",
            });
            data[field] = if field == "redirect_url" {
                json!(format!("https://pay.example/?q={secret}"))
            } else {
                json!(secret)
            };
            let seen =
                watched.after(Reply::json(200, &json!({"success": true, "data": data}))).await;
            assert_clean(&seen, secret, field);
        }
    }
}

#[tokio::test]
async fn a_failures_text_is_the_sidecars_own() {
    let data = json!({
        "id": "chg_1", "reference": "order-1", "status": "failed", "amount_minor": 50_000,
        "currency": "NGN", "failure_code": "CARD_DECLINED", "failure_message": "Grace Canary",
    });
    let stub = Stub::always(Reply::json(200, &json!({"success": true, "data": data}))).await;
    let sidecar = Sidecar::start(&stub.url, &[]).await;
    let charge = sidecar.client().charge(requests::charge("order-1")).await.unwrap().into_inner();
    let message = "The card's issuer declined the payment.".to_owned();
    let expected = proto::Failure { code: "card_declined".into(), message };
    assert_eq!(charge.charge.unwrap().failure, Some(expected));
}

#[tokio::test]
async fn the_key_and_the_card_are_in_no_log_line_even_at_trace() {
    let logs = Logs::capture();
    let rig = Rig::start().await;
    rig.charged("4000000000006975", "order-1").await;
    let account = requests::bank_account("0000000077");
    let account = proto::TokenizeRequest { idempotency_key: "key-2".into(), ..account };
    rig.client().tokenize(account).await.unwrap();
    let text = logs.text();
    assert!(text.contains("\"outcome\":\"OK\""), "the capture works");
    for secret in ["4000000000006975", "0000000077", "Ada Canary", KEY] {
        assert_clean(&text, secret, "a log line");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let target = Stub::always(Reply::new(200, "")).await;
        let rig = Rig::start().await;
        let request = rig.charge_on(GOOD_CARD, "order-1").await;
        let location = format!("{}/api/v1/payments/charges", target.url);
        let redirect = Action::Redirect { status, location, effect: false };
        rig.simulator.inject(Fault::any(redirect).times(0));
        let mut client = rig.client();
        let charge = client.charge(within(request)).await.unwrap_err();
        assert!(everything(&charge).contains("OUTCOME_UNKNOWN"), "a redirect proves nothing");
        let get = client.get_charge(requests::get_charge("order-1")).await.unwrap_err();
        assert!(everything(&get).contains("UPSTREAM_UNAVAILABLE"));
        let mut card = requests::card(GOOD_CARD);
        card.idempotency_key = "key-another".into();
        let tokenize = client.tokenize(within(card)).await.unwrap_err();
        assert!(everything(&tokenize).contains("OUTCOME_UNKNOWN"));
        rig.simulator.inject(Fault::on(Route::VerifyCharge, Action::ResetBefore));
        assert!(client.verify(requests::verify("order-1")).await.is_err());
        assert!(target.seen().is_empty(), "the redirect's target sees nothing");
        assert!(rig.simulator.ledger().charges.is_empty());
    }
}
