//! Whole traces, as a receiver gets them that nobody here wrote.

use std::os::unix::process::ExitStatusExt as _;

use tonic::Request;
use zentra_sidecar::grpc::proto;
use zentra_sidecar::simulator::Route;

use super::answers::status;
use super::lab::{CUSTOMER, Lab, PATIENCE};
use super::metrics::shown;
use super::sidecar::{Launch, Sidecar, money};
use crate::support::rotel::{Rotel, Span};

pub(super) const CHARGE: &str = "zentra.gateway.v1.PaymentService/Charge";
pub(super) const GET_CHARGE: &str = "zentra.gateway.v1.PaymentService/GetCharge";
pub(super) const POST: &str = "POST /api/v1/payments/charges";
const LOOK_UP: &str = "GET /api/v1/payments/charges/{reference}";
/// What a charge takes that was doubtful once.
const STEPS: [&str; 8] = [
    "policy",
    "EVALSHA claim",
    POST,
    "EVALSHA doubt",
    LOOK_UP,
    "EVALSHA stops",
    POST,
    "EVALSHA complete",
];
/// The spans of callers: the trace, and the span within it.
pub(super) const FIRST: (&str, &str) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
pub(super) const SECOND: (&str, &str) = ("1bf7651916cd43dd8448eb211c80319c", "c7ad6b7169203331");
/// Lets the shop do everything.
const POLICY: &str =
    r#"@id("the-shop") permit(principal == Service::"shop/checkout", action, resource);"#;

pub(super) fn traced<'a>(lab: &'a Lab, rotel: &Rotel) -> Launch<'a> {
    lab.sidecar()
        .variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("http://{}", rotel.grpc))
        .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .variable("OTEL_BSP_SCHEDULE_DELAY", "50")
}

pub(super) fn from<T>(message: T, (trace, span): (&str, &str)) -> Request<T> {
    let mut request = Request::new(message);
    let parent = format!("00-{trace}-{span}-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request.metadata_mut().insert("tracestate", "shop=basket".parse().unwrap());
    request.metadata_mut().insert("baggage", "customer=secret".parse().unwrap());
    request.set_timeout(PATIENCE);
    request
}

/// Makes the one charge of these stories on behalf of a caller's span.
pub(super) async fn charge(sidecar: &Sidecar, caller: (&str, &str)) -> Option<proto::Execution> {
    let message = proto::ChargeRequest {
        idempotency_key: "key-order-1".to_owned(),
        reference: "order-1".to_owned(),
        amount: Some(money(1000)),
        customer_id: CUSTOMER.to_owned(),
        payment_token_id: sidecar.token.clone(),
        actor: "jo".to_owned(),
    };
    let answer = sidecar.client.clone().charge(from(message, caller)).await;
    answer.ok()?.into_inner().execution
}

/// All spans up to a last call's, which is made for that alone: whatever ended before it has been
/// printed wholly once it is seen.
async fn told(rotel: &Rotel, sidecar: &Sidecar) -> Vec<Span> {
    let message = proto::GetChargeRequest { reference: "order-1".to_owned() };
    sidecar.client.clone().get_charge(message).await.unwrap();
    rotel.spans(GET_CHARGE, 1).await
}

fn named<'a>(spans: &'a [Span], name: &str, trace: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name && span.trace_id == trace).collect()
}

pub(super) fn only<'a>(spans: &'a [Span], name: &str, trace: &str) -> &'a Span {
    match named(spans, name, trace)[..] {
        [span] => span,
        ref other => panic!("{name} in {trace}: {other:#?} of {spans:#?}"),
    }
}

