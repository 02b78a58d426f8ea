//! Starts what the settings ask for, and ends it in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_otlp::{
    Compression, MetricExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Telemetry;
use super::audit::Audit;
use super::export::{self, Dropped, QueueSettings, SpanQueue};
use super::headers::Headers;
use super::lines::Lines;
use super::names::{label, metric};
use super::otlp::{self, Deliver, Grpc, Http};
use super::push::{self, SharedReader};
use super::resource::resource;
use super::settings::{Destination, OtelSettings, Protocol, PushSettings};
use super::trace::Tracer;

/// How long what is left may take to leave at the end, unless less is allowed.
pub const FLUSH: Duration = Duration::from_secs(3);

/// What was started, until it is ended. Dropped, it tells what did not leave: best after the runtime
/// has ended, as whatever is cut off there has spans too.
#[derive(Default)]
pub struct Exports {
    tasks: JoinSet<()>,
    end: CancellationToken,
    /// What became of spans, beyond the task that sends them.
    dropped: Dropped,
    /// Whether the last metrics have been sent; none where none are.
    last_metrics: Option<Arc<AtomicBool>>,
    /// The instruments, which could not be read once the last to use them is gone.
    _telemetry: Option<Telemetry>,
}

/// Starts the telemetry of a process. Needs a runtime, on which the exporters live.
///
/// # Errors
/// A sentence for the operator where an exporter cannot be made.
pub fn start(
    settings: &OtelSettings,
    headers: &Headers,
    audit: Audit,
    lines: &Lines,
) -> Result<(Telemetry, Exports), String> {
    let mut exports = Exports::default();
    let settings = match headers.is_empty() {
        true => settings.clone(),
        false => settings.clone().with_headers(headers),
    };
    let tracer = match &settings.traces {
        None => Tracer::off(),
        Some(to) => {
            let export_timeout = settings.queue.export_timeout.min(to.timeout);
            let queue =
                spans_to(to, QueueSettings { export_timeout, ..settings.queue }, &mut exports)
                    .map_err(|fault| format!("spans cannot be exported: {fault}"))?;
            let provider = SdkTracerProvider::builder()
                .with_resource(resource())
                .with_span_processor(queue)
                .build();
            Tracer::of(&provider)
        }
    };
    let is_cumulative = settings.push.temporality == Temporality::Cumulative;
    let own = (settings.metrics.is_some() && !is_cumulative)
        .then(|| SharedReader::new(settings.push.temporality));
    let telemetry = Telemetry::new(tracer, audit, Vec::from_iter(own.clone()));
    if let Some(to) = &settings.metrics
        && let Some(reader) = own.or_else(|| telemetry.cumulative())
    {
        let timeout = settings.push.timeout.min(to.timeout);
        let push = PushSettings { timeout, ..settings.push };
        let exporter = metric_exporter(to, push.temporality)
            .map_err(|fault| format!("metrics cannot be exported: {fault}"))?;
        let end = exports.end.clone();
        let pushing = push::run(reader, exporter, push, end);
        let is_sent = Arc::<AtomicBool>::default();
        exports.last_metrics = Some(is_sent.clone());
        exports.tasks.spawn(async move {
            pushing.await;
            is_sent.store(true, Ordering::Relaxed);
        });
    }
    show_losses(&telemetry, exports.dropped.clone(), lines);
    exports._telemetry = Some(telemetry.clone());
    Ok((telemetry, exports))
}

impl Exports {
    /// Has spans leave to `collector`, until the end; gives the queue that takes them. Needs a
    /// runtime.
    pub fn send_spans<D: Deliver>(&mut self, collector: D, settings: QueueSettings) -> SpanQueue {
        let (queue, sender) = export::queue(collector, settings, self.dropped.clone());
        self.tasks.spawn(sender.run(self.end.clone()));
        queue
    }

    /// Sends what is left, for as long as `limit` at most.
    pub async fn flush(&mut self, limit: Duration) {
        self.end.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(limit, all).await;
        // Whoever still sends is cut off, and can tell nothing any more.
        self.tasks.shutdown().await;
    }
}

impl Drop for Exports {
    fn drop(&mut self) {
        if self.last_metrics.as_ref().is_some_and(|is_sent| !is_sent.load(Ordering::Relaxed)) {
            tracing::warn!("the last metrics were left when the process ended");
        }
        let spans = self.dropped.left();
        if spans > 0 {
            tracing::warn!(spans, "spans were left when the process ended");
        }
    }
}

fn spans_to(
    to: &Destination,
    queue: QueueSettings,
    exports: &mut Exports,
) -> Result<SpanQueue, String> {
    Ok(match to.protocol {
        Protocol::Grpc => exports.send_spans(Grpc::new(to)?, queue),
        Protocol::Http => exports.send_spans(Http::new(http_client()?, to), queue),
    })
}

/// The way there and the headers are given to the library, which reads the variables too: what it makes of
/// them is not always what the standard says.
fn metric_exporter(to: &Destination, temporality: Temporality) -> Result<MetricExporter, String> {
    let builder = MetricExporter::builder().with_temporality(temporality);
    match to.protocol {
        Protocol::Grpc => {
            let builder = builder.with_tonic().with_metadata(to.headers.metadata());
            let builder =
                if to.gzip { builder.with_compression(Compression::Gzip) } else { builder };
            // The library's own connections trust nobody at all, and wait for one that is gone.
            builder.with_channel(otlp::channel(to)?).build()
        }
        Protocol::Http => {
            let builder = builder.with_http().with_endpoint(&to.endpoint);
            let builder =
                if to.gzip { builder.with_compression(Compression::Gzip) } else { builder };
            let builder = builder.with_http_client(http_client()?);
            builder.with_headers(to.headers.by_name()).build()
        }
    }
    .map_err(|fault| fault.to_string())
}

/// As towards Zentra: no proxy that the environment names, and no redirects.
fn http_client() -> Result<reqwest::Client, String> {
    // An error means that a provider stands already: the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|fault| format!("the client for telemetry cannot be made: {fault}"))
}

fn show_losses(telemetry: &Telemetry, dropped: Dropped, lines: &Lines) {
    use opentelemetry::KeyValue;
    let meter = telemetry.meter();
    let _counter = meter
        .u64_observable_counter(metric::SPANS_DROPPED)
        .with_description("Spans that were lost.")
        .with_callback(move |observer| {
            let why = |reason| [KeyValue::new(label::REASON, reason)];
            observer.observe(dropped.queue_full(), &why("queue_full"));
            observer.observe(dropped.export_failed(), &why("export_failed"));
        })
        .build();
    let lost = lines.lost();
    let _counter = meter
        .u64_observable_counter(metric::LINES_DROPPED)
        .with_description("Lines that were lost.")
        .with_callback(move |observer| {
            for (target, count) in lost() {
                observer.observe(count, &[KeyValue::new(label::TARGET, target)]);
            }
        })
        .build();
}
