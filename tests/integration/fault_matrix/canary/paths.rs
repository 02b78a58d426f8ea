//! The ways that a call with card data may go.

use std::pin::Pin;
use std::time::Duration;

use serde_json::json;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use zentra_sidecar::grpc::proto;
use zentra_sidecar::grpc::proto::payment_service_client::PaymentServiceClient;
use zentra_sidecar::grpc::proto::tokenize_request::PaymentMethod;
use zentra_sidecar::simulator::{Action, Fault, Route};

use super::cards::{account, card, number, secrets};
use super::sinks::DENIED;
use super::{reasons, routes};
use crate::fault_matrix::lab::{CUSTOMER, Lab};
use crate::fault_matrix::sidecar::money;
use crate::support::raw;
use crate::support::told::everything;

/// Whose data Zentra's own answers repeat.
pub(super) const ECHOED: usize = 99_998;

/// How often a fault comes about that comes now and then: more often than a way has calls.
const HITS: u32 = 100;

pub(super) type Client = PaymentServiceClient<Channel>;
pub(super) type Told = Pin<Box<dyn Future<Output = String> + Send>>;

/// Which of the sidecars is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum At {
    /// One that takes card data.
    Accepting,
    /// One that does not.
    Refusing,
    /// One whose caller an operator has stopped.
    Stopped,
    /// One whose caller may save one card of a customer's, and no more.
    Limited,
    /// One with a place for a single call.
    Narrow,
    /// One that this process may not call.
    Closed,
    /// One whose store is not there.
    Storeless,
    /// One whose Zentra is not there.
    Stranded,
    /// One that is about to end, which it does after the calls of its one way.
    Ending,
}

impl At {
    /// Those that are there from the start to the end.
    pub(super) const ALL: [Self; 8] = [
        Self::Accepting,
        Self::Refusing,
        Self::Stopped,
        Self::Limited,
        Self::Narrow,
        Self::Closed,
        Self::Storeless,
        Self::Stranded,
    ];
}

/// One way.
pub(super) struct Path {
    pub(super) name: &'static str,
    /// What some of its answers say.
    pub(super) told: &'static str,
    /// What the sidecar's log then says too, of callers who see no answer.
    pub(super) logged: Option<&'static str>,
    pub(super) at: At,
    /// Sets Zentra up.
    pub(super) prepare: fn(&Lab),
    /// Makes a call, and gives everything that its caller sees.
    pub(super) call: fn(Client, usize) -> Told,
    /// Bytes that are sent to Tokenize in place of that.
    pub(super) bytes: Option<fn(usize) -> Vec<u8>>,
}

pub(super) fn told<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> String {
    match answer {
        Ok(answer) => format!("{:?} {:?}", answer.metadata(), answer.get_ref()),
        Err(status) => everything(&status),
    }
}

/// Sends bytes that may be no message.
pub(super) fn send_bytes(channel: Channel, bytes: Vec<u8>) -> Told {
    Box::pin(async move {
        match raw::send(channel, "Tokenize", bytes).await {
            Ok(answer) => format!("{answer:?}"),
            Err(status) => everything(&status),
        }
    })
}

pub(super) fn save(client: Client, request: proto::TokenizeRequest) -> Told {
    // For a repeat too, on a machine that has other things to do.
    save_within(Duration::from_secs(10), client, request)
}

pub(super) fn save_within(
    time: Duration,
    mut client: Client,
    request: proto::TokenizeRequest,
) -> Told {
    let mut request = Request::new(request);
    request.set_timeout(time);
    Box::pin(async move { told(client.tokenize(request).await) })
}

pub(super) fn save_card(client: Client, index: usize) -> Told {
    save(client, card(index))
}

/// Where doubt lasts for as long as the caller waits: no longer than for one try.
fn save_hastily(client: Client, index: usize) -> Told {
    save_within(Duration::from_millis(1400), client, card(index))
}

pub(super) fn spoilt(client: Client, index: usize, spoil: impl FnOnce(&mut proto::Card)) -> Told {
    let mut request = card(index);
    if let Some(PaymentMethod::Card(card)) = &mut request.payment_method {
        spoil(card);
    }
    save(client, request)
}

pub(super) fn charge(index: usize) -> proto::ChargeRequest {
    proto::ChargeRequest {
        idempotency_key: format!("charge-key-{index}"),
        reference: format!("order-{index}"),
        amount: Some(money(1000)),
        customer_id: CUSTOMER.to_owned(),
        payment_token_id: "tok_1".to_owned(),
        actor: String::new(),
    }
}

fn ask_charge(mut client: Client, request: proto::ChargeRequest) -> Told {
    Box::pin(async move { told(client.charge(request).await) })
}

/// Of four requests the first, as a row of such failures opens the circuit, and then nothing reaches
/// Zentra.
fn sometimes(lab: &Lab, action: &Action) {
    for hit in 0..HITS {
        lab.zentra.inject(Fault::on(Route::TokenizeCard, action.clone()).skip(3 * hit));
    }
}

fn always(lab: &Lab, action: Action) {
    always_at(lab, Route::TokenizeCard, action);
}

