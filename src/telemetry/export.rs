//! Spans on their way out: a bounded queue, and a task that sends what is in it.
//!
//! Not the SDK's batch processor: that has a thread of its own which blocks on the exporter, and
//! does not tell how many spans it dropped. This one lives on the runtime, so that its end can be
//! waited for with a limit, and a test can let simulated minutes pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How spans wait and leave; OpenTelemetry's `OTEL_BSP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Spans that wait at most; more are dropped.
    pub spans: usize,
    /// Spans that leave together at most.
    pub batch: usize,
    /// How long a span waits at most before it leaves.
    pub delay: Duration,
    /// How long one sending may take.
    pub export_timeout: Duration,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            spans: 2048,
            batch: 512,
            delay: Duration::from_secs(5),
            export_timeout: Duration::from_secs(30),
        }
    }
}

/// What became of spans that were not sent. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Dropped(Arc<[AtomicU64; 3]>);

impl Dropped {
    /// Those that found the queue full.
    #[must_use]
    pub fn queue_full(&self) -> u64 {
        self.0[0].load(Ordering::Relaxed)
    }

    /// Those whose sending failed.
    #[must_use]
    pub fn export_failed(&self) -> u64 {
        self.0[1].load(Ordering::Relaxed)
    }

    /// Those that wait or are on their way: lost, should the process end now.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.0[2].load(Ordering::Relaxed)
    }

    fn add(&self, which: usize, spans: usize) {
        self.0[which].fetch_add(spans as u64, Ordering::Relaxed);
    }

    fn take(&self, which: usize, spans: usize) {
        self.0[which].fetch_sub(spans as u64, Ordering::Relaxed);
    }
}

/// The queue's near end, which the SDK puts ended spans into. It never waits.
#[derive(Debug)]
pub struct SpanQueue {
    sender: mpsc::Sender<SpanData>,
    batch: usize,
    full_batch: Arc<Notify>,
    dropped: Dropped,
}

/// The queue's far end.
pub struct SpanSender<E> {
    receiver: mpsc::Receiver<SpanData>,
    exporter: E,
    settings: QueueSettings,
    full_batch: Arc<Notify>,
    dropped: Dropped,
    failing: bool,
}

/// Makes a queue before `exporter`.
pub fn queue<E: SpanExporter>(
    exporter: E,
    settings: QueueSettings,
    dropped: Dropped,
) -> (SpanQueue, SpanSender<E>) {
    let (sender, receiver) = mpsc::channel(settings.spans);
    let full_batch = Arc::new(Notify::new());
    let near = SpanQueue {
        sender,
        batch: settings.batch,
        full_batch: full_batch.clone(),
        dropped: dropped.clone(),
    };
    (near, SpanSender { receiver, exporter, settings, full_batch, dropped, failing: false })
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        // Counted first: the far end may have sent it before this goes on.
        self.dropped.add(2, 1);
        match self.sender.try_send(span) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.dropped.take(2, 1);
                self.dropped.add(0, 1);
                return;
            }
            // The far end is gone, and with it the process soon: it stays among those that are left.
            Err(TrySendError::Closed(_)) => return,
        }
        // The task sleeps between batches: most spans wake nobody.
        if self.sender.max_capacity() - self.sender.capacity() >= self.batch {
            self.full_batch.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// Nothing: whoever ends the process waits for the [`SpanSender`], which blocks nobody.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl<E: SpanExporter> SpanSender<E> {
    /// Sends batches until `end`, then what is left, for as long as whoever waits for it lets it.
    pub async fn run(mut self, end: CancellationToken) {
        loop {
            let next = Instant::now() + self.settings.delay;
            let ended = tokio::select! {
                () = end.cancelled() => true,
                () = self.full_batch.notified() => false,
                () = sleep_until(next) => false,
            };
            self.send_all().await;
            if ended {
                return;
            }
        }
    }

    async fn send_all(&mut self) {
        loop {
            let mut batch = Vec::with_capacity(self.receiver.len().min(self.settings.batch));
            while batch.len() < self.settings.batch
                && let Ok(span) = self.receiver.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            self.send(batch).await;
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        // Counted first, and taken back where all went well: a sending may be cut off.
        let spans = batch.len();
        self.dropped.add(1, spans);
        let sent = timeout(self.settings.export_timeout, self.exporter.export(batch)).await;
        let fault = match sent {
            Ok(Ok(())) => None,
            Ok(Err(fault)) => Some(fault.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        self.dropped.take(2, spans);
        match &fault {
            None => {
                self.dropped.take(1, spans);
                if self.failing {
                    tracing::info!("spans can be sent again");
                }
            }
            // Once, and not every few seconds for as long as nobody listens.
            Some(fault) if !self.failing => {
                tracing::warn!(fault, spans, "spans could not be sent; calls go on without them");
            }
            Some(_) => {}
        }
        self.failing = fault.is_some();
    }
}

/// Who tells: the service's name and this process, as `OTEL_SERVICE_NAME` and
/// `OTEL_RESOURCE_ATTRIBUTES` say where they say anything.
#[must_use]
pub fn resource() -> Resource {
    use std::sync::LazyLock;
    static INSTANCE: LazyLock<String> =
        LazyLock::new(|| format!("{:032x}", rand::random::<u128>()));
    let told = Resource::builder().build();
    let has = |key: &'static str| {
        told.get(&key.into()).is_some_and(|it| !it.as_str().starts_with("unknown_service"))
    };
    let mut builder = Resource::builder();
    if !has("service.name") {
        builder = builder.with_service_name("zentra-sidecar");
    }
    if !has("service.version") {
        builder =
            builder.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    }
    if !has("service.instance.id") {
        builder = builder.with_attribute(KeyValue::new("service.instance.id", INSTANCE.clone()));
    }
    builder.build()
}
