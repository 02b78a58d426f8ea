//! The queues before the log and the audit log, and what becomes of lines that are lost.

mod queue;
mod writer;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

pub use queue::Queue;

use self::queue::{End, Gather};
use self::writer::{Tell, Writer};
use crate::clock::{Clock as _, SystemClock};

/// What writes lines behind the calls' backs. Dropped, it writes what is left, for about a second a
/// queue at most.
#[derive(Default)]
#[must_use]
pub struct Lines {
    queues: Vec<Begun>,
    audit: Arc<OnceLock<Queue>>,
}

struct Begun {
    name: &'static str,
    /// Lines that found it full or could not be written.
    lost: Arc<AtomicU64>,
    end: End,
}

impl Lines {
    /// A queue before the log. That it cannot be written is told in the audit log's place.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(super) fn log(&mut self, target: impl Write + Send + 'static) -> io::Result<Queue> {
        let audit = self.audit.clone();
        let tell = move |fault: Option<&io::Error>| match fault {
            Some(fault) => {
                if let Some(audit) = audit.get() {
                    audit.put(&unwritable_log(fault));
                }
            }
            None => tracing::info!("the log can be written again"),
        };
        self.queue("log", target, Box::new(tell), Box::new(queue::gather))
    }

    /// A queue before the audit log. That it cannot be written is told in the log.
    ///
    /// # Errors
    /// As [`Lines::log`].
    pub(super) fn audit(&mut self, target: impl Write + Send + 'static) -> io::Result<Queue> {
        let tell = |fault: Option<&io::Error>| match fault {
            Some(fault) => tracing::error!(%fault, "the audit log cannot be written"),
            None => tracing::info!("the audit log can be written again"),
        };
        // Without a pause: what is told of money leaves at once.
        let queue = self.queue("audit", target, Box::new(tell), Box::new(|| {}))?;
        let _ = self.audit.set(queue.clone());
        Ok(queue)
    }

    fn queue(
        &mut self,
        name: &'static str,
        target: impl Write + Send + 'static,
        tell: Tell,
        gather: Gather,
    ) -> io::Result<Queue> {
        let writer = Writer::new(target, tell);
        let lost = writer.lost();
        let (queue, end) = Queue::start(name, writer, gather)?;
        self.queues.push(Begun { name, lost, end });
        Ok(queue)
    }

    /// How many lines each queue has lost, found full or unwritten.
    pub(super) fn lost(&self) -> impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static {
        let counters: Vec<_> = self.queues.iter().map(|it| (it.name, it.lost.clone())).collect();
        move || counters.iter().map(|(name, lost)| (*name, lost.load(Ordering::Relaxed))).collect()
    }
}

impl Drop for Lines {
    /// What one queue cannot write is told in the other: neither ends before both have written all.
    fn drop(&mut self) {
        self.queues.iter_mut().for_each(|it| it.end.settle());
    }
}

/// One of the process's streams without a buffer before it, which would keep what it could not
/// write and tell the wrong line of it.
///
/// # Errors
/// Where the process has no file descriptor left.
pub(super) fn unbuffered(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// As a line of the log, which it would have been.
fn unwritable_log(fault: &io::Error) -> Vec<u8> {
    let line = serde_json::json!({
        "timestamp": SystemClock.now().to_string(),
        "level": "ERROR",
        "message": "the log cannot be written",
        "fault": fault.to_string(),
        "target": module_path!(),
    });
    format!("{line}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::writer::tests::Disk;
    use super::*;

    /// Takes nothing, and says so once the log's queue is over, or after a while in which it is not.
    struct FailsLate(Queue);

    impl Write for FailsLate {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.0.wait_for_end(Duration::from_millis(200));
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_an_audit_log_first_fails_at_in_the_end_finds_the_log_still_there() {
        let log = Disk::with_room(1000);
        let mut lines = Lines::default();
        let queue = lines.log(log.clone()).unwrap();
        let logger = queue.clone();
        let tell = Box::new(move |_: Option<&io::Error>| logger.put(b"told\n"));
        let audit = lines.queue("audit", FailsLate(queue), tell, Box::new(|| {})).unwrap();
        audit.put(b"a line\n");
        drop(lines);
        assert_eq!(log.text(), "told\n");
    }

    #[test]
    fn a_log_that_cannot_be_written_says_so_in_the_audit_logs_place() {
        let (log, audit) = (Disk::default(), Disk::with_room(1000));
        let mut lines = Lines::default();
        let queue = lines.log(log).unwrap();
        lines.audit(audit.clone()).unwrap();
        let lost = lines.lost();
        queue.put(b"a line\n");
        drop(lines);
        assert_eq!(lost(), [("log", 1), ("audit", 0)]);
        let text = audit.text();
        assert!(text.contains(r#""message":"the log cannot be written""#), "{text}");
        assert!(text.contains(r#""fault":"no storage space""#), "{text}");
    }
}