pub(super) fn always_at(lab: &Lab, route: Route, action: Action) {
    lab.zentra.inject(Fault::on(route, action).times(0));
}

/// An answer of Zentra's that repeats what nobody should, as an error does.
pub(super) fn echo(status: u16, code: &str) -> Action {
    let [number, _, name] = secrets(ECHOED);
    let body = format!(
        r#"{{"success":false,"error":{{"code":"{code}","message":"{number} of {name} {number}","field":"{number}"}},"meta":{{"requestId":"{number}"}}}}"#
    );
    answer(status, false, body)
}

/// The same, as the answer does that tells of an object; nothing in it is what was asked for.
pub(super) fn echoed_object() -> Action {
    let [number, account, name] = secrets(ECHOED);
    let body = json!({
        "success": true,
        "data": {
            "id": number, "reference": number, "status": number, "amount_minor": 1000, "currency": "NGN",
            "customer_id": number, "payment_token_id": number, "capture_mode": number,
            "redirect_url": format!("https://shop.example/{number}"),
            "card": { "brand": number, "last4": number, "number": number, "holder_name": name },
            "account_number": account, "message": format!("{number} of {name}"),
        },
        "meta": { "requestId": number },
    });
    answer(200, false, body.to_string())
}

fn answer(status: u16, effect: bool, body: String) -> Action {
    Action::Status { status, effect, code: None, body: Some(body), retry_after: None }
}

fn plain(status: u16, effect: bool) -> Action {
    Action::Status { status, effect, code: None, body: None, retry_after: None }
}

fn coded(status: u16, code: &str) -> Action {
    let code = Some(code.to_owned());
    Action::Status { status, effect: false, code, body: None, retry_after: None }
}

/// All cards under one key.
fn another_card(client: Client, index: usize) -> Told {
    let idempotency_key = "the-only-key".to_owned();
    save(client, proto::TokenizeRequest { idempotency_key, ..card(index) })
}

/// The same card twice: one of the two calls waits for the other.
fn twice_at_once(client: Client, index: usize) -> Told {
    let (one, two) = (save_card(client.clone(), index), save_card(client, index));
    Box::pin(async move {
        let (one, two) = tokio::join!(one, two);
        one + &two
    })
}

/// Under one key after the other, until the circuit is open.
fn until_nothing_is_sent(client: Client, index: usize) -> Told {
    Box::pin(async move {
        let mut told = String::new();
        for repeat in 0..12 {
            let idempotency_key = format!("key-{index}-{repeat}");
            let request = proto::TokenizeRequest { idempotency_key, ..card(index) };
            told += &save(client.clone(), request).await;
            if told.contains("CIRCUIT_OPEN") {
                break;
            }
        }
        told
    })
}

pub(super) fn path(name: &'static str, told: &'static str, prepare: fn(&Lab)) -> Path {
    let at = At::Accepting;
    Path { name, told, logged: None, at, prepare, call: save_card, bytes: None }
}

/// A way on which nobody knows what became of the card.
fn doubtful(name: &'static str, prepare: fn(&Lab)) -> Path {
    Path { call: save_hastily, ..path(name, "OUTCOME_UNKNOWN", prepare) }
}

pub(super) fn nothing(_: &Lab) {}

/// All of them.
pub(super) fn paths() -> Vec<Path> {
    // Before those that open the circuit.
    let mut paths = routes::paths();
    paths.extend(reasons::paths());
    paths.extend(upstream());
    paths.extend(own());
    paths.extend(of_other_calls());
    paths
}

/// Those that Zentra decides.
fn upstream() -> Vec<Path> {
    vec![
        path("saved", "path: Direct", nothing),
        path("saved with an echo", "path: Direct", |lab| always(lab, echoed_object())),
        Path {
            call: |client, index| save(client, account(index)),
            ..path("account", "path: Direct", nothing)
        },
        // Before those that are doubtful again and again, which leave nothing to pay for a repeat.
        path("cut short", "attempts: 2", |lab| {
            sometimes(lab, &Action::Truncated { keep: Some(20) });
        }),
        path("reset", "attempts: 2", |lab| sometimes(lab, &Action::ResetBefore)),
        path("server error", "attempts: 2", |lab| sometimes(lab, &plain(500, true))),
        path("unavailable with an echo", "attempts: 2", |lab| sometimes(lab, &echo(503, "x"))),
        path("refused with an echo", "UPSTREAM_REJECTED", |lab| {
            always(lab, echo(422, "invalid_format"));
        }),
        path("unknown code with an echo", "UPSTREAM_REJECTED", |lab| {
            always(lab, echo(400, "4539"));
        }),
        doubtful("an echo that is no error's", |lab| always(lab, echo(200, "x"))),
        path("key refused", "UPSTREAM_AUTH", |lab| always(lab, plain(401, false))),
        path("too many", "UPSTREAM_RATE_LIMITED", |lab| always(lab, plain(429, false))),
        doubtful("not JSON", |lab| {
            always(lab, Action::NotJson { body: Some(secrets(ECHOED).join(" ")) });
        }),
        path("declined", "card_declined", |lab| always(lab, coded(422, "card_declined"))),
        doubtful("a decline of a kind that no token has", |lab| {
            always(lab, echo(402, "card_declined"));
        }),
        path("nowhere", "UPSTREAM_NOT_FOUND", |lab| always(lab, echo(404, "not_found"))),
        doubtful("key in use", |lab| {
            always(lab, coded(409, "idempotency_key_in_use"));
        }),
        path("another card under the key at Zentra", "IDEMPOTENCY_KEY_REUSED", |lab| {
            always(lab, echo(409, "idempotency_key_mismatch"));
        }),
        doubtful("a conflict of no known kind", |lab| always(lab, echo(409, "x"))),
        Path { call: another_card, ..path("another card", "IDEMPOTENCY_KEY_REUSED", nothing) },
        Path { call: twice_at_once, ..path("twice at once", "path: Replayed", nothing) },
        // Whose calls may end together, which opens the circuit.
        doubtful("no answer in time", |lab| {
            sometimes(lab, &Action::AnswerLost { close_after: None });
        }),
        Path {
            call: until_nothing_is_sent,
            ..path("circuit open", "CIRCUIT_OPEN", |lab| always(lab, plain(500, false)))
        },
    ]
}

