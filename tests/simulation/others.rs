//! What others do meanwhile: they read, and some make charges without the sidecar.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::domain::VerifyCommand;
use zentra_sidecar::gateway::Call;

use super::ledger::{Kind, Post};
use super::orders::Order;
use super::scenario::Stage;

/// Perhaps somebody does something at this moment.
pub(crate) fn act(stage: &Stage) {
    let order = &stage.orders[stage.below(stage.orders.len())];
    if order.kind() != Kind::Charge {
        return;
    }
    let (reads, makes) = {
        let mut inner = stage.world.lock();
        let weather = stage.world.weather;
        (inner.chance.percent(weather.readers), inner.chance.percent(weather.elsewhere))
    };
    if reads {
        read(stage, order);
    }
    if makes {
        make(stage, order);
    }
}

/// Somebody reads or verifies the order's charge, at a moment that has nothing to do with it.
fn read(stage: &Stage, order: &Order) {
    let world = stage.world.clone();
    let process = stage.processes[stage.below(stage.processes.len())].clone();
    let (caller, reference) = (order.caller.clone(), order.reference.clone());
    let (wait_ms, verifies, until_final_ms) = {
        let chance = &mut world.lock().chance;
        let wait_ms = chance.pick(&[0, 0, 1, 5, 40, 900, 5_000]);
        (wait_ms, chance.percent(50), chance.pick(&[0, 2_000]))
    };
    tokio::spawn(async move {
        sleep(Duration::from_millis(wait_ms)).await;
        process.life.gate().await;
        world.note("read", || format!("process {} {reference}", process.life.number));
        let call = Call {
            caller,
            answer_by: Instant::now() + Duration::from_secs(5),
            admitted: Admitted::default(),
        };
        let charge = if verifies {
            let wait = Duration::from_millis(until_final_ms);
            let verified = process.gateway.verify(call, VerifyCommand { reference, wait }).await;
            verified.map(|it| it.charge)
        } else {
            process.gateway.get_charge(call, reference).await.map(|read| read.value)
        };
        if let Ok(charge) = charge {
            let now_ms = world.now_ms();
            let mut inner = world.lock();
            let inner = &mut *inner;
            inner.judge.read(now_ms, &inner.ledger, &charge);
        }
    });
}

/// Somebody makes a charge under the order's reference: the same one, or one that differs.
fn make(stage: &Stage, order: &Order) {
    let world = &stage.world;
    let now_ms = world.now_ms();
    let mut inner = world.lock();
    let inner = &mut *inner;
    let chance = &mut inner.chance;
    // Where Zentra takes a reference twice, no look-up could tell two equal ones apart.
    let equal = if world.mode.by_reference() { 4 } else { 0 };
    let differs = [(equal, "nothing"), (2, "amount"), (2, "customer"), (2, "token")];
    let differs = chance.weighed(&differs);
    let first = chance.pick(&["successful", "failed"]);
    let amount_minor = order.amount_minor.unwrap_or_default() + i64::from(differs == "amount");
    let customer = if differs == "customer" { "cus-elsewhere" } else { order.customer() };
    let token = if differs == "token" { "tok-elsewhere".to_owned() } else { order.token() };
    let reference = order.reference.to_string();
    let body = json!({
        "reference": reference, "amount_minor": amount_minor, "currency": "NGN",
        "customer_id": customer, "payment_token_id": token,
    });
    let post =
        Post { number: 0, begun: 0, kind: Kind::Charge, key: String::new(), reference, body };
    if inner.ledger.made_elsewhere(&post, first) {
        let detail = || format!("{} {first}, other: {differs}", post.reference);
        inner.fault(now_ms, "charge made elsewhere", detail);
    }
}
