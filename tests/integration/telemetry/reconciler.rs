//! What the background finds out has a trace of its own, which leads to the lost one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use serde_json::json;
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::app::{self, Parts};
use zentra_sidecar::domain::{
    Actor, Caller, ChargeCommand, Currency, CustomerId, IdempotencyKey, Initiator, Money,
    PaymentTokenId, Reference,
};
use zentra_sidecar::engine::Terms;
use zentra_sidecar::reconciler::{Reconciler, ReconcilerSettings};
use zentra_sidecar::telemetry::trace_context;
use zentra_sidecar::upstream::{TransportError, Upstream};

use super::kept;
use crate::support::sidecar::{self, StandingClock};

fn command() -> ChargeCommand {
    ChargeCommand {
        idempotency_key: IdempotencyKey::new("key-1").unwrap(),
        reference: Reference::new("order-1").unwrap(),
        amount: Money::new(50_000, Currency::new("NGN").unwrap()).unwrap(),
        customer_id: CustomerId::new("cus_1").unwrap(),
        payment_token_id: PaymentTokenId::new("tok_1").unwrap(),
        initiator: Initiator::Customer,
        actor: Some(Actor::new("jo").unwrap()),
    }
}

/// Loses the answer of every POST, and shows the charge once it is back.
fn zentra(is_back: Arc<AtomicBool>) -> Upstream {
    let charge = json!({"success": true, "data": {
        "id": "chg_1", "reference": "order-1", "status": "successful", "amount_minor": 50_000,
        "currency": "NGN", "customer_id": "cus_1", "payment_token_id": "tok_1",
    }});
    let body = Bytes::from(charge.to_string());
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let found = request.method() == Method::GET && is_back.load(Ordering::Relaxed);
        let answer = match found {
            true => Ok(Response::builder()
                .status(StatusCode::OK)
                .header("x-request-id", "req_9")
                .body(body.clone())
                .unwrap()),
            false => Err(TransportError::Broken),
        };
        async move { answer }
    }))
}

#[tokio::test(start_paused = true)]
async fn it_is_linked_told_to_the_audit_log_and_counted() {
    let (telemetry, spans, lines) = kept();
    let mut settings = sidecar::settings("http://127.0.0.1:1", &[]);
    settings.engine.reconcile_after = Duration::ZERO;
    let is_back = Arc::new(AtomicBool::new(false));
    let clock = Arc::new(StandingClock);
    let parts = Parts::over(zentra(is_back.clone()), &settings, clock.clone(), telemetry.clone());
    parts.store.init().await.unwrap();
    let engine = app::engine(&settings, clock, parts);
    let caller = Caller::new("shop/checkout").unwrap();

    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let context =
        telemetry.tracer().server(trace_context::parse(parent, None), "a call", Duration::ZERO);
    let answer_by = Instant::now() + Duration::from_secs(5);
    let call = engine.execute(&caller, answer_by, command(), Terms::default(), Admitted::default());
    call.with_context(context.clone()).await.unwrap_err();
    let lost = context.span().span_context().clone();
    context.span().end();

    is_back.store(true, Ordering::Relaxed);
    let reconciler = Reconciler::new(engine, ReconcilerSettings::default());
    assert_eq!(reconciler.pass().await.unwrap().resolved, 1);

    let spans = spans.get_finished_spans().unwrap();
    let work = spans.iter().find(|span| span.name == "reconcile").unwrap();
    assert_eq!(work.parent_span_id, SpanId::INVALID);
    assert_ne!(work.span_context.trace_id(), lost.trace_id());
    let linked = &work.links.links[0].span_context;
    assert_eq!((linked.trace_id(), linked.span_id()), (lost.trace_id(), lost.span_id()));
    let look = spans.iter().filter(|span| span.parent_span_id == work.span_context.span_id());
    let names: Vec<_> = look.map(|span| &*span.name).collect();
    assert_eq!(names, ["GET /api/v1/payments/charges/{reference}"]);

    let lines = lines.all();
    let [call, found] = &lines[..] else { panic!("{lines:#?}") };
    assert_eq!(
        (&call["outcome"], &call["money_moved"]),
        (&serde_json::Value::Null, &json!("unknown"))
    );
    assert_eq!((&call["actor"], &call["reason"]), (&json!("jo"), &json!("OUTCOME_UNKNOWN")));
    assert_eq!((&found["audit"], &found["by"]), (&json!("moved"), &json!("reconciler")));
    assert_eq!((&found["reference"], &found["outcome"]), (&json!("order-1"), &json!("SUCCEEDED")));
    for (field, value) in [
        ("caller", json!("shop/checkout")),
        ("actor", json!("jo")),
        ("customer_id", json!("cus_1")),
        ("payment_token_id", json!("tok_1")),
        ("amount_minor", json!(50_000)),
        ("currency", json!("NGN")),
        ("money_moved", json!("yes")),
        ("provider_id", json!("chg_1")),
        ("provider_request_id", json!("req_9")),
        ("key_digest", call["key_digest"].clone()),
    ] {
        assert_eq!(found[field], value, "{field}: {found:#}");
    }

    let text = telemetry.prometheus_text();
    for line in [
        "zentra_sidecar_recoveries_total{operation=\"charge\"} 1\n",
        "zentra_sidecar_money_moved_minor_total{currency=\"NGN\",operation=\"charge\"} 50000\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}
