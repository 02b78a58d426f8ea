//! Row 6: whatever is asked, and whatever Zentra does, the answer comes before the caller's deadline,
//! with details. On a paused clock, so that "before" is exact.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::app::{self, Parts};
use zentra_sidecar::clock::Clock as _;
use zentra_sidecar::domain::{
    Caller, Card, CardParts, ChargeCommand, CustomerId, IdempotencyKey, Initiator, ListPage,
    PaymentMethod, Reference, RefundCommand, TokenizeCommand, VerifyCommand, Violations,
};
use zentra_sidecar::error::{Error, Reason};
use zentra_sidecar::gateway::{Call, CardData, Gateway};
use zentra_sidecar::policy::Policies;
use zentra_sidecar::readiness;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::TransportError;

use crate::lost_claim::command;
use crate::support::sidecar::{self, StandingClock};

/// What a Zentra in trouble does with every request.
#[derive(Clone, Copy, Debug)]
enum Far {
    Hangs,
    Breaks,
    Refuses,
    Answers(u16),
}

const FAR: [Far; 6] = [
    Far::Hangs,
    Far::Breaks,
    Far::Refuses,
    Far::Answers(429),
    Far::Answers(503),
    Far::Answers(409),
];

async fn gateway(far: Far) -> Gateway {
    let transport = tower::service_fn(move |_: Request<Bytes>| async move {
        match far {
            Far::Hangs => pending().await,
            Far::Breaks => Err(TransportError::Broken),
            Far::Refuses => Err(TransportError::NotSent),
            Far::Answers(status) => {
                let body = r#"{"error":{"code":"idempotency_key_in_use"}}"#;
                Ok(Response::builder().status(status).body(Bytes::from(body)).unwrap())
            }
        }
    });
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let clock = Arc::new(StandingClock);
    let transport = BoxCloneSyncService::new(transport);
    let parts = Parts::over(transport, &settings, clock.clone(), Telemetry::quiet());
    let (store, keys) = (parts.store.clone(), parts.keys.checks());
    store.init().await.unwrap();
    let draining = parts.draining.clone();
    let (readiness, _) = readiness::checked(store, keys, draining).await;
    let engine = app::engine(&settings, clock, parts);
    Gateway::new(engine, CardData::Accept, readiness, Arc::new(Policies::none()))
}

fn tokenize() -> TokenizeCommand {
    let parts = CardParts {
        number: "4242424242424242".into(),
        expiry_month: 12,
        expiry_year: 2030,
        security_code: "".into(),
        holder_name: "".into(),
    };
    let card = Card::new(parts, StandingClock.now(), &mut Violations::default()).unwrap();
    TokenizeCommand {
        idempotency_key: IdempotencyKey::new("key-1").unwrap(),
        customer_id: CustomerId::new("cus_1").unwrap(),
        payment_method: PaymentMethod::Card(card),
        actor: None,
    }
}

fn refund() -> RefundCommand {
    RefundCommand {
        idempotency_key: IdempotencyKey::new("key-1").unwrap(),
        reference: Reference::new("refund-1").unwrap(),
        charge_reference: Reference::new("order-1").unwrap(),
        amount: None,
        charge_amount: None,
        reason: None,
        actor: None,
    }
}

const OPERATIONS: [&str; 9] = [
    "tokenize",
    "charge",
    "renew",
    "refund",
    "verify",
    "verify and wait",
    "get charge",
    "get refund",
    "list charges",
];

async fn ask(gateway: &Gateway, operation: &str, call: Call) -> Result<(), Error> {
    let reference = Reference::new("order-1").unwrap();
    let verify = |seconds| VerifyCommand {
        reference: reference.clone(),
        wait: Duration::from_secs(seconds),
    };
    let renewal = ChargeCommand { initiator: Initiator::Merchant, ..command() };
    match operation {
        "tokenize" => gateway.tokenize(call, tokenize()).await.map(drop),
        "charge" => gateway.charge(call, command()).await.map(drop),
        "renew" => gateway.charge(call, renewal).await.map(drop),
        "refund" => gateway.refund(call, refund()).await.map(drop),
        "verify" => gateway.verify(call, verify(0)).await.map(drop),
        "verify and wait" => gateway.verify(call, verify(60)).await.map(drop),
        "get charge" => gateway.get_charge(call, reference).await.map(drop),
        "get refund" => gateway.get_refund(call, reference).await.map(drop),
        "list charges" => {
            let page = ListPage { number: 1, size: 10 };
            gateway.list_charges(call, page).await.map(drop)
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_is_answered_in_its_time_whatever_zentra_does() {
    for far in FAR {
        for operation in OPERATIONS {
            for time_ms in [50, 100, 150, 250, 500, 1000, 2000, 5000] {
                let gateway = gateway(far).await;
                let began = Instant::now();
                let time = Duration::from_millis(time_ms);
                let call = Call {
                    caller: Caller::new("local").unwrap(),
                    answer_by: began + time,
                    admitted: Admitted::default(),
                };
                let error = ask(&gateway, operation, call).await.unwrap_err();
                let what = format!("{operation} within {time_ms} ms, Zentra {far:?}: {error}");
                assert!(began.elapsed() <= time, "{what} after {:?}", began.elapsed());
                assert!(
                    matches!(
                        error.reason(),
                        Reason::OutcomeUnknown
                            | Reason::UpstreamUnavailable
                            | Reason::UpstreamUnreachable
                            | Reason::UpstreamRateLimited
                            // A long wait looks often enough to open it.
                            | Reason::CircuitOpen
                    ),
                    "{what}"
                );
            }
        }
    }
}
