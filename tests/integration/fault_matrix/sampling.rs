//! Which traces are told, by the standard's variables.

use zentra_sidecar::grpc::proto;
use zentra_sidecar::simulator::Route;

use super::lab::Lab;
use super::told::order;
use super::traces::{CHARGE, FIRST, GET_CHARGE, POST, SECOND, charge, from, traced};
use crate::support::rotel::Rotel;

/// What Zentra was told with the POST of `order-1`.
fn sent(lab: &Lab) -> String {
    let ledger = lab.zentra.ledger();
    let mut posts = ledger.posts.iter().filter(|seen| seen.route == Route::CreateCharge);
    posts.next().unwrap().traceparent.clone().unwrap()
}

#[tokio::test]
async fn a_share_of_none_samples_what_a_caller_has_sampled_alone() {
    let (lab, rotel) = (Lab::start().await, Rotel::start().await);
    let launch = traced(&lab, &rotel)
        .variable("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        .variable("OTEL_TRACES_SAMPLER_ARG", "0");
    let sidecar = launch.start().await;
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    let read = from(proto::GetChargeRequest { reference: "order-1".to_owned() }, SECOND);
    sidecar.client.clone().get_charge(read).await.unwrap();
    let spans = rotel.spans(GET_CHARGE, 1).await;
    assert!(spans.iter().all(|span| ![CHARGE, POST].contains(&&*span.name)), "{spans:#?}");
    // Whoever comes later in the trace knows of it, and that it is told nowhere.
    let sent = sent(&lab);
    assert!(sent.starts_with("00-") && sent.ends_with("-00") && sent.len() == 55, "{sent}");
}

#[tokio::test]
async fn where_the_sdk_is_disabled_a_callers_trace_passes_and_nothing_is_told() {
    let (lab, rotel) = (Lab::start().await, Rotel::start().await);
    let silent = traced(&lab, &rotel).variable("OTEL_SDK_DISABLED", "true");
    let mut silent = silent.start().await;
    charge(&silent, FIRST).await.unwrap();
    assert_eq!(sent(&lab), format!("00-{}-{}-01", FIRST.0, FIRST.1));
    // What it had to tell would have left by its end.
    silent.signal("TERM").await;
    assert!(silent.ended().await.success());
    let telling = traced(&lab, &rotel).start().await;
    charge(&telling, SECOND).await.unwrap();
    let spans = rotel.spans(CHARGE, 1).await;
    assert!(spans.iter().all(|span| span.trace_id != FIRST.0), "{spans:#?}");
}
