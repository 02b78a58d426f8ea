//! Verify: waits for a final status where asked to, then calls the verify route, once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use zentra_sidecar::admission::{Admission, AdmissionSettings, Admitted};
use zentra_sidecar::app::{self, Parts};
use zentra_sidecar::domain::{Caller, ChargeStatus, Reference, VerifyCommand};
use zentra_sidecar::error::{Overload, Reason};
use zentra_sidecar::gateway::{Call, CardData, Gateway};
use zentra_sidecar::grpc::proto::{self, ChargeStatus as Told};
use zentra_sidecar::readiness;
use zentra_sidecar::shutdown::Draining;
use zentra_sidecar::simulator::Route;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::Upstream;

use crate::support::requests::{self, DECLINED_CARD, GOOD_CARD, SETTLING_CARD};
use crate::support::rig::Rig;
use crate::support::sidecar::{self, Sidecar, StandingClock};
use crate::support::soon;
use crate::support::stub::{Reply, Stub};
use crate::support::told::refused;

/// How long after the start each exchange began, in milliseconds, and which.
type Exchanges = Arc<Mutex<Vec<(u128, String)>>>;

/// A Zentra without a socket, so that the clock can stand still: the charge has these status
/// words one after the other, and the last one from then on.
async fn scripted(words: &'static [&'static str]) -> (Gateway, Exchanges, Draining) {
    let exchanges = Exchanges::default();
    let started = Instant::now();
    let noted = exchanges.clone();
    let upstream: Upstream =
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let path = request.uri().path().replace("/api/v1/payments", "");
            let mut exchanges = noted.lock().unwrap();
            let word = words[exchanges.len().min(words.len() - 1)];
            exchanges.push((started.elapsed().as_millis(), format!("{} {path}", request.method())));
            let body = charge(word).to_string();
            async { Ok(Response::new(Bytes::from(body))) }
        }));
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let parts = Parts::over(upstream, &settings, Arc::new(StandingClock), Telemetry::quiet());
    let (store, keys) = (parts.store.clone(), parts.keys.checks());
    let (readiness, _) = readiness::checked(store, keys, Draining::default()).await;
    let engine = app::engine(&settings, Arc::new(StandingClock), parts);
    let draining = engine.draining().clone();
    (
        Gateway::new(
            engine,
            CardData::Accept,
            readiness,
            std::sync::Arc::new(zentra_sidecar::policy::Policies::none()),
        ),
        exchanges,
        draining,
    )
}

fn charge(word: &str) -> Value {
    json!({"success": true, "data": {
        "id": "chg_1", "reference": "order-1", "status": word, "amount_minor": 50_000,
        "currency": "NGN", "payment_token_id": "tok_1", "capture_mode": "customer_action_required",
    }})
}

async fn verify(gateway: &Gateway, wait: u64, time: u64) -> (ChargeStatus, bool) {
    let call = Call {
        caller: Caller::new("local").unwrap(),
        answer_by: Instant::now() + Duration::from_secs(time),
        admitted: Admitted::default(),
    };
    let reference = Reference::new("order-1").unwrap();
    let command = VerifyCommand { reference, wait: Duration::from_secs(wait) };
    let verified = gateway.verify(call, command).await.unwrap();
    (verified.charge.status, verified.token_ready)
}

fn times(exchanges: &Exchanges) -> Vec<(u128, String)> {
    exchanges.lock().unwrap().clone()
}

fn look(at: u128) -> (u128, String) {
    (at, "GET /charges/order-1".into())
}

fn verify_call(at: u128) -> (u128, String) {
    (at, "POST /charges/order-1/verify".into())
}

#[tokio::test(start_paused = true)]
async fn a_pending_charge_is_looked_at_with_growing_pauses_until_it_is_final() {
    let (gateway, exchanges, _) =
        scripted(&["pending", "processing", "requires_action", "successful"]).await;
    assert_eq!(verify(&gateway, 60, 100).await, (ChargeStatus::Succeeded, true));
    let expected = [look(0), look(250), look(750), look(1750), verify_call(1750)];
    assert_eq!(times(&exchanges), expected);
}

#[tokio::test(start_paused = true)]
async fn pauses_stop_growing_at_five_seconds_and_the_verify_call_is_the_last_look() {
    let (gateway, exchanges, _) = scripted(&["pending"]).await;
    assert_eq!(verify(&gateway, 20, 100).await, (ChargeStatus::Pending, false));
    let looks = [0, 250, 750, 1750, 3750, 7750, 12_750, 17_750].map(look);
    assert_eq!(times(&exchanges), [&looks[..], &[verify_call(20_000)]].concat());
}

