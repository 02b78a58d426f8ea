//! Spans on their way out: a bounded queue, and a task that sends what is in it.
//!
//! Not the SDK's batch processor: that has a thread of its own which blocks on the exporter, and
//! does not tell how many spans it dropped. This one lives on the runtime, so that its end can be
//! waited for with a limit, and a test can let simulated minutes pass; and what waits in it is
//! written where the span ends, in the form in which it leaves.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::otlp::spans::{self, Head};
use super::otlp::{Again, Batch, Deliver, Taken};
use super::resource::resource;

/// What most spans take, in bytes: about 400.
const SPAN_BYTES: usize = 512;

/// The pause before a batch is sent again where the collector asks for none, which doubles up to the
/// longest: for as long as one sending may take.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(1600);

/// Which refusal of a batch is told, though it may be taken yet: some 200 milliseconds after the first.
const COMPLAINT: u32 = 3;

/// How spans wait and leave; OpenTelemetry's `OTEL_BSP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Spans that wait at most; more are dropped.
    pub spans: usize,
    /// Spans that leave together at most.
    pub batch: usize,
    /// How long a span waits at most before it leaves.
    pub delay: Duration,
    /// How long the sending of a batch may take, what is sent again included.
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

    /// Those whose sending failed, and those that the collector rejected.
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

/// The queue's near end, which the SDK puts ended spans into. It never waits for the far end.
#[derive(Debug)]
pub struct SpanQueue(Arc<Queue>);

/// The queue's far end.
pub struct SpanSender<D> {
    queue: Arc<Queue>,
    collector: D,
    head: Head,
    failing: bool,
}

#[derive(Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    full_batch: Notify,
    settings: QueueSettings,
    dropped: Dropped,
}

/// Spans that wait, in the form in which they leave.
#[derive(Debug, Default)]
struct Waiting {
    /// Batches that no more fits into, the oldest first.
    full: VecDeque<Encoded>,
    /// The one that the next span comes into.
    last: Encoded,
    /// Spans in all of them.
    spans: usize,
}

/// Spans one after the other.
#[derive(Debug, Default)]
struct Encoded {
    spans: usize,
    bytes: Vec<u8>,
}

/// Makes a queue before `collector`, for spans of our own scope in this process.
pub fn queue<D: Deliver>(
    collector: D,
    settings: QueueSettings,
    dropped: Dropped,
) -> (SpanQueue, SpanSender<D>) {
    let (waiting, full_batch) = (Mutex::default(), Notify::new());
    let queue = Arc::new(Queue { waiting, full_batch, settings, dropped });
    let head = Head::new(&resource(), &super::scope());
    (SpanQueue(queue.clone()), SpanSender { queue, collector, head, failing: false })
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut encoded = Vec::with_capacity(SPAN_BYTES);
        spans::add(&mut encoded, &span);
        let added = self.0.waiting().add(&encoded, &self.0.settings, &self.0.dropped);
        match added {
            // The task sleeps between batches: most spans wake nobody.
            Added::Fills => self.0.full_batch.notify_one(),
            Added::Waits => {}
            Added::NoRoom => self.0.dropped.add(0, 1),
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

impl Queue {
    /// What is in there holds after every step of those who have it.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a span at the near end.
enum Added {
    Waits,
    /// It is the last of its batch.
    Fills,
    NoRoom,
}

impl Waiting {
    fn add(&mut self, span: &[u8], settings: &QueueSettings, dropped: &Dropped) -> Added {
        if self.spans >= settings.spans {
            return Added::NoRoom;
        }
        // While the far end cannot take it yet.
        dropped.add(2, 1);
        self.spans += 1;
        self.last.bytes.extend_from_slice(span);
        self.last.spans += 1;
        if self.last.spans < settings.batch {
            return Added::Waits;
        }
        let filled = self.take_last();
        self.full.push_back(filled);
        Added::Fills
    }

    /// The oldest batch, full or not; its spans wait no longer.
    fn take(&mut self) -> Option<Encoded> {
        let batch = match self.full.pop_front() {
            Some(full) => full,
            None if self.last.spans > 0 => self.take_last(),
            None => return None,
        };
        self.spans -= batch.spans;
        Some(batch)
    }

    /// The next one will have about as much in it.
    fn take_last(&mut self) -> Encoded {
        let bytes = Vec::with_capacity(self.last.bytes.len());
        std::mem::replace(&mut self.last, Encoded { spans: 0, bytes })
    }
}

impl<D: Deliver> SpanSender<D> {
    /// Sends batches until `end`, then what is left, for as long as whoever waits for it lets it.
    pub async fn run(mut self, end: CancellationToken) {
        loop {
            let next = Instant::now() + self.queue.settings.delay;
            let ended = tokio::select! {
                () = end.cancelled() => true,
                () = self.queue.full_batch.notified() => false,
                () = sleep_until(next) => false,
            };
            loop {
                let Some(encoded) = self.queue.waiting().take() else { break };
                self.send(encoded).await;
            }
            if ended {
                return;
            }
        }
    }

    async fn send(&mut self, encoded: Encoded) {
        let (spans, dropped) = (encoded.spans, self.queue.dropped.clone());
        let head = self.head.before(encoded.bytes.len()).into();
        let batch = Batch { spans, head, encoded: encoded.bytes.into() };
        // Counted first, and taken back where all went well: a sending may be cut off.
        dropped.add(1, spans);
        let mut fault = "no answer in time".to_owned();
        let limit = self.queue.settings.export_timeout;
        let taken = timeout(limit, self.until_taken(batch, &mut fault)).await.ok().flatten();
        dropped.take(2, spans);
        let lost = match taken {
            Some(taken) if taken.rejected == 0 => 0,
            Some(taken) => {
                fault = format!("the collector rejected them: {}", taken.why);
                usize::try_from(taken.rejected).unwrap_or(spans).min(spans)
            }
            None => spans,
        };
        dropped.take(1, spans - lost);
        if lost > 0 {
            self.complain(&fault, lost);
        } else if std::mem::take(&mut self.failing) {
            tracing::info!("spans can be sent again");
        }
    }

    /// Sends a batch until it is taken, none where it never will be; `fault` is what went wrong last.
    async fn until_taken(&mut self, batch: Batch, fault: &mut String) -> Option<Taken> {
        let mut pause = FIRST_PAUSE;
        for refusals in 1.. {
            let refused = match self.collector.deliver(batch.clone()).await {
                Ok(taken) => return Some(taken),
                Err(refused) => refused,
            };
            *fault = refused.fault;
            let asked = match refused.again {
                Again::Never => return None,
                Again::Later => Duration::ZERO,
                Again::After(asked) => asked,
            };
            if refusals == COMPLAINT {
                self.complain(fault, batch.spans);
            }
            // Between half of it and all: those who lost the same collector do not come back as one.
            sleep(asked.max(pause.mul_f64(rand::random_range(0.5..1.0)))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        None
    }

    /// Once, and not every few seconds for as long as nobody listens.
    fn complain(&mut self, fault: &str, spans: usize) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(fault, spans, "spans could not be sent; calls go on without them");
        }
    }
}
