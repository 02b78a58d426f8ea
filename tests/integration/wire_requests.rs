//! Every request as it arrives at Zentra, byte for byte.

use std::fmt::Write as _;

use insta::assert_snapshot;
use serde_json::{Value, json};
use zentra_sidecar::grpc::proto;

use crate::support::requests::{self, GOOD_CARD};
use crate::support::sidecar::Sidecar;
use crate::support::stub::{Reply, Seen, Stub};

/// A Zentra that accepts all that the stories here ask for.
fn answer(seen: &Seen) -> Reply {
    let charge = json!({
        "id": "chg_1", "reference": "order-1", "status": "successful", "amount_minor": 50_000,
        "currency": "NGN", "customer_id": "cus_1", "payment_token_id": "tok_1",
    });
    let refund = json!({
        "id": "rfd_1", "reference": "refund-1", "charge_reference": "order-1",
        "status": "successful", "amount_minor": 20_000, "currency": "NGN",
    });
    let token = json!({"id": "tok_1", "customer_id": "cus_1", "type": "card", "status": "active"});
    let path = seen.path.trim_start_matches("/api/v1/payments/");
    let data = match (seen.method.as_str(), path) {
        ("GET", "charges" | "customers/cus_1/tokens") => json!([]),
        (_, "charges" | "charges/order-1" | "charges/order-1/verify") => charge,
        (_, "refunds" | "refunds/refund-1") => refund,
        (_, "tokens/card" | "tokens/bank-account") => token,
        other => panic!("no such route: {other:?}"),
    };
    let pagination = json!({"page": 1, "limit": 2, "total": 3, "pages": 2, "has_more": true});
    Reply::json(200, &json!({"success": true, "data": data, "pagination": pagination}))
}

async fn upstream() -> (Stub, Sidecar) {
    let stub = Stub::start(answer).await;
    let sidecar = Sidecar::start(&stub.url, &[]).await;
    (stub, sidecar)
}

/// The request as a person reads it; the key is masked, as is what differs between runs.
fn shown(seen: &Seen) -> String {
    let query = seen.query.as_ref().map(|it| format!("?{it}")).unwrap_or_default();
    let mut text = format!("{} {}{query}\n", seen.method, seen.path);
    let mut headers = seen.headers.clone();
    headers.sort();
    for (name, value) in headers {
        let value = match name.as_str() {
            "authorization" => value.replace("0000000000000000", "***"),
            "host" => "<the upstream>".to_owned(),
            "user-agent" => value.replace(env!("CARGO_PKG_VERSION"), "<version>"),
            _ => value,
        };
        writeln!(text, "{name}: {value}").unwrap();
    }
    if seen.body.is_empty() {
        return text;
    }
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    format!("{text}\n{}", serde_json::to_string_pretty(&body).unwrap())
}

/// The only request that arrived.
fn only(stub: &Stub) -> String {
    let seen = stub.seen();
    assert_eq!(seen.len(), 1, "one request and no more");
    shown(&seen[0])
}

#[tokio::test]
async fn tokenize_a_card() {
    let (stub, sidecar) = upstream().await;
    sidecar.client().tokenize(requests::card(GOOD_CARD)).await.unwrap();
    assert_snapshot!(only(&stub));
}

#[tokio::test]
async fn tokenize_a_card_without_the_fields_that_may_be_empty() {
    use proto::tokenize_request::PaymentMethod;
    let (stub, sidecar) = upstream().await;
    let bare = proto::Card {
        number: GOOD_CARD.into(),
        expiry_month: 12,
        expiry_year: 2030,
        cvv: String::new(),
        holder_name: String::new(),
    };
    let payment_method = Some(PaymentMethod::Card(bare));
    let request = proto::TokenizeRequest { payment_method, ..requests::card("") };
    sidecar.client().tokenize(request).await.unwrap();
    assert_snapshot!(only(&stub));
}

#[tokio::test]
async fn tokenize_a_bank_account() {
    let (stub, sidecar) = upstream().await;
    sidecar.client().tokenize(requests::bank_account("0123456789")).await.unwrap();
    assert_snapshot!(only(&stub));
}

#[tokio::test]
async fn charge() {
    let (stub, sidecar) = upstream().await;
    sidecar.client().charge(requests::charge("order-1")).await.unwrap();
    assert_snapshot!(only(&stub));
}

#[tokio::test]
async fn renew() {
    let (stub, sidecar) = upstream().await;
    sidecar.client().renew(requests::renew("order-1")).await.unwrap();
    assert_snapshot!(only(&stub));
}

#[tokio::test]
async fn refund_in_part_with_a_reason() {
    let (stub, sidecar) = upstream().await;
    let request = proto::RefundRequest {
        reason: "zweimal gebucht (№ 7)".into(),
        actor: "jo@shop".into(),
        ..requests::refund("refund-1", "order-1", Some(20_000))
    };
    sidecar.client().refund(request).await.unwrap();
    let seen = stub.seen();
    assert_eq!(seen.len(), 2, "the charge is read, then the refund made");
    assert_eq!((&*seen[0].method, &*seen[0].path), ("GET", "/api/v1/payments/charges/order-1"));
    assert_snapshot!(shown(&seen[1]));
}

#[tokio::test]
async fn refund_of_all_that_is_left() {
    let (stub, sidecar) = upstream().await;
    sidecar.client().refund(requests::refund("refund-1", "order-1", None)).await.unwrap();
    assert_snapshot!(shown(&stub.seen()[1]));
}

#[tokio::test]
async fn verify() {
    let (stub, sidecar) = upstream().await;
    sidecar.client().verify(requests::verify("order-1")).await.unwrap();
    assert_snapshot!(only(&stub));
}

#[tokio::test]
async fn get_charge() {
    let (stub, sidecar) = upstream().await;
    sidecar.client().get_charge(requests::get_charge("order-1")).await.unwrap();
    assert_snapshot!(only(&stub));
}

#[tokio::test]
async fn get_refund() {
    let (stub, sidecar) = upstream().await;
    sidecar.client().get_refund(requests::get_refund("refund-1")).await.unwrap();
    assert_snapshot!(only(&stub));
}

#[tokio::test]
async fn list_charges_page_by_page() {
    let (stub, sidecar) = upstream().await;
    let first = sidecar.client().list_charges(requests::list_charges(2, "")).await.unwrap();
    let token = first.into_inner().next_page_token;
    sidecar.client().list_charges(requests::list_charges(0, &token)).await.unwrap();
    let pages: Vec<_> = stub.seen().iter().map(shown).collect();
    assert_snapshot!(pages.join("\n"));
}

#[tokio::test]
async fn list_the_tokens_of_a_customer_page_by_page() {
    let (stub, sidecar) = upstream().await;
    let first = sidecar.client().list_tokens(requests::list_tokens(2, "")).await.unwrap();
    let token = first.into_inner().next_page_token;
    sidecar.client().list_tokens(requests::list_tokens(0, &token)).await.unwrap();
    let pages: Vec<_> = stub.seen().iter().map(shown).collect();
    assert_snapshot!(pages.join("\n"));
}

#[tokio::test]
async fn nobody_elses_metadata_reaches_zentra() {
    let (stub, sidecar) = upstream().await;
    let mut request = tonic::Request::new(requests::charge("order-1"));
    for name in ["authorization", "idempotency-key", "x-forwarded-for", "baggage", "cookie"] {
        request.metadata_mut().insert(name, "from-the-caller".parse().unwrap());
    }
    sidecar.client().charge(request).await.unwrap();
    assert!(!format!("{:?}", stub.seen()).contains("from-the-caller"));
}
