use std::borrow::Cow;
use std::str::FromStr as _;
use std::time::Duration;

use opentelemetry::trace::{TraceFlags, TraceId, TraceState};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
use proptest::prelude::*;
use prost::Message as _;

use super::*;

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("scope")
        .with_version("1.2.3")
        .with_schema_url("https://opentelemetry.io/schemas/1.40.0")
        .with_attributes([KeyValue::new("of", "the scope")])
        .build()
}

/// What the library makes of the same spans.
fn by_the_library(resource: &Resource, spans: Vec<SpanData>) -> ExportTraceServiceRequest {
    let resource = ResourceAttributesWithSchema::from(resource);
    ExportTraceServiceRequest {
        resource_spans: group_spans_by_resource_and_scope(spans, &resource),
    }
}

/// What a collector reads of what is sent.
fn as_sent(resource: &Resource, spans: &[SpanData]) -> ExportTraceServiceRequest {
    let mut encoded = Vec::new();
    spans.iter().for_each(|span| add(&mut encoded, span));
    let head = Head::new(resource, &scope()).before(encoded.len());
    ExportTraceServiceRequest::decode(&[head, encoded].concat()[..]).unwrap()
}

/// A resource's attributes come in any order.
fn in_order(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    for it in request.resource_spans.iter_mut().filter_map(|it| it.resource.as_mut()) {
        it.attributes.sort_by(|one, other| one.key.cmp(&other.key));
    }
    request
}

fn resources() -> impl Strategy<Value = Resource> {
    (proptest::collection::vec(attributes_(), 0..3), any::<bool>()).prop_map(|(all, has_schema)| {
        let all = all.into_iter().flatten();
        match has_schema {
            true => Resource::builder_empty().with_schema_url(all, "https://schema").build(),
            false => Resource::builder_empty().with_attributes(all).build(),
        }
    })
}

fn texts() -> impl Strategy<Value = String> {
    // Also those whose length takes two and three bytes.
    prop_oneof![".{0,8}", Just("x".repeat(127)), Just("x".repeat(128)), Just("ä".repeat(9_000))]
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        texts().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        proptest::collection::vec(any::<bool>(), 0..3).prop_map(|it| Value::Array(it.into())),
        proptest::collection::vec(any::<i64>(), 0..3).prop_map(|it| Value::Array(it.into())),
        proptest::collection::vec(proptest::num::f64::NORMAL, 0..3)
            .prop_map(|it| Value::Array(it.into())),
        proptest::collection::vec(texts().prop_map(StringValue::from), 0..3)
            .prop_map(|it| Value::Array(it.into())),
    ]
}

fn attributes_() -> impl Strategy<Value = Vec<KeyValue>> {
    let attribute = (texts(), values()).prop_map(|(key, value)| KeyValue::new(key, value));
    proptest::collection::vec(attribute, 0..4)
}

fn contexts() -> impl Strategy<Value = SpanContext> {
    let states = prop_oneof![Just(""), Just("vendor=value,other=1")];
    (any::<u128>(), any::<u64>(), any::<bool>(), any::<bool>(), states).prop_map(
        |(trace, span, is_sampled, is_remote, state)| {
            let flags = TraceFlags::default().with_sampled(is_sampled);
            let state = TraceState::from_str(state).unwrap();
            SpanContext::new(TraceId::from(trace), SpanId::from(span), flags, is_remote, state)
        },
    )
}

fn times() -> impl Strategy<Value = SystemTime> {
    prop_oneof![
        any::<u32>().prop_map(|it| UNIX_EPOCH + Duration::new(it.into(), it % 1_000_000_000)),
        Just(UNIX_EPOCH - Duration::from_secs(1)),
    ]
}

fn events() -> impl Strategy<Value = SpanEvents> {
    let event = (texts(), times(), attributes_(), any::<u32>())
        .prop_map(|(name, time, attributes, dropped)| Event::new(name, time, attributes, dropped));
    (proptest::collection::vec(event, 0..3), any::<u32>()).prop_map(|(all, dropped)| {
        let mut events = SpanEvents::default();
        (events.events, events.dropped_count) = (all, dropped);
        events
    })
}

fn links() -> impl Strategy<Value = SpanLinks> {
    let link = (contexts(), attributes_(), any::<u32>())
        .prop_map(|(other, attributes, dropped)| Link::new(other, attributes, dropped));
    (proptest::collection::vec(link, 0..3), any::<u32>()).prop_map(|(all, dropped)| {
        let mut links = SpanLinks::default();
        (links.links, links.dropped_count) = (all, dropped);
        links
    })
}

fn spans() -> impl Strategy<Value = SpanData> {
    let kinds = prop_oneof![
        Just(SpanKind::Internal),
        Just(SpanKind::Server),
        Just(SpanKind::Client),
        Just(SpanKind::Producer),
        Just(SpanKind::Consumer),
    ];
    let statuses =
        prop_oneof![Just(Status::Unset), Just(Status::Ok), texts().prop_map(Status::error)];
    let who = (contexts(), prop_oneof![Just(0), any::<u64>()], any::<bool>(), kinds, texts());
    let what = (times(), times(), attributes_(), any::<u32>(), events(), links(), statuses);
    (who, what).prop_map(|(who, what)| SpanData {
        span_context: who.0,
        parent_span_id: SpanId::from(who.1),
        parent_span_is_remote: who.2,
        span_kind: who.3,
        name: Cow::Owned(who.4),
        start_time: what.0,
        end_time: what.1,
        attributes: what.2,
        dropped_attributes_count: what.3,
        events: what.4,
        links: what.5,
        status: what.6,
        instrumentation_scope: scope(),
    })
}

proptest! {
    /// Collectors read the same as from the library's exporter, with its own types.
    #[test]
    fn what_is_sent_reads_as_what_the_library_sends(
        resource in resources(),
        spans in proptest::collection::vec(spans(), 1..4),
    ) {
        let sent = in_order(as_sent(&resource, &spans));
        prop_assert_eq!(sent, in_order(by_the_library(&resource, spans)));
    }
}
