//! Spans, over OpenTelemetry's own interface.
//!
//! Not over `tracing`'s spans: those are built before it is known whether anybody wants them,
//! which costs each call more than the tenth part of what it may. Here a call that is not sampled
//! pays for its ids alone, and its children pay for nothing.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

use super::names::attribute;
use super::trace_context::{self, TRACEPARENT, TRACESTATE};
use crate::clock::{Clock as _, SystemClock};

/// Makes spans, or only passes the callers' traces on.
#[derive(Clone)]
pub struct Tracer(Option<SdkTracer>);

/// Our id of a call, kept in its context for those who write lines of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

impl Tracer {
    /// Makes no spans. A caller's trace reaches Zentra, the records and the logs as it came.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Makes the spans of `provider`.
    #[must_use]
    pub fn of(provider: &SdkTracerProvider) -> Self {
        Self(Some(provider.tracer_with_scope(super::scope())))
    }

    /// The context of a call of this method that came so long ago with `caller`'s span, with a span of
    /// its own.
    #[must_use]
    pub fn server(
        &self,
        caller: Option<SpanContext>,
        method: &'static str,
        ago: Duration,
    ) -> Context {
        let outside = match caller {
            Some(caller) => Context::new().with_remote_span_context(caller),
            None => Context::new(),
        };
        let Some(tracer) = &self.0 else { return outside };
        // What a sampler may go by.
        let attributes = vec![
            KeyValue::new(attribute::RPC_SYSTEM_NAME, "grpc"),
            KeyValue::new(attribute::RPC_METHOD, method),
        ];
        let mut builder = tracer.span_builder(method).with_kind(SpanKind::Server);
        builder = builder.with_attributes(attributes);
        builder.start_time = SystemTime::from(SystemClock.now()).checked_sub(ago);
        let span = tracer.build_with_context(builder, &outside);
        match span.is_recording() {
            true => outside.with_span(span),
            // Its ids are all that anybody asks of it.
            false => outside.with_remote_span_context(span.span_context().clone()),
        }
    }

    /// The context of work that no call asked for, with a span of its own.
    #[must_use]
    pub fn root(&self, name: &'static str) -> Context {
        let outside = Context::new();
        let Some(tracer) = &self.0 else { return outside };
        let span = tracer.build_with_context(tracer.span_builder(name), &outside);
        outside.with_span(span)
    }

    /// A span of work of our own below the current one; none where that is not sampled.
    #[must_use]
    pub fn internal(&self, name: &'static str) -> Option<ClientSpan> {
        self.below(SpanKind::Internal, || (Cow::Borrowed(name), Vec::new()))
    }

    /// A span of a request below the current one, of this name and with what is known of it; none
    /// where that one is not sampled.
    pub fn client(
        &self,
        describe: impl FnOnce() -> (Cow<'static, str>, Vec<KeyValue>),
    ) -> Option<ClientSpan> {
        self.below(SpanKind::Client, describe)
    }

    /// Links the current span to another one, by that one's `traceparent` as a record keeps it. `why`
    /// is `replay` or `recovery`. A call's span that has ended, as its caller hung up, takes no link
    /// any more: one below it has it then, as of [`Tracer::link_below`].
    pub fn link_current(&self, traceparent: &str, why: &'static str) {
        let is_recording = Context::map_current(|current| {
            let span = current.span();
            if span.is_recording()
                && let Some(other) = trace_context::parse_kept(traceparent)
            {
                span.add_link(other, vec![KeyValue::new(attribute::LINK, why)]);
            }
            // It may have ended just before the link: one too many does no harm.
            span.is_recording()
        });
        if !is_recording {
            self.link_below(traceparent, why);
        }
    }

    /// The same with a span of its own below the current one, called as the link is: for what goes on
    /// behind a call, whose span may have ended or not.
    pub fn link_below(&self, traceparent: &str, why: &'static str) {
        let Some(tracer) = &self.0 else { return };
        Context::map_current(|current| {
            let Some(other) = trace_context::parse_kept(traceparent) else { return };
            if !current.span().span_context().is_sampled() {
                return;
            }
            let link = Link::new(other, vec![KeyValue::new(attribute::LINK, why)], 0);
            let builder = tracer.span_builder(why).with_kind(SpanKind::Internal);
            tracer.build_with_context(builder.with_links(vec![link]), current).end();
        });
    }

    fn below(
        &self,
        kind: SpanKind,
        describe: impl FnOnce() -> (Cow<'static, str>, Vec<KeyValue>),
    ) -> Option<ClientSpan> {
        let tracer = self.0.as_ref()?;
        Context::map_current(|current| {
            if !current.span().span_context().is_sampled() {
                return None;
            }
            let (name, attributes) = describe();
            let builder = tracer.span_builder(name).with_kind(kind).with_attributes(attributes);
            Some(ClientSpan(tracer.build_with_context(builder, current)))
        })
    }
}

/// The span of a request to somebody else. It ends when dropped, as cancelled where nobody said
/// what came of it.
///
/// In no context, as nothing is below it here: that would be three allocations and a lock more.
pub struct ClientSpan(Span);

impl ClientSpan {
    /// Adds what is known.
    pub fn set(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.0.set_attributes(attributes);
    }

    /// It came to this; `error` is what went wrong, by its kind.
    pub fn end(mut self, error: Option<Cow<'static, str>>) {
        if let Some(error) = error {
            self.fail(error);
        }
        self.0.end();
    }

    fn fail(&mut self, error: Cow<'static, str>) {
        self.0.set_status(failed());
        self.0.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error));
    }
}