pub(super) fn says(span: &Span, name: &str) -> String {
    span.attributes.get(name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_charge_that_needed_a_retry_is_one_trace_from_its_caller_to_zentra() {
    let (lab, rotel) = (Lab::start().await, Rotel::start().await);
    lab.next_post("order-1", status(503, None, false));
    let policy = lab.folder.path().join("policy");
    std::fs::create_dir(&policy).unwrap();
    std::fs::write(policy.join("rules.cedar"), POLICY).unwrap();
    let launch = traced(&lab, &rotel).flag("--policy", &policy.display().to_string());
    let sidecar = launch.start().await;
    assert_eq!(charge(&sidecar, FIRST).await.unwrap().attempts, 2);
    let spans = told(&rotel, &sidecar).await;
    let (trace, caller) = FIRST;

    let server = only(&spans, CHARGE, trace);
    assert_eq!((&*server.parent_id, &*server.kind), (caller, "SPAN_KIND_SERVER"));
    assert_eq!(says(server, "rpc.system.name"), "grpc");
    assert_eq!(says(server, "rpc.method"), CHARGE);
    assert_eq!(says(server, "rpc.response.status_code"), "OK");
    assert_eq!(says(server, "zentra_sidecar.caller"), "shop/checkout");
    assert_eq!(says(server, "zentra_sidecar.payment.reference"), "order-1");
    assert_eq!(says(server, "zentra_sidecar.execution.path"), "DIRECT");
    assert_eq!((&*server.status, server.links.len()), ("STATUS_CODE_UNSET", 0));

    let mut below: Vec<&Span> = spans.iter().filter(|span| span.parent_id == server.id).collect();
    below.sort_by_key(|span| span.start);
    let names: Vec<&str> = below.iter().map(|span| &*span.name).collect();
    assert_eq!(names, STEPS);
    for span in &below {
        let kind = if span.name == "policy" { "SPAN_KIND_INTERNAL" } else { "SPAN_KIND_CLIENT" };
        assert_eq!((&*span.trace_id, &*span.kind), (trace, kind), "{span:?}");
        assert!(server.start <= span.start && span.start <= span.end, "{span:?}");
    }
    let policy = below.remove(0);
    assert_eq!(says(policy, "zentra_sidecar.policy.effect"), "permitted");
    assert_eq!(says(policy, "zentra_sidecar.policy.rule_id"), "the-shop");
    assert!(policy.end <= below[0].start, "decided before the store is asked: {below:?}");
    assert_eq!(says(below[0], "db.system.name"), "redis");
    assert_eq!(says(below[0], "db.namespace"), "0");
    assert_eq!(says(below[0], "db.operation.name"), "EVALSHA");
    assert_eq!(says(below[0], "db.response.status_code"), "", "the store did not refuse it");
    assert_eq!(says(below[0], "db.stored_procedure.name"), "claim");
    assert_eq!(says(below[0], "server.address"), "127.0.0.1");
    assert!(lab.store_url.contains(&format!(":{}", says(below[0], "server.port"))));
    for (at, code, error, resends) in
        [(1, "503", "503", ""), (3, "404", "404", ""), (5, "201", "", "1")]
    {
        let span = below[at];
        assert_eq!(says(span, "http.response.status_code"), code, "{span:?}");
        assert_eq!(says(span, "error.type"), error, "{span:?}");
        assert_eq!(says(span, "http.request.resend_count"), resends, "{span:?}");
        let failed = if error.is_empty() { "STATUS_CODE_UNSET" } else { "STATUS_CODE_ERROR" };
        assert_eq!(span.status, failed, "{span:?}");
        assert_eq!(says(span, "server.address"), "127.0.0.1");
    }

    // What Zentra was told, POST by POST.
    let ledger = lab.zentra.ledger();
    let posts: Vec<_> = ledger
        .posts
        .iter()
        .filter(|seen| seen.route == Route::CreateCharge)
        .map(|seen| (seen.traceparent.clone().unwrap(), seen.headers.clone()))
        .collect();
    let parents = [below[1], below[5]].map(|span| format!("00-{trace}-{}-01", span.id));
    assert_eq!(posts.iter().map(|(parent, _)| parent.clone()).collect::<Vec<_>>(), parents);
    for (_, headers) in &posts {
        assert_eq!(headers.get("tracestate").map(String::as_str), Some("shop=basket"));
        assert_eq!(headers.get("baggage"), None, "it may hold anything");
    }
    assert!(!rotel.text().contains("secret"));
    assert!(rotel.text().contains("https://opentelemetry.io/schemas/1.40.0"));
}

#[tokio::test]
async fn a_replay_leads_to_the_trace_of_the_first_attempt() {
    let (lab, rotel) = (Lab::start().await, Rotel::start().await);
    let sidecar = traced(&lab, &rotel).start().await;
    charge(&sidecar, FIRST).await.unwrap();
    charge(&sidecar, SECOND).await.unwrap();
    let spans = told(&rotel, &sidecar).await;
    let (first, replay) = (only(&spans, CHARGE, FIRST.0), only(&spans, CHARGE, SECOND.0));
    assert_eq!(replay.parent_id, SECOND.1);
    assert_eq!(says(replay, "zentra_sidecar.execution.path"), "REPLAYED");
    assert_eq!(replay.links, [(FIRST.0.to_owned(), first.id.clone(), "replay".to_owned())]);
    assert!(named(&spans, POST, SECOND.0).is_empty(), "nothing was sent");
}

/// Zentra makes the charge on behalf of the first caller, and the process that asked for it dies
/// before it has told anybody. Gives the span of its POST, which is below that of the lost call.
pub(super) async fn lost_charge(lab: &Lab, rotel: &Rotel) -> Span {
    let mut first = traced(lab, rotel).failpoint("after_answer:wait").start().await;
    let dies = async {
        // The attempt's span is at the receiver before its process dies; the call's own never
        // comes there.
        let attempt = rotel.spans(POST, 1).await;
        first.signal("KILL").await;
        attempt
    };
    let (lost, spans) = tokio::join!(charge(&first, FIRST), dies);
    assert_eq!(lost, None, "its process died");
    assert_eq!(first.ended().await.signal(), Some(9));
    only(&spans, POST, FIRST.0).clone()
}

#[tokio::test]
async fn a_recovery_leads_to_the_trace_that_was_lost() {
    let (lab, rotel) = (Lab::start().await, Rotel::start().await);
    let second = traced(&lab, &rotel).start().await;
    let attempt = lost_charge(&lab, &rotel).await;
    let ledger = lab.zentra.ledger();
    let mut sent = ledger.posts.iter().filter(|seen| seen.route == Route::CreateCharge);
    let sent = sent.next().unwrap().traceparent.clone();
    assert_eq!(sent, Some(format!("00-{}-{}-01", FIRST.0, attempt.id)));

    Lab::a_lease_passes().await;
    charge(&second, SECOND).await.unwrap();
    let spans = told(&rotel, &second).await;
    let server = only(&spans, CHARGE, SECOND.0);
    assert_eq!(says(server, "zentra_sidecar.execution.path"), "RECOVERED");
    assert_ne!(attempt.parent_id, FIRST.1, "the lost call had a span of its own");
    let lost = (FIRST.0.to_owned(), attempt.parent_id, "recovery".to_owned());
    assert_eq!(server.links, [lost]);
    assert_eq!(only(&spans, LOOK_UP, SECOND.0).parent_id, server.id);
    assert!(named(&spans, CHARGE, FIRST.0).is_empty(), "the lost one was never told");
}

#[tokio::test]
async fn spans_leave_over_http_too_and_at_the_end_of_the_process() {
    let (lab, rotel) = (Lab::start().await, Rotel::start().await);
    let mut sidecar = lab
        .sidecar()
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", rotel.http))
        .variable("OTEL_METRICS_EXPORTER", "none")
        // They would wait for longer than any test does.
        .variable("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .start()
        .await;
    charge(&sidecar, FIRST).await.unwrap();
    sidecar.signal("TERM").await;
    assert!(sidecar.ended().await.success());
    let spans = rotel.spans(CHARGE, 1).await;
    assert_eq!(only(&spans, CHARGE, FIRST.0).parent_id, FIRST.1);
}

/// Without it a backend cannot tell whose spans they are.
#[tokio::test]
async fn spans_and_metrics_say_which_service_they_come_from() {
    let lab = Lab::start().await;
    for signal in ["traces", "metrics"] {
        let rotel = Rotel::printing(signal).await;
        let mut sidecar = lab
            .sidecar()
            .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", rotel.grpc))
            .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .variable("OTEL_SERVICE_NAME", "shop-payments")
            .variable(
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=a%2Cb,service.name=x",
            )
            .start()
            .await;
        charge(&sidecar, FIRST).await.unwrap();
        sidecar.signal("TERM").await;
        assert!(sidecar.ended().await.success());
        let about = [
            "-> service.name: Str(shop-payments)",
            "-> deployment.environment.name: Str(a,b)",
            concat!("-> service.version: Str(", env!("CARGO_PKG_VERSION"), ")"),
            "-> service.instance.id: Str(",
            "-> telemetry.sdk.language: Str(rust)",
        ];
        for attribute in about {
            rotel.printed(attribute).await;
        }
    }
}

/// Over the second database of a store that takes no more.
#[tokio::test]
async fn a_step_that_the_store_refuses_says_by_which_code() {
    let (lab, rotel) = (Lab::start().await, Rotel::start().await);
    let store = format!("{}/2", lab.store_url);
    let sidecar = traced(&lab, &rotel).flag("--store", &store).start().await;
    let _: String = lab.redis().ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(charge(&sidecar, FIRST).await, None);
    let spans = rotel.spans("EVALSHA claim", 1).await;
    let claim = only(&spans, "EVALSHA claim", FIRST.0);
    assert_eq!(says(claim, "db.namespace"), "2");
    assert_eq!(says(claim, "db.response.status_code"), "OOM");
    assert_eq!(says(claim, "error.type"), "OOM");
    let counted = shown(&sidecar).await;
    let claims = "db_client_operation_duration_seconds_count{db_namespace=\"2\",\
                  db_operation_name=\"EVALSHA\",db_response_status_code=\"OOM\",\
                  db_stored_procedure_name=\"claim\"";
    assert!(counted.contains(claims), "{counted}");
}

/// The other temporality is obeyed: what is sent counts from the last sending.
#[tokio::test]
async fn metrics_leave_as_sums_since_the_last_time_where_that_is_asked_for() {
    let (lab, rotel) = (Lab::start().await, Rotel::printing("metrics").await);
    let mut sidecar = lab
        .sidecar()
        .variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &format!("http://{}", rotel.grpc))
        .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .variable("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta")
        .variable("OTEL_METRIC_EXPORT_INTERVAL", "3600000")
        .start()
        .await;
    charge(&sidecar, FIRST).await.unwrap();
    sidecar.signal("TERM").await;
    assert!(sidecar.ended().await.success());
    rotel.printed("zentra_sidecar.payments").await;
    let text = rotel.text();
    assert!(text.contains("Delta") || text.contains("DELTA"), "{text}");
    assert!(!text.to_uppercase().contains("CUMULATIVE"), "{text}");
}

#[tokio::test]
async fn metrics_leave_over_otlp_at_the_end_of_the_process() {
    let (lab, rotel) = (Lab::start().await, Rotel::printing("metrics").await);
    let mut sidecar = lab
        .sidecar()
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", rotel.http))
        .variable("OTEL_TRACES_EXPORTER", "none")
        // They would wait for longer than any test does.
        .variable("OTEL_METRIC_EXPORT_INTERVAL", "3600000")
        .start()
        .await;
    charge(&sidecar, FIRST).await.unwrap();
    sidecar.signal("TERM").await;
    assert!(sidecar.ended().await.success());
    rotel.printed("zentra_sidecar.payments").await;
    rotel.printed("rpc.server.call.duration").await;
}

#[tokio::test]
async fn a_callers_decision_not_to_sample_holds_for_all_that_follows() {
    let (lab, rotel) = (Lab::start().await, Rotel::start().await);
    let sidecar = traced(&lab, &rotel).start().await;
    let message = proto::GetChargeRequest { reference: "order-1".to_owned() };
    let mut request = Request::new(message);
    let parent = format!("00-{}-{}-00", FIRST.0, FIRST.1);
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    sidecar.client.clone().get_charge(request).await.unwrap_err();
    charge(&sidecar, SECOND).await.unwrap();
    let spans = told(&rotel, &sidecar).await;
    assert!(spans.iter().all(|span| span.trace_id != FIRST.0), "{spans:#?}");
    let read = lab.zentra.ledger().reads[0].traceparent.clone().unwrap();
    assert!(read.starts_with(&format!("00-{}", FIRST.0)) && read.ends_with("-00"), "{read}");
    assert!(!read.contains(FIRST.1), "Zentra's parent is this process");
}