/// Those that the sidecar decides.
fn own() -> Vec<Path> {
    vec![
        Path {
            call: |client, index| {
                let customer_id = DENIED.to_owned();
                save(client, proto::TokenizeRequest { customer_id, ..card(index) })
            },
            ..path("denied by the policy", "POLICY_DENIED", nothing)
        },
        Path { at: At::Refusing, ..path("card data refused", "CARD_DATA_REFUSED", nothing) },
        Path { at: At::Stopped, ..path("stopped", "STOPPED", nothing) },
        Path {
            at: At::Narrow,
            call: twice_at_once,
            ..path("no place", "OVERLOADED", |lab| {
                always(lab, Action::DelayBefore(Duration::from_millis(100)));
            })
        },
        Path { at: At::Closed, ..path("not allowed", "CALLER_NOT_ALLOWED", nothing) },
        Path { at: At::Storeless, ..path("no store", "IDEMPOTENCY_STORE_UNAVAILABLE", nothing) },
        Path {
            call: |client, index| spoilt(client, index, |card| card.number.push('7')),
            ..path("no such number", "INVALID_REQUEST", nothing)
        },
        Path {
            call: |client, index| spoilt(client, index, |card| card.expiry_year = 2001),
            ..path("expired", "INVALID_REQUEST", nothing)
        },
        Path {
            call: |client, index| spoilt(client, index, |card| card.cvv = "73".to_owned()),
            ..path("short code", "INVALID_REQUEST", nothing)
        },
        Path {
            call: |client, index| {
                spoilt(client, index, |card| card.holder_name = card.number.clone())
            },
            ..path("number for a name", "INVALID_REQUEST", nothing)
        },
        Path {
            call: |client, index| {
                save(client, proto::TokenizeRequest { actor: number(index), ..card(index) })
            },
            ..path("number for an actor", "INVALID_REQUEST", nothing)
        },
        Path {
            call: |client, index| {
                save(
                    client,
                    proto::TokenizeRequest { idempotency_key: number(index), ..card(index) },
                )
            },
            ..path("number for a key", "INVALID_REQUEST", nothing)
        },
    ]
}

/// Those of other calls than Tokenize, and of one that has no time.
fn of_other_calls() -> Vec<Path> {
    vec![
        Path {
            call: |client, index| {
                ask_charge(
                    client,
                    proto::ChargeRequest { reference: number(index), ..charge(index) },
                )
            },
            ..path("number for a reference", "INVALID_REQUEST", nothing)
        },
        Path {
            call: |client, index| {
                let grouped = format!("order-{}", &number(index)[..4]) + " " + &number(index);
                ask_charge(client, proto::ChargeRequest { customer_id: grouped, ..charge(index) })
            },
            ..path("number for a customer", "INVALID_REQUEST", nothing)
        },
        Path {
            call: |mut client, index| {
                let request = proto::GetChargeRequest { reference: number(index) };
                Box::pin(async move { told(client.get_charge(request).await) })
            },
            ..path("number for a read", "INVALID_REQUEST", nothing)
        },
        Path {
            call: |mut client, index| {
                let mut request = Request::new(card(index));
                // As a header alone, so that the sidecar's answer comes and not the client's own.
                request.metadata_mut().insert("grpc-timeout", "50m".parse().unwrap());
                Box::pin(async move { told(client.tokenize(request).await) })
            },
            ..path("too hasty", "DEADLINE_TOO_SHORT", nothing)
        },
    ]
}

/// An answer with a secret in it, as a mistake would make one.
pub(super) fn answer_with(secret: &str) -> Result<proto::TokenizeResponse, String> {
    let token = proto::PaymentToken { id: secret.to_owned(), ..proto::PaymentToken::default() };
    Ok(proto::TokenizeResponse { token: Some(token), execution: None })
}
