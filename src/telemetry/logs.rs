//! Log lines: JSON on a pipe, a human form on a terminal; to standard error, so that commands
//! have standard output to themselves.

use std::io::{self, BufWriter, IsTerminal, Write};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt};

/// The variable that holds the filter, such as `info` or `zentra_sidecar=debug`.
const FILTER_VARIABLE: &str = "SIDECAR_LOG";
/// Lines that wait at most for whoever reads them; more are dropped and counted.
const LINES_WAITING: usize = 8192;

/// What writes lines behind the calls' backs. Dropped, it writes what is left, for about a second
/// at most.
#[derive(Default)]
#[must_use]
pub struct Lines {
    counters: Vec<(&'static str, ErrorCounter)>,
    guards: Vec<WorkerGuard>,
}

/// Whether `SIDECAR_LOG` can be read, for those who list it with the other settings' faults.
///
/// # Errors
/// As [`start`].
pub fn check() -> Result<(), String> {
    filter("").map(|_| ())
}

fn filter(default: &str) -> Result<EnvFilter, String> {
    let text = std::env::var_os(FILTER_VARIABLE).filter(|text| !text.is_empty());
    let text = match &text {
        Some(text) => text.to_str().ok_or(format!("{FILTER_VARIABLE} must be UTF-8"))?,
        None => default,
    };
    EnvFilter::try_new(text).map_err(|fault| format!("{FILTER_VARIABLE} is no log filter: {fault}"))
}

/// Starts logging at `default` unless `SIDECAR_LOG` says otherwise. A second start is ignored.
///
/// # Errors
/// A sentence for the operator where the filter cannot be read.
pub fn start(default: &str) -> Result<(), String> {
    let lines = fmt().with_env_filter(filter(default)?).with_writer(io::stderr);
    // An error means that somebody logs already, as in a test.
    let _ = if io::stderr().is_terminal() {
        lines.with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).try_init()
    };
    Ok(())
}

/// The same for a process that serves: whoever reads the lines and hangs holds up no payment.
///
/// # Errors
/// As [`start`].
pub fn start_queued(default: &str) -> Result<Lines, String> {
    let filter = filter(default)?;
    let mut queues = Lines::default();
    if io::stderr().is_terminal() {
        let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
        let _ = lines.with_target(false).try_init();
        return Ok(queues);
    }
    let lines = fmt().with_env_filter(filter).with_writer(queues.queue("log", io::stderr()));
    let _ = lines.json().flatten_event(true).with_current_span(false).try_init();
    Ok(queues)
}

impl Lines {
    /// A queue before `target`, whose losses are told under `name`.
    pub fn queue(
        &mut self,
        name: &'static str,
        target: impl Write + Send + 'static,
    ) -> NonBlocking {
        let (queue, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(LINES_WAITING)
            .lossy(true)
            .thread_name(name)
            // Lines that come together leave together; the queue's thread flushes when it is empty.
            .finish(BufWriter::new(target));
        self.counters.push((name, queue.error_counter()));
        self.guards.push(guard);
        queue
    }

    /// How many lines each queue has lost.
    pub(super) fn lost(&self) -> impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static {
        let counters = self.counters.clone();
        move || {
            let count =
                |counter: &ErrorCounter| u64::try_from(counter.dropped_lines()).unwrap_or(u64::MAX);
            counters.iter().map(|(name, counter)| (*name, count(counter))).collect()
        }
    }
}
