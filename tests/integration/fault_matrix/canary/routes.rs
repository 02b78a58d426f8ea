//! The ways of the other calls, whose texts may hold what they should not, and of what comes beside a
//! message or in its place.

use prost::Message as _;
use serde_json::json;
use tonic::Request;
use zentra_sidecar::grpc::proto;
use zentra_sidecar::simulator::Route;

use super::cards::{account, card, number};
use super::paths::{
    At, Client, Path, Told, always_at, charge, echo, nothing, path, save, spoilt, told,
};
use crate::fault_matrix::lab::{CUSTOMER, Lab, direct, token};
use crate::fault_matrix::sidecar::money;

/// A charge that is there from the start, to be given back bit by bit.
pub(super) const BOUGHT: &str = "bought";
/// Its amount.
pub(super) const PRICE_MINOR: i64 = 100_000_000;
/// A charge that is there too, and was declined.
pub(super) const DECLINED: &str = "declined";
const DECLINED_CARD: &str = "4000000000000002";

/// Makes the charge that is given back, and verifies it, so that its card can be charged again; and
/// one that cannot be given back.
pub(super) async fn buy(lab: &Lab) {
    let answer = charge_directly(lab, BOUGHT, &lab.token).await;
    assert_eq!(answer["data"]["status"], "successful", "{answer}");
    let declined = token(&lab.zentra, DECLINED_CARD).await;
    let answer = charge_directly(lab, DECLINED, &declined).await;
    assert_eq!(answer["data"]["status"], "failed", "{answer}");
    let verified = direct(&lab.zentra, &format!("charges/{BOUGHT}/verify"), &json!({})).await;
    assert_eq!(verified["success"], true, "{verified}");
}

async fn charge_directly(lab: &Lab, reference: &str, token: &str) -> serde_json::Value {
    let body = json!({
        "idempotency_key": format!("key-of-{reference}"),
        "reference": reference,
        "amount_minor": PRICE_MINOR,
        "currency": "NGN",
        "capture_mode": "customer_action_required",
        "customer_id": CUSTOMER,
        "payment_token_id": token,
    });
    direct(&lab.zentra, "charges", &body).await
}

fn echo_at(lab: &Lab, route: Route) {
    always_at(lab, route, echo(422, "invalid_format"));
}

/// A way on which Zentra refuses with an echo.
fn echoing(name: &'static str, prepare: fn(&Lab), call: fn(Client, usize) -> Told) -> Path {
    Path { call, ..path(name, "UPSTREAM_REJECTED", prepare) }
}

/// A way on which the sidecar refuses what the caller says.
fn refused(name: &'static str, call: fn(Client, usize) -> Told) -> Path {
    Path { call, ..path(name, "INVALID_REQUEST", nothing) }
}

pub(super) fn renewal(index: usize) -> proto::RenewRequest {
    proto::RenewRequest {
        idempotency_key: format!("renew-key-{index}"),
        reference: format!("renewal-{index}"),
        amount: Some(money(1000)),
        customer_id: CUSTOMER.to_owned(),
        payment_token_id: "tok_1".to_owned(),
        actor: String::new(),
    }
}

pub(super) fn refund(index: usize) -> proto::RefundRequest {
    proto::RefundRequest {
        idempotency_key: format!("refund-key-{index}"),
        reference: format!("refund-{index}"),
        charge_reference: BOUGHT.to_owned(),
        amount: Some(money(100)),
        reason: "it broke".to_owned(),
        actor: String::new(),
    }
}

fn renew(mut client: Client, request: proto::RenewRequest) -> Told {
    Box::pin(async move { told(client.renew(request).await) })
}

fn give_back(mut client: Client, request: proto::RefundRequest) -> Told {
    Box::pin(async move { told(client.refund(request).await) })
}

fn verify(mut client: Client, reference: String) -> Told {
    let request = proto::VerifyRequest { reference, wait: None };
    Box::pin(async move { told(client.verify(request).await) })
}

/// All of them.
pub(super) fn paths() -> Vec<Path> {
    let mut paths = echoes();
    paths.extend(of_other_writes());
    paths.extend(beside_the_message());
    paths
}

