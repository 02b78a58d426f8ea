//! The caller's deadline bounds the answer; work that moves money outlives its caller.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use tonic::Request;
use zentra_sidecar::app::End;
use zentra_sidecar::simulator::{Action, Fault, Route};

use crate::support::logs::Logs;
use crate::support::requests::{self, GOOD_CARD};
use crate::support::rig::Rig;
use crate::support::soon;
use crate::support::told::refused;

/// A fault that holds requests back until the simulator's clock is moved.
const HELD: Action = Action::DelayBefore(Duration::from_hours(1));

fn within<T>(milliseconds: u64, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_millis(milliseconds));
    request
}

#[tokio::test]
async fn a_deadline_under_the_minimum_is_refused_before_anything_is_sent() {
    let rig = Rig::with(Default::default(), &["--minimum-deadline-ms=5000"]).await;
    let mut client = rig.client();
    let told = refused(client.charge(within(4_000, requests::charge("order-1"))).await);
    assert_eq!(
        told,
        "DeadlineExceeded DEADLINE_TOO_SHORT money_moved=unknown reference=order-1 sent=false; \
         again in 100 ms"
    );
    let told = refused(client.get_charge(within(4_000, requests::get_charge("order-1"))).await);
    assert_eq!(told, "DeadlineExceeded DEADLINE_TOO_SHORT reference=order-1; again in 100 ms");
    let ledger = rig.simulator.ledger();
    assert!(ledger.posts.is_empty() && ledger.reads.is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_slow_zentra_is_unknown_before_the_deadline_and_the_charge_still_lands() {
    let mut rig = Rig::start().await;
    let request = rig.charge_on(GOOD_CARD, "order-1").await;
    rig.simulator.inject(Fault::on(Route::CreateCharge, HELD));
    let started = Instant::now();
    let told = refused(rig.client().charge(within(500, request)).await);
    assert!(started.elapsed() < Duration::from_millis(500), "before the deadline");
    assert_eq!(
        told,
        "Unavailable OUTCOME_UNKNOWN money_moved=unknown reference=order-1 sent=true; \
         again in 1000 ms"
    );
    assert!(rig.simulator.ledger().charges.is_empty(), "not yet");
    rig.simulator.advance(Duration::from_hours(1));
    rig.tap.ended("POST /charges").await;
    assert_eq!(rig.simulator.ledger().charges_of("order-1").len(), 1);
}

/// Whoever reads the line asks Zentra's support by it.
#[tokio::test]
async fn the_line_of_a_call_whose_time_is_over_tells_what_zentra_was_sent_and_said() {
    let rig = Rig::start().await;
    let request = rig.charge_on(GOOD_CARD, "order-1").await;
    let refusal =
        Action::Status { status: 503, effect: false, code: None, body: None, retry_after: None };
    rig.simulator.inject(Fault::on(Route::CreateCharge, refusal));
    rig.simulator.inject(Fault::on(Route::CreateCharge, HELD).skip(1));
    let logs = Logs::capture_own();
    refused(rig.client().charge(within(1500, request)).await);
    let text = logs.take();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let calls: Vec<_> =
        lines.map(|it| it["fields"].clone()).filter(|it| it["message"] == "call").collect();
    let [call] = &calls[..] else { panic!("{text}") };
    assert_eq!((&call["outcome"], &call["attempts"]), (&json!("OUTCOME_UNKNOWN"), &json!(2)));
    let told = call["provider_request_id"].as_str().unwrap_or_else(|| panic!("{call}"));
    assert!(told.starts_with("req_"), "{call}");
}

#[tokio::test]
async fn a_slow_refund_is_unknown_and_still_lands() {
    let mut rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    rig.simulator.inject(Fault::on(Route::CreateRefund, HELD));
    let request = requests::refund("refund-1", "order-1", Some(10_000));
    let told = refused(rig.client().refund(within(500, request)).await);
    let expected = "Unavailable OUTCOME_UNKNOWN money_moved=unknown reference=refund-1 sent=true";
    assert_eq!(told, format!("{expected}; again in 1000 ms"));
    rig.simulator.advance(Duration::from_hours(1));
    rig.tap.ended("POST /refunds").await;
    assert_eq!(rig.simulator.ledger().refunds_of("order-1").len(), 1);
}

#[tokio::test]
async fn a_slow_read_is_answered_before_the_deadline() {
    let rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    rig.simulator.inject(Fault::any(HELD).times(0));
    let started = Instant::now();
    for told in [
        refused(rig.client().get_charge(within(300, requests::get_charge("order-1"))).await),
        refused(rig.client().verify(within(300, requests::verify("order-1"))).await),
    ] {
        assert_eq!(told, "Unavailable UPSTREAM_UNAVAILABLE reference=order-1; again in 1000 ms");
    }
    assert!(started.elapsed() < Duration::from_millis(600), "before their deadlines");
}

#[tokio::test]
async fn a_caller_that_cancels_does_not_stop_the_payment() {
    let mut rig = Rig::start().await;
    let request = rig.charge_on(GOOD_CARD, "order-1").await;
    rig.simulator.inject(Fault::on(Route::CreateCharge, HELD));
    let mut client = rig.client();
    let call = tokio::spawn(async move { client.charge(request).await });
    rig.tap.began("POST /charges").await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    rig.simulator.advance(Duration::from_hours(1));
    rig.tap.ended("POST /charges").await;
    assert_eq!(rig.simulator.ledger().charges_of("order-1").len(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_does_not_stop_the_refund() {
    let mut rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    rig.simulator.inject(Fault::on(Route::CreateRefund, HELD));
    let mut client = crate::support::sidecar::Client::new(rig.sidecar.channel().await);
    let request = requests::refund("refund-1", "order-1", None);
    let call = tokio::spawn(async move { client.refund(request).await });
    rig.tap.began("POST /refunds").await;
    // The only handle of this connection: it is closed.
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    rig.simulator.advance(Duration::from_hours(1));
    rig.tap.ended("POST /refunds").await;
    assert_eq!(rig.simulator.ledger().refunds_of("order-1").len(), 1);
}

#[tokio::test]
async fn a_caller_that_is_gone_before_its_refund_began_can_come_back() {
    let mut rig = Rig::start().await;
    rig.charged(GOOD_CARD, "order-1").await;
    rig.simulator.inject(Fault::on(Route::GetCharge, HELD));
    let request = requests::refund("refund-1", "order-1", None);
    let (mut client, again) = (rig.client(), request.clone());
    let call = tokio::spawn(async move { client.refund(request).await });
    rig.tap.began("GET /charges/order-1").await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    rig.simulator.advance(Duration::from_hours(1));
    let refund = rig.client().refund(again).await.unwrap().into_inner().refund.unwrap();
    assert_eq!(refund.amount, requests::ngn(50_000));
    assert_eq!(rig.simulator.ledger().refunds_of("order-1").len(), 1);
}

#[tokio::test]
async fn the_end_of_the_process_waits_for_payments_whose_callers_are_gone() {
    let mut rig = Rig::start().await;
    let request = rig.charge_on(GOOD_CARD, "order-1").await;
    rig.simulator.inject(Fault::on(Route::CreateCharge, HELD));
    let mut client = rig.client();
    let call = tokio::spawn(async move { client.charge(request).await });
    rig.tap.began("POST /charges").await;
    call.abort();
    let _ = call.await;
    let end = tokio::spawn(rig.sidecar.shut_down());
    // Longer than connections without a call are given.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(!end.is_finished());
    rig.simulator.advance(Duration::from_hours(1));
    assert_eq!(soon(end).await.unwrap(), End::Clean);
    assert_eq!(rig.simulator.ledger().charges_of("order-1").len(), 1);
}