#[tokio::test(start_paused = true)]
async fn a_word_that_nobody_knows_is_not_final() {
    let (gateway, exchanges, _) =
        scripted(&["settled_maybe", "SUCCESSFUL", "paid", "successful"]).await;
    assert_eq!(verify(&gateway, 60, 100).await, (ChargeStatus::Succeeded, true));
    let expected = [look(0), look(250), look(750), look(1750), verify_call(1750)];
    assert_eq!(times(&exchanges), expected);
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_ends_the_wait_early_enough_for_the_verify_call() {
    let (gateway, exchanges, _) = scripted(&["pending"]).await;
    assert_eq!(verify(&gateway, 300, 4).await, (ChargeStatus::Pending, false));
    assert_eq!(times(&exchanges).last(), Some(&verify_call(3000)));
}

/// The verify call itself is worth its time, waiting for more is not.
#[tokio::test(start_paused = true)]
async fn the_end_of_the_process_ends_the_wait() {
    let (gateway, exchanges, draining) = scripted(&["pending"]).await;
    let waits = tokio::spawn(async move { verify(&gateway, 300, 400).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    draining.begin();
    assert_eq!(waits.await.unwrap(), (ChargeStatus::Pending, false));
    assert_eq!(times(&exchanges), [look(0), look(250), look(750), verify_call(1000)]);
}

/// It left its place while it waited, and asks Zentra from a place again.
#[tokio::test(start_paused = true)]
async fn who_has_waited_and_finds_all_places_taken_is_refused() {
    let (gateway, exchanges, draining) = scripted(&["pending"]).await;
    let door = Admission::new(AdmissionSettings { in_flight: 1, waiting: 1 });
    let call = Call {
        caller: Caller::new("local").unwrap(),
        answer_by: Instant::now() + Duration::from_secs(400),
        admitted: door.enter().unwrap(),
    };
    let reference = Reference::new("order-1").unwrap();
    let command = VerifyCommand { reference, wait: Duration::from_secs(300) };
    let waits = tokio::spawn(async move { gateway.verify(call, command).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let _other = door.enter().expect("it left its place");
    draining.begin();
    let error = waits.await.unwrap().unwrap_err();
    assert_eq!((error.reason(), error.overload()), (Reason::Overloaded, Some(Overload::Wait)));
    assert_eq!(times(&exchanges), [look(0)]);
}

#[tokio::test(start_paused = true)]
async fn without_a_wait_there_is_one_call() {
    let (gateway, exchanges, _) = scripted(&["pending"]).await;
    assert_eq!(verify(&gateway, 0, 15).await, (ChargeStatus::Pending, false));
    assert_eq!(times(&exchanges), [verify_call(0)]);
}

#[tokio::test]
async fn a_card_that_settles_while_verify_waits() {
    let mut rig = Rig::start().await;
    let pending = rig.charged(SETTLING_CARD, "order-1").await;
    assert_eq!(pending.status(), Told::Pending);
    let mut client = rig.client();
    let waiting =
        tokio::spawn(async move { client.verify(requests::verify_waiting("order-1", 10)).await });
    rig.tap.ended("GET /charges/order-1").await;
    rig.simulator.advance(Duration::from_secs(2));
    let answer = soon(waiting).await.unwrap().unwrap().into_inner();
    assert_eq!(answer.charge.unwrap().status(), Told::Succeeded);
    assert!(answer.token_ready);
    let ledger = rig.simulator.ledger();
    let verifies = ledger.posts.iter().filter(|it| it.route == Route::VerifyCharge).count();
    assert_eq!(verifies, 1, "each Verify ends in one call of the verify route");
    assert_eq!(ledger.charges_of("order-1").len(), 1);
}

#[tokio::test]
async fn a_token_is_ready_only_by_a_paid_charge_with_its_customer_present() {
    for (card, ready) in [(GOOD_CARD, true), (DECLINED_CARD, false), (SETTLING_CARD, false)] {
        let rig = Rig::start().await;
        rig.charged(card, "order-1").await;
        let answer = rig.client().verify(requests::verify("order-1")).await.unwrap().into_inner();
        assert_eq!(answer.token_ready, ready, "{card}");
    }
    let rig = Rig::start().await;
    let payment_token_id = rig.charged(GOOD_CARD, "order-1").await.payment_token_id;
    rig.client().verify(requests::verify("order-1")).await.unwrap();
    let renewal = proto::RenewRequest { payment_token_id, ..requests::renew("order-2") };
    let renewed = rig.client().renew(renewal).await.unwrap().into_inner().charge.unwrap();
    assert_eq!(renewed.status(), Told::Succeeded);
    assert_eq!(renewed.initiator(), proto::Initiator::Merchant);
    let answer = rig.client().verify(requests::verify("order-2")).await.unwrap().into_inner();
    assert!(!answer.token_ready, "a renewal makes no token ready");
}

#[tokio::test]
async fn a_charge_that_is_not_there_is_not_waited_for() {
    let rig = Rig::start().await;
    let told = refused(rig.client().verify(requests::verify_waiting("order-1", 300)).await);
    assert!(told.starts_with("NotFound NOT_FOUND provider_code=not_found"), "{told}");
    let ledger = rig.simulator.ledger();
    assert_eq!((ledger.reads.len(), ledger.posts.len()), (1, 1));
}

#[tokio::test]
async fn an_unknown_word_of_the_verify_route_is_told_as_such() {
    let stub = Stub::always(Reply::json(200, &charge("settled_maybe"))).await;
    let sidecar = Sidecar::start(&stub.url, &[]).await;
    let answer = sidecar.client().verify(requests::verify("order-1")).await.unwrap().into_inner();
    let charge = answer.charge.unwrap();
    assert_eq!((charge.status(), &*charge.provider_status), (Told::Unrecognized, "settled_maybe"));
    assert!(!answer.token_ready);
}