/// Those on which Zentra repeats what nobody should, route by route.
fn echoes() -> Vec<Path> {
    vec![
        echoing(
            "an account refused with an echo",
            |lab| echo_at(lab, Route::TokenizeBankAccount),
            |client, index| save(client, account(index)),
        ),
        echoing(
            "a charge refused with an echo",
            |lab| echo_at(lab, Route::CreateCharge),
            |mut client, index| Box::pin(async move { told(client.charge(charge(index)).await) }),
        ),
        echoing(
            "a renewal refused with an echo",
            |lab| echo_at(lab, Route::CreateCharge),
            |client, index| renew(client, renewal(index)),
        ),
        echoing(
            "a refund refused with an echo",
            |lab| echo_at(lab, Route::CreateRefund),
            |client, index| give_back(client, refund(index)),
        ),
        echoing(
            "a verify refused with an echo",
            |lab| echo_at(lab, Route::VerifyCharge),
            |client, _| verify(client, BOUGHT.to_owned()),
        ),
        echoing(
            "a charge read with an echo",
            |lab| echo_at(lab, Route::GetCharge),
            |mut client, _| {
                let request = proto::GetChargeRequest { reference: BOUGHT.to_owned() };
                Box::pin(async move { told(client.get_charge(request).await) })
            },
        ),
        echoing(
            "a refund read with an echo",
            |lab| echo_at(lab, Route::GetRefund),
            |mut client, index| {
                let request = proto::GetRefundRequest { reference: format!("refund-{index}") };
                Box::pin(async move { told(client.get_refund(request).await) })
            },
        ),
        echoing(
            "charges listed with an echo",
            |lab| echo_at(lab, Route::ListCharges),
            |mut client, _| {
                let request = proto::ListChargesRequest::default();
                Box::pin(async move { told(client.list_charges(request).await) })
            },
        ),
        echoing(
            "tokens listed with an echo",
            |lab| echo_at(lab, Route::ListTokens),
            |mut client, _| {
                let customer_id = CUSTOMER.to_owned();
                let request = proto::ListTokensRequest { customer_id, ..Default::default() };
                Box::pin(async move { told(client.list_tokens(request).await) })
            },
        ),
    ]
}

/// Renewals, refunds and looks at payments, well done and with a number where none belongs.
fn of_other_writes() -> Vec<Path> {
    vec![
        Path {
            call: |mut client, index| {
                let request = proto::GetChargeRequest { reference: BOUGHT.to_owned() };
                Box::pin(async move {
                    let bought = client.get_charge(request).await.unwrap().into_inner().charge;
                    let payment_token_id = bought.unwrap().payment_token_id;
                    let request = proto::RenewRequest { payment_token_id, ..renewal(index) };
                    told(client.renew(request).await)
                })
            },
            ..path("renewed", "path: Direct", nothing)
        },
        Path {
            call: |client, _| verify(client, BOUGHT.to_owned()),
            ..path("verified", "token_ready: true", nothing)
        },
        Path {
            call: |client, index| give_back(client, refund(index)),
            ..path("given back", "path: Direct", nothing)
        },
        refused("number for a reason", |client, index| {
            let reason = format!("paid by {}", number(index));
            give_back(client, proto::RefundRequest { reason, ..refund(index) })
        }),
        refused("number for a charge to be given back", |client, index| {
            let charge_reference = number(index);
            give_back(client, proto::RefundRequest { charge_reference, ..refund(index) })
        }),
        refused("number for a payment to be verified", |client, index| {
            verify(client, number(index))
        }),
        refused("number for the actor of a renewal", |client, index| {
            renew(client, proto::RenewRequest { actor: number(index), ..renewal(index) })
        }),
        Path { at: At::Limited, ..path("one card too many", "LIMIT_EXCEEDED", nothing) },
    ]
}

/// What the stack refuses before there is a message, and what comes along with one.
fn beside_the_message() -> Vec<Path> {
    vec![
        Path { bytes: Some(not_utf8), ..path("no UTF-8", "failed to decode", nothing) },
        Path {
            call: |client, index| {
                spoilt(client, index, |card| card.holder_name = card.number.repeat(5000))
            },
            ..path("too large", "too large", nothing)
        },
        Path {
            call: |client, index| {
                let number = number(index);
                save_traced(client, index, &format!("00-{number}{number}-{number}-01"))
            },
            ..path("numbers for a trace's ids", "path: Direct", nothing)
        },
        // Where the ids are good, the rest is looked at by itself.
        Path {
            call: |client, index| {
                let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
                save_traced(client, index, parent)
            },
            ..path("numbers beside a trace", "path: Direct", nothing)
        },
    ]
}

/// Saves a card within a trace, with its number in all else that comes along.
fn save_traced(mut client: Client, index: usize, parent: &str) -> Told {
    let mut request = noted(index, card(index));
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    Box::pin(async move { told(client.tokenize(request).await) })
}

/// A call with a card's number in all that comes along with its message.
pub(super) fn noted<T>(index: usize, message: T) -> Request<T> {
    let number = number(index);
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("tracestate", format!("shop={number}").parse().unwrap());
    metadata.insert("baggage", format!("card={number}").parse().unwrap());
    metadata.insert("x-note", number.parse().unwrap());
    request
}

/// A card whose number ends in a byte that no text has.
fn not_utf8(index: usize) -> Vec<u8> {
    let (number, mut message) = (number(index), card(index).encode_to_vec());
    let at = message.windows(number.len()).position(|it| it == number.as_bytes()).unwrap();
    message[at + number.len() - 1] = 0xff;
    message
}