impl Drop for ClientSpan {
    fn drop(&mut self) {
        if self.0.is_recording() {
            self.fail(Cow::Borrowed("cancelled"));
            self.0.end();
        }
    }
}

/// Without a text: the kind and the status say it all.
fn failed() -> Status {
    Status::error("")
}

/// Marks the context's span as failed.
pub fn fail(context: &Context, error: Cow<'static, str>) {
    let span = context.span();
    span.set_status(failed());
    span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error));
}

/// Writes the span of `context`, or where there is none the current one, into a request's
/// headers. Baggage stays here: it may hold anything.
pub fn inject(span: Option<&ClientSpan>, headers: &mut HeaderMap) {
    match span {
        Some(span) => inject_context(span.0.span_context(), headers),
        None => Context::map_current(|current| {
            inject_context(current.span().span_context(), headers);
        }),
    }
}

fn inject_context(span: &SpanContext, headers: &mut HeaderMap) {
    if !span.is_valid() {
        return;
    }
    let state = span.trace_state().header();
    let texts = [(TRACEPARENT, trace_context::format(span)), (TRACESTATE, state)];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// The `traceparent` of the current span; empty where there is none.
#[must_use]
pub fn current_traceparent() -> String {
    Context::map_current(|current| trace_context::format(current.span().span_context()))
}

/// The id of the current trace, in hex; empty where there is none.
#[must_use]
pub fn current_trace_id() -> String {
    Context::map_current(trace_id)
}

/// The id of a context's trace, in hex; empty where there is none.
#[must_use]
pub fn trace_id(context: &Context) -> String {
    trace_context::trace_id(context.span().span_context())
}

/// Our id of the call that the current work is for; empty where no call asked for it.
#[must_use]
pub fn current_request_id() -> String {
    Context::map_current(|current| current.get::<RequestId>().map(|id| id.0.clone()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::TraceId;
    use opentelemetry::trace::TraceState;
    use opentelemetry_sdk::trace::{
        InMemorySpanExporter, SamplingDecision, SamplingResult, ShouldSample,
    };

    use super::*;

    /// Samples everything, and keeps what it could go by.
    #[derive(Clone, Debug, Default)]
    struct Curious(Arc<Mutex<Vec<KeyValue>>>);

    impl ShouldSample for Curious {
        fn should_sample(
            &self,
            _: Option<&Context>,
            _: TraceId,
            _: &str,
            _: &SpanKind,
            attributes: &[KeyValue],
            _: &[Link],
        ) -> SamplingResult {
            self.0.lock().unwrap().extend_from_slice(attributes);
            let (decision, trace_state) =
                (SamplingDecision::RecordAndSample, TraceState::default());
            SamplingResult { decision, attributes: Vec::new(), trace_state }
        }
    }

    #[test]
    fn a_sampler_may_go_by_the_method_of_a_call() {
        let (sampler, spans) = (Curious::default(), InMemorySpanExporter::default());
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .with_simple_exporter(spans.clone())
            .build();
        let ago = Duration::from_secs(3);
        Tracer::of(&provider).server(None, "pay/Charge", ago).span().end();
        let known = [
            KeyValue::new(attribute::RPC_SYSTEM_NAME, "grpc"),
            KeyValue::new(attribute::RPC_METHOD, "pay/Charge"),
        ];
        assert_eq!(*sampler.0.lock().unwrap(), known);
        let spans = spans.get_finished_spans().unwrap();
        let [span] = &spans[..] else { panic!("one span: {spans:#?}") };
        assert_eq!(span.attributes, known);
        assert!(span.end_time.duration_since(span.start_time).unwrap() >= ago, "{span:#?}");
        let schema = span.instrumentation_scope.schema_url();
        assert_eq!(schema, Some("https://opentelemetry.io/schemas/1.40.0"));
    }
}
