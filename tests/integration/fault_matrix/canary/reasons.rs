//! The ways to those errors that take more than one wrong call: a caller who hangs up, a sidecar at
//! its end, records that stand before the call, a Zentra that contradicts or repeats. Where the
//! error is none of Tokenize's, the card is in what comes along, and in Zentra's answer.

use std::time::Duration;

use tokio::time::timeout;
use zentra_sidecar::grpc::proto;
use zentra_sidecar::simulator::{Action, Route};

use super::cards::{KEPT, card};
use super::paths::{
    At, Client, Path, Told, always_at, charge, echo, echoed_object, nothing, path, save, save_card,
    save_within, told,
};
use super::records::{SETTLED, TOO_NEW, UNRESOLVED};
use super::routes::{BOUGHT, DECLINED, PRICE_MINOR, noted, refund, renewal};
use crate::fault_matrix::lab::Lab;
use crate::fault_matrix::sidecar::money;

/// All of them.
pub(super) fn paths() -> Vec<Path> {
    let mut paths = of_tokenize();
    paths.extend(of_charges());
    paths.extend(of_the_rest());
    paths
}

/// Zentra takes so long, where somebody else is to be faster.
const SLOW: Duration = Duration::from_secs(1);
/// How long a caller has who is told that another is at it, and one who hangs up before.
const HASTY: Duration = Duration::from_millis(800);
const IMPATIENT: Duration = Duration::from_millis(250);

fn zentra_is_slow(lab: &Lab) {
    always_at(lab, Route::TokenizeCard, Action::DelayBefore(SLOW));
}

fn of_tokenize() -> Vec<Path> {
    vec![
        Path {
            call: hang_up,
            logged: Some(
                r#""operation":"tokenize","caller":"shop/checkout","outcome":"CANCELLED""#,
            ),
            ..path("a caller who hangs up", "hung up", zentra_is_slow)
        },
        Path { call: ask_twice, ..path("under way", "IDEMPOTENCY_IN_PROGRESS", zentra_is_slow) },
        Path { at: At::Ending, ..path("about to end", "SHUTTING_DOWN", nothing) },
        Path { at: At::Stranded, ..path("no Zentra", "UPSTREAM_UNREACHABLE", nothing) },
        Path {
            call: |client, _| save_kept(client, TOO_NEW),
            ..path("of a newer release", "RECORD_TOO_NEW", nothing)
        },
        Path {
            call: |client, _| save_kept(client, SETTLED),
            ..path("settled by an operator", "OUTCOME_SETTLED", nothing)
        },
        Path {
            call: |client, _| save_kept(client, UNRESOLVED),
            ..path("unknown for good", "OUTCOME_UNRESOLVED", nothing)
        },
    ]
}

fn hang_up(mut client: Client, index: usize) -> Told {
    Box::pin(async move {
        match timeout(IMPATIENT, client.tokenize(card(index))).await {
            Ok(answer) => told(answer),
            Err(_) => "hung up".to_owned(),
        }
    })
}

/// The second caller has less time than Zentra takes for the first.
fn ask_twice(client: Client, index: usize) -> Told {
    let hasty = save_within(HASTY, client.clone(), card(index));
    let patient = save_card(client, index);
    Box::pin(async move {
        let (patient, hasty) = tokio::join!(patient, hasty);
        patient + &hasty
    })
}

/// The card under a key that has a record.
pub(super) fn save_kept(client: Client, key: &str) -> Told {
    save(client, proto::TokenizeRequest { idempotency_key: key.to_owned(), ..card(KEPT) })
}

fn of_charges() -> Vec<Path> {
    vec![
        Path {
            call: ask_charge,
            ..path("another charge than was asked for", "OUTCOME_CONFLICT", |lab| {
                always_at(lab, Route::CreateCharge, echoed_object());
            })
        },
        Path {
            call: ask_charge,
            ..path("a reference that is taken", "REFERENCE_ALREADY_USED", |lab| {
                always_at(lab, Route::CreateCharge, echo(409, "duplicate_reference"));
                always_at(lab, Route::GetCharge, echoed_object());
            })
        },
        Path {
            call: buy_again,
            ..path("found by a look-up", "path: Recovered", |lab| {
                always_at(lab, Route::CreateCharge, applied(echo(200, "x")));
            })
        },
        Path {
            call: ask_charge,
            ..path("a look-up that meets an echo", "OUTCOME_UNKNOWN", |lab| {
                always_at(lab, Route::CreateCharge, echo(200, "x"));
                always_at(lab, Route::GetCharge, echo(422, "invalid_format"));
            })
        },
        Path {
            call: |mut client, index| {
                Box::pin(async move { told(client.renew(noted(index, renewal(index))).await) })
            },
            ..path("not ready for renewals", "TOKEN_NOT_READY", |lab| {
                always_at(lab, Route::CreateCharge, echo(409, "token_not_ready"));
            })
        },
    ]
}

fn of_the_rest() -> Vec<Path> {
    vec![
        Path {
            call: |client, index| {
                let amount = Some(money(PRICE_MINOR + 1));
                give_back(client, index, proto::RefundRequest { amount, ..refund(index) })
            },
            ..path("more than was paid", "REFUND_EXCEEDS_CHARGE", nothing)
        },
        Path {
            call: |client, index| {
                let charge_reference = DECLINED.to_owned();
                give_back(client, index, proto::RefundRequest { charge_reference, ..refund(index) })
            },
            ..path("nothing was paid", "CHARGE_NOT_REFUNDABLE", nothing)
        },
        Path {
            call: read_charge,
            ..path("a read of what is not there", "NOT_FOUND", |lab| {
                always_at(lab, Route::GetCharge, echo(404, "not_found"));
            })
        },
        Path {
            call: read_charge,
            ..path("a read of what makes no sense", "UPSTREAM_UNAVAILABLE", |lab| {
                always_at(lab, Route::GetCharge, echo(200, "x"));
            })
        },
    ]
}

/// The same answer, to a request that was applied.
fn applied(answer: Action) -> Action {
    match answer {
        Action::Status { status, code, body, retry_after, .. } => {
            Action::Status { status, effect: true, code, body, retry_after }
        }
        other => other,
    }
}

fn ask_charge(mut client: Client, index: usize) -> Told {
    Box::pin(async move { told(client.charge(noted(index, charge(index))).await) })
}

/// Charges the card that has been charged before.
fn buy_again(mut client: Client, index: usize) -> Told {
    Box::pin(async move {
        let request = proto::GetChargeRequest { reference: BOUGHT.to_owned() };
        let bought = client.get_charge(request).await.unwrap().into_inner().charge.unwrap();
        let payment_token_id = bought.payment_token_id;
        let request = proto::ChargeRequest { payment_token_id, ..charge(index) };
        told(client.charge(noted(index, request)).await)
    })
}

fn give_back(mut client: Client, index: usize, request: proto::RefundRequest) -> Told {
    Box::pin(async move { told(client.refund(noted(index, request)).await) })
}

fn read_charge(mut client: Client, index: usize) -> Told {
    let request = noted(index, proto::GetChargeRequest { reference: BOUGHT.to_owned() });
    Box::pin(async move { told(client.get_charge(request).await) })
}

/// What no way leads to, nobody looks at: a new reason needs a new way.
#[test]
fn some_way_leads_to_every_reason_of_an_error() {
    let told: Vec<&str> = super::paths::paths().iter().map(|path| path.told).collect();
    for reason in crate::docs::error_reasons() {
        assert!(told.contains(&reason.as_str()), "no way leads to {reason}");
    }
}
