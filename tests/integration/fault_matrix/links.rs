//! Whoever finds out what a lost call came to leads to that call's trace: also once its own caller
//! has gone, and whether it is a call, a read or an operator's look-up.

use tonic::{Request, Status};
use zentra_sidecar::grpc::proto;

use super::lab::Lab;
use super::metrics::shown;
use super::traces::{CHARGE, FIRST, SECOND, charge, from, lost_charge, only, says, traced};
use crate::support::rotel::{Rotel, Span};

/// What has the link of work that goes on behind a call.
const RECOVERY: &str = "recovery";

/// A lab in which a charge was lost, and the link that leads to it.
async fn lost() -> (Lab, Rotel, (String, String, String)) {
    let (lab, rotel) = (Lab::start().await, Rotel::start().await);
    let attempt = lost_charge(&lab, &rotel).await;
    Lab::a_lease_passes().await;
    (lab, rotel, (FIRST.0.to_owned(), attempt.parent_id, RECOVERY.to_owned()))
}

/// The one span that has the link, in the trace of the second caller.
fn leads<'a>(spans: &'a [Span], to: &(String, String, String)) -> &'a Span {
    let found = only(spans, RECOVERY, SECOND.0);
    assert_eq!((&found.links[..], &*found.kind), (&[to.clone()][..], "SPAN_KIND_INTERNAL"));
    found
}

#[tokio::test]
async fn a_recovery_whose_caller_has_hung_up_leads_to_the_lost_trace() {
    let (lab, rotel, lost) = lost().await;
    let second = traced(&lab, &rotel).failpoint("before_claim:wait").start().await;
    tokio::select! {
        _ = charge(&second, SECOND) => panic!("answered"),
        () = second.reached("before_claim") => {}
    }
    // Its caller is gone with that, and its span has ended.
    let spans = rotel.spans(CHARGE, 1).await;
    let server = only(&spans, CHARGE, SECOND.0).clone();
    assert_eq!(says(&server, "rpc.response.status_code"), "CANCELLED");
    second.release().await;
    let spans = rotel.spans(RECOVERY, 1).await;
    assert_eq!(leads(&spans, &lost).parent_id, server.id);
    assert_eq!(server.links, []);
}

type Read = proto::payment_service_client::PaymentServiceClient<tonic::transport::Channel>;

/// Reads the charge, and says by which method.
async fn read(mut client: Read, verifies: bool) -> Result<&'static str, Status> {
    let reference = "order-1".to_owned();
    if verifies {
        let request: Request<_> =
            from(proto::VerifyRequest { reference, ..proto::VerifyRequest::default() }, SECOND);
        return client.verify(request).await.map(|_| "Verify");
    }
    client
        .get_charge(from(proto::GetChargeRequest { reference }, SECOND))
        .await
        .map(|_| "GetCharge")
}

#[tokio::test]
async fn a_read_that_finds_a_lost_payment_leads_to_its_trace_and_is_a_recovery() {
    for verifies in [false, true] {
        let (lab, rotel, lost) = lost().await;
        let second = traced(&lab, &rotel).start().await;
        let method = read(second.client.clone(), verifies).await.unwrap();
        let server = format!("zentra.gateway.v1.PaymentService/{method}");
        rotel.spans(RECOVERY, 1).await;
        let spans = rotel.spans(&server, 1).await;
        assert_eq!(leads(&spans, &lost).parent_id, only(&spans, &server, SECOND.0).id);
        let counted = "zentra_sidecar_recoveries_total{operation=\"charge\"} 1\n";
        let text = shown(&second).await;
        assert!(text.contains(counted), "{method}: {text}");
        // Found once: the next one finds nothing new.
        read(second.client.clone(), verifies).await.unwrap();
        charge(&second, SECOND).await.unwrap();
        assert!(shown(&second).await.contains(counted), "{method}");
    }
}

/// Its spans and metrics would wait for longer than it runs: they leave at its end.
#[tokio::test]
async fn one_pass_of_the_look_ups_leads_to_the_lost_trace_and_tells_what_it_found() {
    let (lab, rotel, lost) = lost().await;
    // Who leads the account's look-ups is dead, and would lead them for hours.
    let _: u64 = lab.redis().ask(&["DEL", "{zs:default:simulated}:reconciler"]).await;
    let metrics = Rotel::printing("metrics").await;
    let once = traced(&lab, &rotel)
        .variable("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &format!("http://{}", metrics.grpc))
        .variable("OTEL_METRIC_EXPORT_INTERVAL", "3600000");
    let ended = once.operate(&["reconcile", "--once"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("resolved 1, still open 0"), "{ended:?}");
    assert!(!ended.stderr.contains("left when the process ended"), "{ended:?}");
    let spans = rotel.spans("reconcile", 1).await;
    let [look] = &spans.iter().filter(|it| it.name == "reconcile").collect::<Vec<_>>()[..] else {
        panic!("one look: {spans:#?}")
    };
    assert_eq!(look.links, [lost]);
    metrics.printed("zentra_sidecar.recoveries").await;
}

/// A collector that nobody listens at keeps it for no longer than any process, and is told.
#[tokio::test]
async fn one_pass_whose_spans_cannot_leave_says_so() {
    let (lab, _rotel, _) = lost().await;
    let _: u64 = lab.redis().ask(&["DEL", "{zs:default:simulated}:reconciler"]).await;
    let nobody = lab.sidecar().variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1");
    let ended = nobody.operate(&["reconcile", "--once"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("resolved 1"), "{ended:?}");
    assert!(ended.stderr.contains("spans could not be sent"), "{ended:?}");
    assert!(ended.stderr.contains("spans were left when the process ended"), "{ended:?}");
}
