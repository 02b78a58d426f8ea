//! What callers may not send: refused with every fault at once, before anything reaches Zentra,
//! and without a word of it in the answer or the logs.

use std::collections::BTreeSet;

use tonic::{Code, Status};
use zentra_sidecar::grpc::proto::tokenize_request::PaymentMethod;
use zentra_sidecar::grpc::proto::{self, Money};

use crate::support::logs::Logs;
use crate::support::requests::{self, GOOD_CARD};
use crate::support::sidecar::{Client, Sidecar};
use crate::support::stub::{Reply, Stub};
use crate::support::told::{everything, faulty_fields, told};

const NOT_AN_IDENTIFIER: &str = "must be 1 to 128 characters of A-Z a-z 0-9 _ . : -, begin with a \
                                 letter or digit, and not contain '..'";
const HOLDS_CARD_NUMBER: &str =
    "holds what looks like a card number; card numbers belong in card.number only";

/// A sidecar, and an upstream that must not see anything.
async fn guarded() -> (Stub, Sidecar) {
    let stub = Stub::always(Reply::new(500, "")).await;
    let sidecar = Sidecar::start(&stub.url, &[]).await;
    (stub, sidecar)
}

/// The field's name, and what came of a call with a hostile text in it.
type Refusals = Vec<(&'static str, Result<(), Status>)>;

async fn in_charges(client: &mut Client, text: &str, refusals: &mut Refusals) {
    let request =
        proto::ChargeRequest { idempotency_key: text.into(), ..requests::charge("order-1") };
    refusals.push(("idempotency_key", client.charge(request).await.map(drop)));
    let request = proto::ChargeRequest { reference: text.into(), ..requests::charge("order-1") };
    refusals.push(("reference", client.charge(request).await.map(drop)));
    let request = proto::ChargeRequest { customer_id: text.into(), ..requests::charge("order-1") };
    refusals.push(("customer_id", client.charge(request).await.map(drop)));
    let request =
        proto::ChargeRequest { payment_token_id: text.into(), ..requests::charge("order-1") };
    refusals.push(("payment_token_id", client.charge(request).await.map(drop)));
    let request =
        proto::RenewRequest { idempotency_key: text.into(), ..requests::renew("order-1") };
    refusals.push(("idempotency_key", client.renew(request).await.map(drop)));
    let request = proto::RenewRequest { reference: text.into(), ..requests::renew("order-1") };
    refusals.push(("reference", client.renew(request).await.map(drop)));
    let request = proto::RenewRequest { customer_id: text.into(), ..requests::renew("order-1") };
    refusals.push(("customer_id", client.renew(request).await.map(drop)));
    let request =
        proto::RenewRequest { payment_token_id: text.into(), ..requests::renew("order-1") };
    refusals.push(("payment_token_id", client.renew(request).await.map(drop)));
}

async fn in_other_writes(client: &mut Client, text: &str, refusals: &mut Refusals) {
    let refund = || requests::refund("refund-1", "order-1", None);
    let request = proto::RefundRequest { idempotency_key: text.into(), ..refund() };
    refusals.push(("idempotency_key", client.refund(request).await.map(drop)));
    let request = proto::RefundRequest { reference: text.into(), ..refund() };
    refusals.push(("reference", client.refund(request).await.map(drop)));
    let request = proto::RefundRequest { charge_reference: text.into(), ..refund() };
    refusals.push(("charge_reference", client.refund(request).await.map(drop)));
    let request =
        proto::TokenizeRequest { idempotency_key: text.into(), ..requests::card(GOOD_CARD) };
    refusals.push(("idempotency_key", client.tokenize(request).await.map(drop)));
    let request = proto::TokenizeRequest { customer_id: text.into(), ..requests::card(GOOD_CARD) };
    refusals.push(("customer_id", client.tokenize(request).await.map(drop)));
}

async fn in_reads(client: &mut Client, text: &str, refusals: &mut Refusals) {
    let verify = client.verify(requests::verify(text)).await;
    refusals.push(("reference", verify.map(drop)));
    let charge = client.get_charge(requests::get_charge(text)).await;
    refusals.push(("reference", charge.map(drop)));
    let refund = client.get_refund(requests::get_refund(text)).await;
    refusals.push(("reference", refund.map(drop)));
    let request =
        proto::ListTokensRequest { customer_id: text.into(), ..requests::list_tokens(0, "") };
    refusals.push(("customer_id", client.list_tokens(request).await.map(drop)));
}

/// Calls every RPC with the text in each of its identifiers, writes first.
async fn in_every_identifier(client: &mut Client, text: &str) -> Vec<(&'static str, Status)> {
    let mut refusals = Vec::new();
    in_charges(client, text, &mut refusals).await;
    in_other_writes(client, text, &mut refusals).await;
    assert_eq!(refusals.len(), WRITES);
    in_reads(client, text, &mut refusals).await;
    let refused =
        |(field, answer): (_, Result<(), Status>)| (field, answer.expect_err("a refusal"));
    refusals.into_iter().map(refused).collect()
}

/// How many identifiers the writes have.
const WRITES: usize = 13;

#[tokio::test]
async fn hostile_identifiers_in_every_field_of_every_rpc() {
    let (stub, sidecar) = guarded().await;
    let mut client = sidecar.client();
    let too_long = "a".repeat(129);
    let nearly_too_large = "a".repeat(60 * 1024);
    for text in [
        "..",
        "../x",
        "%2e%2e",
        "a\\..\\b",
        "//host",
        "a/b",
        "?",
        "a?b",
        "#",
        "a#b",
        "\t",
        "a\tb",
        "a\nb",
        "a\r\nX: y",
        "\0",
        "a\0",
        "a b",
        " a",
        "a..b",
        ".a",
        "-a",
        "платёж",
        "ａ",
        "a\u{200b}",
        "a\u{202e}b",
        "\u{1b}[31m",
        &too_long,
        &nearly_too_large,
    ] {
        for (case, (field, status)) in
            in_every_identifier(&mut client, text).await.into_iter().enumerate()
        {
            let told = told(&status);
            let start = match case < WRITES {
                true => "InvalidArgument INVALID_REQUEST money_moved=unknown",
                false => "InvalidArgument INVALID_REQUEST; never again",
            };
            assert!(told.starts_with(start), "{told}");
            assert!(
                told.ends_with(&format!("; never again\n  {field} {NOT_AN_IDENTIFIER}")),
                "{text:.20?}: {told}"
            );
        }
    }
    assert!(stub.seen().is_empty(), "nothing reaches Zentra");
}

/// More than a message may hold.
#[tokio::test]
async fn an_identifier_of_a_megabyte() {
    let (stub, sidecar) = guarded().await;
    let mut refusals = Vec::new();
    let huge = "a".repeat(1024 * 1024);
    let mut client = sidecar.client();
    in_charges(&mut client, &huge, &mut refusals).await;
    in_other_writes(&mut client, &huge, &mut refusals).await;
    in_reads(&mut client, &huge, &mut refusals).await;
    for (field, refusal) in refusals {
        assert_eq!(refusal.unwrap_err().code(), Code::OutOfRange, "{field}");
    }
    assert!(stub.seen().is_empty(), "nothing reaches Zentra");
}

/// Row 16, as far as Zentra and the logs are concerned.
#[tokio::test]
async fn hostile_trace_metadata_changes_nothing_and_goes_nowhere() {
    let logs = Logs::capture_own();
    let (stub, sidecar) = guarded().await;
    let long = "a=b,".repeat(1000);
    for (traceparent, baggage) in [
        ("00-00000000000000000000000000000000-0000000000000000-01", "canary=value"),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-canary", "canary;;;=,,,"),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "canary=%00%0a%1b"),
        ("canary", long.as_str()),
    ] {
        let mut request = tonic::Request::new(requests::get_charge("order-1"));
        request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
        request.metadata_mut().insert("tracestate", "canary=1".parse().unwrap());
        request.metadata_mut().insert("baggage", baggage.parse().unwrap());
        let status = sidecar.client().get_charge(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "the stub's 500, so that it was asked");
        assert!(!everything(&status).contains("canary"));
    }
    for seen in stub.seen() {
        assert!(seen.headers.iter().all(|(name, _)| name != "baggage"), "{seen:?}");
        assert!(!format!("{seen:?}").contains("canary"), "{seen:?}");
    }
    assert!(!logs.text().contains("canary"), "{}", logs.text());
}

#[tokio::test]
async fn card_numbers_that_hide_in_identifiers_and_texts() {
    let logs = Logs::capture();
    let (stub, sidecar) = guarded().await;
    let mut client = sidecar.client();
    for (text, digits) in [
        ("4111111111111111", "4111111111111111"),
        ("order-4111111111111111", "4111111111111111"),
        ("x.4111-1111-1111-1111", "4111-1111"),
        ("2026-4111:1111:1111:1111", "4111:1111"),
        ("378282246310005-a", "378282246310005"),
        ("5061460410120223210", "5061460410120223210"),
    ] {
        for (field, status) in in_every_identifier(&mut client, text).await {
            let ending = format!("\n  {field} {HOLDS_CARD_NUMBER}");
            assert!(told(&status).ends_with(&ending), "{field}, {text}");
            assert!(!everything(&status).contains(digits));
        }
        let actor = proto::ChargeRequest { actor: text.into(), ..requests::charge("order-1") };
        let reason = proto::RefundRequest {
            reason: format!("customer's card {text}"),
            actor: text.into(),
            ..requests::refund("refund-1", "order-1", None)
        };
        let mut in_card = requests::card(GOOD_CARD);
        let Some(PaymentMethod::Card(card)) = &mut in_card.payment_method else { unreachable!() };
        card.holder_name = format!("Ada {text}");
        let mut in_account = requests::bank_account("0123456789");
        let Some(PaymentMethod::BankAccount(account)) = &mut in_account.payment_method else {
            unreachable!()
        };
        account.account_name = text.into();
        for (status, fields) in [
            (client.charge(actor).await.map(drop), &["actor"][..]),
            (client.refund(reason).await.map(drop), &["reason", "actor"]),
            (client.tokenize(in_card).await.map(drop), &["card.holder_name"]),
            (client.tokenize(in_account).await.map(drop), &["bank_account.account_name"]),
        ] {
            let status = status.expect_err("a refusal");
            assert_eq!(status.code(), Code::InvalidArgument);
            assert_eq!(faulty_fields(&status), fields);
            assert!(!everything(&status).contains(digits), "{text}");
        }
        assert!(!logs.text().contains(digits), "{text} is in the logs");
    }
    assert!(stub.seen().is_empty(), "nothing reaches Zentra");
}

#[tokio::test]
async fn a_card_number_is_no_bank_code() {
    let (stub, sidecar) = guarded().await;
    let mut request = requests::bank_account("0123456789");
    let Some(PaymentMethod::BankAccount(account)) = &mut request.payment_method else {
        unreachable!()
    };
    account.bank_code = GOOD_CARD.into();
    let status = sidecar.client().tokenize(request).await.unwrap_err();
    assert!(
        told(&status).ends_with(&format!("\n  bank_account.bank_code {HOLDS_CARD_NUMBER}")),
        "{}",
        told(&status)
    );
    assert!(!everything(&status).contains(GOOD_CARD) && stub.seen().is_empty());
}

#[tokio::test]
async fn times_in_references_are_no_card_numbers() {
    let (stub, sidecar) = guarded().await;
    for reference in ["order-1764000000000", "1764000000000", "1764000000000000000"] {
        let request = requests::get_charge(reference);
        let status = sidecar.client().get_charge(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "the stub's 500, so that it was asked");
    }
    let asked: BTreeSet<_> = stub.seen().into_iter().map(|it| it.path).collect();
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn amounts_and_currencies() {
    const NOT_POSITIVE: &str = "must be greater than 0, in the currency's minor unit";
    const TOO_LARGE: &str = "must be at most 9007199254740991 (2^53 - 1)";
    const CURRENCY: &str = "must be an ISO 4217 code of three upper-case letters, such as NGN";
    let (stub, sidecar) = guarded().await;
    let mut client = sidecar.client();
    for (amount_minor, currency, faults) in [
        (0, "NGN", vec![("amount.amount_minor", NOT_POSITIVE)]),
        (-1, "NGN", vec![("amount.amount_minor", NOT_POSITIVE)]),
        (i64::MIN, "NGN", vec![("amount.amount_minor", NOT_POSITIVE)]),
        (i64::MAX, "NGN", vec![("amount.amount_minor", TOO_LARGE)]),
        ((1 << 53), "NGN", vec![("amount.amount_minor", TOO_LARGE)]),
        (1, "ngn", vec![("amount.currency", CURRENCY)]),
        (1, "ZZZ", vec![("amount.currency", CURRENCY)]),
        (1, "N\0N", vec![("amount.currency", CURRENCY)]),
        (1, "", vec![("amount.currency", "is required")]),
        (-5, "Ngn", vec![("amount.amount_minor", NOT_POSITIVE), ("amount.currency", CURRENCY)]),
    ] {
        let amount = Some(Money { amount_minor, currency: currency.into() });
        let charge = proto::ChargeRequest { amount: amount.clone(), ..requests::charge("order-1") };
        let renew = proto::RenewRequest { amount: amount.clone(), ..requests::renew("order-1") };
        let refund = proto::RefundRequest { amount, ..requests::refund("r-1", "order-1", None) };
        for status in [
            client.charge(charge).await.map(drop),
            client.renew(renew).await.map(drop),
            client.refund(refund).await.map(drop),
        ] {
            let told = told(&status.expect_err("a refusal"));
            let mut expected = String::new();
            for (field, fault) in &faults {
                expected = format!("{expected}\n  {field} {fault}");
            }
            assert!(told.starts_with("InvalidArgument INVALID_REQUEST"), "{told}");
            assert!(told.ends_with(&format!("never again{expected}")), "{told}");
        }
    }
    assert!(stub.seen().is_empty(), "nothing reaches Zentra");
}

#[tokio::test]
async fn an_empty_request_hears_of_every_field_at_once() {
    let (_stub, sidecar) = guarded().await;
    let mut client = sidecar.client();
    let charge = client.charge(proto::ChargeRequest::default()).await.unwrap_err();
    let of_charge = ["idempotency_key", "reference", "amount", "customer_id", "payment_token_id"];
    assert_eq!(faulty_fields(&charge), of_charge);
    let renew = client.renew(proto::RenewRequest::default()).await.unwrap_err();
    assert_eq!(faulty_fields(&renew), of_charge);
    let refund = client.refund(proto::RefundRequest::default()).await.unwrap_err();
    assert_eq!(faulty_fields(&refund), ["idempotency_key", "reference", "charge_reference"]);
    let tokenize = client.tokenize(proto::TokenizeRequest::default()).await.unwrap_err();
    assert_eq!(faulty_fields(&tokenize), ["idempotency_key", "customer_id", "payment_method"]);
    let payment_method = Some(PaymentMethod::Card(proto::Card::default()));
    let empty_card = proto::TokenizeRequest { payment_method, ..Default::default() };
    let tokenize = client.tokenize(empty_card).await.unwrap_err();
    assert_eq!(
        faulty_fields(&tokenize),
        ["idempotency_key", "customer_id", "card.number", "card.expiry_month", "card.expiry_year"]
    );
    let verify = client.verify(proto::VerifyRequest::default()).await.unwrap_err();
    assert_eq!(faulty_fields(&verify), ["reference"]);
    let list = client.list_tokens(proto::ListTokensRequest::default()).await.unwrap_err();
    assert_eq!(faulty_fields(&list), ["customer_id"]);
}

#[tokio::test]
async fn bad_cards_are_refused_and_none_of_it_is_repeated() {
    let logs = Logs::capture();
    let (stub, sidecar) = guarded().await;
    for (number, month, year, cvv, faults) in [
        ("4242424242424241", 12, 2030, "739", vec!["card.number"]),
        ("4242 4242 4242 4242", 12, 2030, "739", vec!["card.number"]),
        ("424242424242", 12, 2030, "739", vec!["card.number"]),
        ("42424242424242424242", 12, 2030, "739", vec!["card.number"]),
        ("4242424242424242", 10, 2026, "739", vec!["card.expiry_year"]),
        ("4242424242424242", 12, 2025, "739", vec!["card.expiry_year"]),
        ("4242424242424242", 12, 26, "739", vec!["card.expiry_year"]),
        ("4242424242424242", 12, i32::MAX, "739", vec!["card.expiry_year"]),
        ("4242424242424242", 13, 2030, "739", vec!["card.expiry_month"]),
        ("4242424242424242", i32::MIN, 2030, "739", vec!["card.expiry_month"]),
        ("4242424242424242", 12, 2030, "73", vec!["card.cvv"]),
        ("4242424242424242", 12, 2030, "7391", vec!["card.cvv"]),
        ("378282246310005", 12, 2030, "739", vec!["card.cvv"]),
        ("4242424242424242", 12, 2030, "73x", vec!["card.cvv"]),
        (
            "4242424242424241",
            0,
            0,
            "73",
            vec!["card.number", "card.expiry_month", "card.expiry_year", "card.cvv"],
        ),
    ] {
        let mut request = requests::card(number);
        let Some(PaymentMethod::Card(card)) = &mut request.payment_method else { unreachable!() };
        (card.expiry_month, card.expiry_year, card.cvv) = (month, year, cvv.into());
        let status = sidecar.client().tokenize(request).await.unwrap_err();
        assert!(
            told(&status)
                .starts_with("InvalidArgument INVALID_REQUEST money_moved=unknown sent=false"),
            "{}",
            told(&status)
        );
        assert_eq!(faulty_fields(&status), faults);
        assert!(!everything(&status).contains(cvv), "{cvv} in {status:?}");
        for secret in [number, "Ada Canary"] {
            assert!(!everything(&status).contains(secret), "{secret} in {status:?}");
            assert!(!logs.text().contains(secret), "{secret} is in the logs");
        }
    }
    assert!(stub.seen().is_empty(), "nothing reaches Zentra");
}

#[tokio::test]
async fn bad_bank_accounts() {
    let (stub, sidecar) = guarded().await;
    for (number, bank_code, faults) in [
        ("123", "058", vec!["bank_account.account_number"]),
        ("12 34 56", "058", vec!["bank_account.account_number"]),
        ("", "", vec!["bank_account.account_number", "bank_account.bank_code"]),
        ("0123456789", "../058", vec!["bank_account.bank_code"]),
        ("0123456789", "05812345678901234", vec!["bank_account.bank_code"]),
    ] {
        let mut request = requests::bank_account(number);
        let Some(PaymentMethod::BankAccount(account)) = &mut request.payment_method else {
            unreachable!()
        };
        account.bank_code = bank_code.into();
        let status = sidecar.client().tokenize(request).await.unwrap_err();
        assert_eq!(faulty_fields(&status), faults);
    }
    assert!(stub.seen().is_empty(), "nothing reaches Zentra");
}

#[tokio::test]
async fn waits_and_pages_out_of_bounds() {
    let (stub, sidecar) = guarded().await;
    let mut client = sidecar.client();
    for (seconds, nanos) in
        [(-1, 0), (0, -1), (301, 0), (300, 1), (i64::MAX, i32::MAX), (i64::MIN, i32::MIN)]
    {
        let wait = Some(prost_types::Duration { seconds, nanos });
        let request = proto::VerifyRequest { wait, ..requests::verify("order-1") };
        let status = client.verify(request).await.unwrap_err();
        let expected = "InvalidArgument INVALID_REQUEST reference=order-1; never again\n  \
                        wait must be 0 to 300 seconds";
        assert_eq!(told(&status), expected, "{seconds} {nanos}");
    }
    for (page_size, page_token, fields) in [
        (-1, "", vec!["page_size"]),
        (0, "nonsense", vec!["page_token"]),
        (0, "MS8yLzIwL3Rva2Vucy9jdXNfMQ", vec!["page_token"]),
        (i32::MIN, "nonsense", vec!["page_size", "page_token"]),
    ] {
        let status =
            client.list_charges(requests::list_charges(page_size, page_token)).await.unwrap_err();
        assert_eq!(faulty_fields(&status), fields, "{page_size} {page_token}");
    }
    assert!(stub.seen().is_empty(), "nothing reaches Zentra");
}

#[tokio::test]
async fn free_texts_with_what_no_log_or_terminal_should_show() {
    let logs = Logs::capture();
    let (stub, sidecar) = guarded().await;
    for text in ["a\nlevel=error", "a\u{1b}[2J", "a\u{202e}b", "a\0", "\u{feff}a"] {
        let request = proto::RefundRequest {
            reason: text.into(),
            actor: text.into(),
            ..requests::refund("refund-1", "order-1", None)
        };
        let status = sidecar.client().refund(request).await.unwrap_err();
        let fault = "must not contain control or invisible characters";
        let ending = format!("never again\n  reason {fault}\n  actor {fault}");
        assert!(told(&status).ends_with(&ending), "{}", told(&status));
        assert!(!everything(&status).contains(text) && !logs.text().contains(text));
    }
    assert!(stub.seen().is_empty(), "nothing reaches Zentra");
}

#[test]
fn card_data_does_not_show_in_debug() {
    for request in [requests::card(GOOD_CARD), requests::bank_account("0123456789")] {
        let method = request.payment_method.clone().unwrap();
        for shown in [format!("{request:?}"), format!("{request:#?}"), format!("{method:?}")] {
            for secret in [GOOD_CARD, "739", "Ada", "0123456789", "058", "2030"] {
                assert!(!shown.contains(secret), "{secret} in {shown}");
            }
        }
    }
}
