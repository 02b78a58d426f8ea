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
use tokio::time::{Instant, sleep_until, timeout_at};
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

/// The longest time that a collector is left alone for because it asks for it.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

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
    /// Before which the collector is left alone.
    not_before: Instant,
    /// It was told that spans cannot be sent, and not yet that they can.
    failing: bool,
    /// It was told that the collector rejects spans.
    rejecting: bool,
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
    let near = SpanQueue(queue.clone());
    let not_before = Instant::now();
    let far = SpanSender { queue, collector, head, not_before, failing: false, rejecting: false };
    (near, far)
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
                self.send(encoded, &end).await;
            }
            if ended {
                return;
            }
        }
    }

    async fn send(&mut self, encoded: Encoded, end: &CancellationToken) {
        let spans = encoded.spans;
        let head = self.head.before(encoded.bytes.len()).into();
        let batch = Batch { spans, head, encoded: encoded.bytes.into() };
        self.pause_until(self.not_before, end).await;
        // Cut off in here, they stay among those that are left.
        let taken = self.until_taken(batch, end).await;
        let lost = match &taken {
            Ok(taken) => usize::try_from(taken.rejected).unwrap_or(spans).min(spans),
            Err(_) => spans,
        };
        self.queue.dropped.take(2, spans);
        self.queue.dropped.add(1, lost);
        match taken {
            Err(fault) => self.complain(&fault, spans),
            Ok(taken) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("spans can be sent again");
                }
                // Once, and not with each batch out of which some are.
                if lost > 0 && !std::mem::replace(&mut self.rejecting, true) {
                    tracing::warn!(fault = taken.why, spans = lost, "the collector rejected spans");
                }
            }
        }
    }

    /// Sends a batch until it is taken; fails with what went wrong last where it never will be, or
    /// not in time.
    async fn until_taken(
        &mut self,
        batch: Batch,
        end: &CancellationToken,
    ) -> Result<Taken, String> {
        let over = Instant::now() + self.queue.settings.export_timeout;
        let mut pause = FIRST_PAUSE;
        let mut fault = "no answer in time".to_owned();
        for refusals in 1.. {
            let Ok(answer) = timeout_at(over, self.collector.deliver(batch.clone())).await else {
                break;
            };
            let refused = match answer {
                Ok(taken) => return Ok(taken),
                Err(refused) => refused,
            };
            fault = refused.fault;
            let asked = match refused.again {
                Again::Never => break,
                Again::Later => Duration::ZERO,
                Again::After(asked) => asked.min(LONGEST_ASKED),
            };
            // Between half of it and all: those who lost the same collector do not come back as one.
            let jitter = pause.mul_f64(rand::random_range(0.5..1.0));
            self.not_before = Instant::now() + asked.max(jitter);
            if self.not_before >= over {
                break;
            }
            if refusals == COMPLAINT {
                self.complain(&fault, batch.spans);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.pause_until(self.not_before, end).await;
        }
        Err(fault)
    }

    /// Waits, but not for what is left of it when the end comes, if it comes meanwhile.
    async fn pause_until(&self, moment: Instant, end: &CancellationToken) {
        if end.is_cancelled() {
            return sleep_until(moment).await;
        }
        tokio::select! {
            () = sleep_until(moment) => {}
            () = end.cancelled() => {}
        }
    }

    /// Once, and not every few seconds for as long as nobody listens.
    fn complain(&mut self, fault: &str, spans: usize) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(fault, spans, "spans could not be sent; calls go on without them");
        }
    }
}
