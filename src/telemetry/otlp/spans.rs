//! Spans as OTLP has them, `opentelemetry/proto/trace/v1/trace.proto`.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

use super::wire::{bytes, fixed32, fixed64, length, message, number, some_bytes, some_number};

/// Bits of a span's and a link's flags: whether it is known that the other one is remote, and
/// whether it is. The bits below are the trace's own flags.
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// Adds a span to those in `out`, which are the greater part of a `ScopeSpans`.
pub(crate) fn add(out: &mut Vec<u8>, span: &SpanData) {
    const SPANS: u32 = 2;
    message(out, SPANS, |out| {
        bytes(out, 1, &span.span_context.trace_id().to_bytes());
        bytes(out, 2, &span.span_context.span_id().to_bytes());
        state(out, 3, &span.span_context);
        if span.parent_span_id != SpanId::INVALID {
            bytes(out, 4, &span.parent_span_id.to_bytes());
        }
        bytes(out, 5, span.name.as_bytes());
        number(out, 6, kind(&span.span_kind));
        fixed64(out, 7, nanos(span.start_time));
        fixed64(out, 8, nanos(span.end_time));
        attributes(out, 9, &span.attributes);
        number(out, 10, span.dropped_attributes_count.into());
        span.events.iter().for_each(|it| event(out, 11, it));
        number(out, 12, span.events.dropped_count.into());
        span.links.iter().for_each(|it| link(out, 13, it));
        number(out, 14, span.links.dropped_count.into());
        message(out, 15, |out| status(out, &span.status));
        fixed32(out, 16, flags(&span.span_context, span.parent_span_is_remote));
    });
}

/// What stands before a batch of spans, whichever they are, but for its lengths: who tells.
pub(crate) struct Head {
    /// Of the `ResourceSpans`.
    resource: Vec<u8>,
    /// Of the `ScopeSpans`.
    scope: Vec<u8>,
}

impl Head {
    /// Spans of this process and this scope.
    pub(crate) fn new(resource: &Resource, scope: &InstrumentationScope) -> Self {
        let mut about = Vec::new();
        message(&mut about, 1, |out| {
            resource.iter().for_each(|(key, value)| attribute(out, 1, key, value));
        });
        bytes(&mut about, 3, resource.schema_url().unwrap_or_default().as_bytes());
        let mut within = Vec::new();
        message(&mut within, 1, |out| {
            bytes(out, 1, scope.name().as_bytes());
            bytes(out, 2, scope.version().unwrap_or_default().as_bytes());
            scope.attributes().for_each(|it| attribute(out, 3, &it.key, &it.value));
        });
        bytes(&mut within, 3, scope.schema_url().unwrap_or_default().as_bytes());
        Self { resource: about, scope: within }
    }

    /// The beginning of an `ExportTraceServiceRequest` that ends with so many bytes of spans.
    pub(crate) fn before(&self, spans: usize) -> Vec<u8> {
        const RESOURCE_SPANS: u32 = 1;
        const SCOPE_SPANS: u32 = 2;
        let mut within = self.resource.clone();
        length(&mut within, SCOPE_SPANS, self.scope.len() + spans);
        within.extend_from_slice(&self.scope);
        let mut out = Vec::with_capacity(within.len() + 8);
        length(&mut out, RESOURCE_SPANS, within.len() + spans);
        out.extend_from_slice(&within);
        out
    }
}

fn state(out: &mut Vec<u8>, field: u32, context: &SpanContext) {
    let state = context.trace_state();
    // Most have none, and its text would be made for nothing.
    if *state != opentelemetry::trace::TraceState::NONE {
        bytes(out, field, state.header().as_bytes());
    }
}

fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn status(out: &mut Vec<u8>, status: &Status) {
    match status {
        Status::Unset => {}
        Status::Ok => number(out, 3, 1),
        Status::Error { description } => {
            bytes(out, 2, description.as_bytes());
            number(out, 3, 2);
        }
    }
}

fn flags(context: &SpanContext, is_remote: bool) -> u32 {
    let remote = if is_remote { IS_REMOTE } else { 0 };
    u32::from(context.trace_flags().to_u8()) | KNOWS_REMOTE | remote
}

fn event(out: &mut Vec<u8>, field: u32, event: &Event) {
    message(out, field, |out| {
        fixed64(out, 1, nanos(event.timestamp));
        bytes(out, 2, event.name.as_bytes());
        attributes(out, 3, &event.attributes);
        number(out, 4, event.dropped_attributes_count.into());
    });
}

fn link(out: &mut Vec<u8>, field: u32, link: &Link) {
    let other = &link.span_context;
    message(out, field, |out| {
        bytes(out, 1, &other.trace_id().to_bytes());
        bytes(out, 2, &other.span_id().to_bytes());
        state(out, 3, other);
        attributes(out, 4, &link.attributes);
        number(out, 5, link.dropped_attributes_count.into());
        fixed32(out, 6, flags(other, other.is_remote()));
    });
}

fn attributes(out: &mut Vec<u8>, field: u32, all: &[KeyValue]) {
    all.iter().for_each(|it| attribute(out, field, &it.key, &it.value));
}

fn attribute(out: &mut Vec<u8>, field: u32, key: &Key, value: &Value) {
    message(out, field, |out| {
        bytes(out, 1, key.as_str().as_bytes());
        message(out, 2, |out| any_value(out, value));
    });
}

/// One that OTLP has no form for is there without a value: there is none today.
fn any_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => text_value(out, text),
        Value::Bool(truth) => bool_value(out, *truth),
        Value::I64(number) => int_value(out, *number),
        Value::F64(number) => double_value(out, *number),
        Value::Array(array) => message(out, 5, |out| array_values(out, array)),
        _ => {}
    }
}

fn array_values(out: &mut Vec<u8>, array: &Array) {
    match array {
        Array::String(all) => each(out, all, text_value),
        Array::Bool(all) => each(out, all, |out, it| bool_value(out, *it)),
        Array::I64(all) => each(out, all, |out, it| int_value(out, *it)),
        Array::F64(all) => each(out, all, |out, it| double_value(out, *it)),
        _ => {}
    }
}

fn each<T>(out: &mut Vec<u8>, all: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    all.iter().for_each(|it| message(out, 1, |out| write(out, it)));
}

fn text_value(out: &mut Vec<u8>, text: &StringValue) {
    some_bytes(out, 1, text.as_str().as_bytes());
}

fn bool_value(out: &mut Vec<u8>, truth: bool) {
    some_number(out, 2, truth.into());
}

fn int_value(out: &mut Vec<u8>, number: i64) {
    some_number(out, 3, number.cast_unsigned());
}

fn double_value(out: &mut Vec<u8>, number: f64) {
    fixed64(out, 4, number.to_bits());
}

/// Nanoseconds since 1970; zero for what is before it.
fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
