//! Row 6: whatever is asked, and whatever Zentra and the store do, the answer comes before the
//! caller's deadline, with details: the reason, whether money moved, and whether anything was sent. On a paused clock, so that "before" is exact.

use std::collections::BTreeMap;
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
use zentra_sidecar::idempotency::Store;
use zentra_sidecar::policy::Policies;
use zentra_sidecar::readiness;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::TransportError;

use crate::lost_claim::{Losing, command};
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

async fn gateway(far: Far, each_store_step: Duration) -> Gateway {
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
    let store: Arc<dyn Store> = Arc::new(Losing::slow(each_store_step));
    let parts = Parts { store: store.clone(), ..parts };
    let keys = parts.keys.checks();
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

const TIMES_MS: [u64; 8] = [50, 100, 150, 250, 500, 1000, 2000, 5000];

/// How long each step takes at a store in trouble; one that takes longer than 500 ms has failed.
const SLOW_STORE: Duration = Duration::from_millis(400);

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

/// What is told: the reason, and for a write whether money moved and whether this call sent.
type Told = (Reason, Option<(&'static str, bool)>);

/// What is told before a store that answers at once.
fn expected(operation: &str, far: Far, time_ms: u64) -> Told {
    let is_limited = matches!(far, Far::Answers(429));
    let read = if is_limited { Reason::UpstreamRateLimited } else { Reason::UpstreamUnavailable };
    match (operation, far) {
        ("tokenize" | "charge" | "renew", Far::Refuses) => {
            (Reason::UpstreamUnreachable, Some(("no", false)))
        }
        ("tokenize" | "charge" | "renew", Far::Answers(429)) => (read, Some(("no", true))),
        ("tokenize" | "charge" | "renew", _) => (Reason::OutcomeUnknown, Some(("unknown", true))),
        // Its charge is read before anything is claimed.
        ("refund", _) => (read, Some(("no", false))),
        // A long wait asks often enough to open the circuit.
        ("verify and wait", Far::Breaks | Far::Refuses | Far::Answers(503)) if time_ms >= 2000 => {
            (Reason::CircuitOpen, None)
        }
        _ => (read, None),
    }
}

/// What may be told where each step of the store takes 400 ms: as soon as there is time for them,
/// what is told else; before, that the store did not answer, and between the two what is certain.
fn expected_slowly(operation: &str, far: Far, time_ms: u64) -> Vec<Told> {
    let in_the_end = expected(operation, far, time_ms);
    let nothing_begun = match operation {
        "tokenize" | "charge" | "renew" | "refund" => Some(("unknown", false)),
        "get refund" => None,
        _ => return vec![in_the_end],
    };
    let not_answered = (Reason::IdempotencyStoreUnavailable, nothing_begun);
    match time_ms {
        ..400 => vec![not_answered],
        5000.. => vec![in_the_end],
        _ => vec![not_answered, (Reason::OutcomeUnknown, Some(("unknown", true))), in_the_end],
    }
}

/// What a call hears that has this long.
async fn told(gateway: &Gateway, operation: &str, time: Duration) -> (Told, String) {
    let began = Instant::now();
    let call = Call {
        caller: Caller::new("local").unwrap(),
        answer_by: began + time,
        admitted: Admitted::default(),
    };
    let error = ask(gateway, operation, call).await.unwrap_err();
    assert!(began.elapsed() <= time, "{operation}: {error} after {:?}", began.elapsed());
    let metadata: BTreeMap<_, _> = error.metadata().collect();
    let moved = metadata.get("money_moved").map(|moved| match moved.as_str() {
        "no" => "no",
        "unknown" => "unknown",
        other => panic!("{other}"),
    });
    let sent = metadata.get("sent").is_some_and(|sent| sent == "true");
    ((error.reason(), moved.map(|moved| (moved, sent))), error.to_string())
}

#[tokio::test(start_paused = true)]
async fn every_operation_is_answered_in_its_time_whatever_zentra_and_the_store_do() {
    for far in FAR {
        for (operation, time_ms) in OPERATIONS.iter().flat_map(|it| TIMES_MS.map(|ms| (*it, ms))) {
            let time = Duration::from_millis(time_ms);
            let what = format!("{operation} within {time_ms} ms, Zentra {far:?}");
            let (told_at_once, text) =
                told(&gateway(far, Duration::ZERO).await, operation, time).await;
            assert_eq!(told_at_once, expected(operation, far, time_ms), "{what}: {text}");
            let (told_slowly, text) = told(&gateway(far, SLOW_STORE).await, operation, time).await;
            let may_be_told = expected_slowly(operation, far, time_ms);
            assert!(may_be_told.contains(&told_slowly), "{what}, a slow store: {text}");
        }
    }
}
