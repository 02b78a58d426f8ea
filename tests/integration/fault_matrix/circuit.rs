//! A circuit that is open: new payments are refused before anything is sent, and payments under
//! way are looked up all the same.

use std::time::Duration;

use tonic::Code;
use zentra_sidecar::simulator::{Action, Fault, Route};

use super::answers::status;
use super::lab::Lab;
use super::sidecar::Sidecar;
use super::told::order;

/// Zentra answers every charge with 503; reads work.
fn storm(lab: &Lab) {
    lab.zentra.inject(Fault::on(Route::CreateCharge, status(503, None, false)).times(u32::MAX));
}

/// Charges until one is refused by the circuit; gives the references of those that were not.
async fn open(sidecar: &Sidecar) -> Vec<String> {
    let mut unknown = Vec::new();
    loop {
        let reference = format!("storm-{}", unknown.len());
        let told = sidecar.charge(&order(&reference).within_ms(400)).await;
        if told.fault().reason == "CIRCUIT_OPEN" {
            return unknown;
        }
        told.is_unknown();
        unknown.push(reference);
        assert!(unknown.len() <= 10, "ten failures in a row open it");
    }
}

#[tokio::test]
async fn a_new_payment_is_refused_and_releases_nothing() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    storm(&lab);
    open(&sidecar).await;
    let told = sidecar.charge(&order("order-1")).await;
    told.is_fault(Code::Unavailable, "CIRCUIT_OPEN", "no");
    assert_eq!(told.fault().sent, "false");
    assert_eq!((lab.posts("order-1"), lab.look_ups("order-1")), (0, 0));
    // Another sidecar, whose circuit is closed, makes it: the refusal has left nothing behind.
    lab.zentra.clear_faults();
    let other = lab.sidecar().start().await.charge(&order("order-1")).await;
    other.is_paid("DIRECT");
    // A payment that was made is told as it was, whatever the circuit says.
    sidecar.charge(&order("order-1")).await.is_paid("REPLAYED");
    lab.agrees("order-1", 1, &[&told, &other]);
}

/// Row 33: never a refusal, though one would be told to a new payment.
#[tokio::test]
async fn an_unknown_payment_is_looked_up_and_not_sent() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let sidecar = lab.sidecar().start().await;
    // Made, and its answer lost.
    lab.next_post("order-1", Action::DelayAfter(Duration::from_secs(2)));
    let hasty = sidecar.charge(&order("order-1").within_ms(300)).await;
    hasty.is_unknown();
    storm(&lab);
    let unknown = open(&sidecar).await;
    let posts = lab.posts(&unknown[0]);
    let looks = lab.look_ups(&unknown[0]);
    let told = sidecar.charge(&order(&unknown[0])).await;
    told.is_unknown();
    assert_eq!(lab.posts(&unknown[0]), posts, "nothing is sent under a refusal");
    assert_eq!(lab.look_ups(&unknown[0]), looks + 1);
    let found = sidecar.charge(&order("order-1")).await;
    assert_eq!(found.outcome().status, "SUCCEEDED");
    lab.agrees("order-1", 1, &[&hasty, &found]);
}

/// Row 20, at the real binary: after the storm one probe lets everything through.
#[tokio::test]
async fn after_the_storm_one_probe_lets_everything_through() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    storm(&lab);
    let unknown = open(&sidecar).await;
    lab.zentra.clear_faults();
    sidecar.said("the circuit to Zentra is open").await;
    // The wait that callers are told; the first to come after it is the probe.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for reference in unknown.iter().chain([&"order-1".to_owned()]) {
        let told = sidecar.charge(&order(reference)).await;
        told.is_paid("DIRECT");
        lab.agrees(reference, 1, &[&told]);
    }
    sidecar.said("the circuit to Zentra is closed again").await;
}
