//! The queues before the log and the audit log, and what becomes of lines that are lost.
//!
//! The queues are tracing-appender's, which count the lines that found them full. It passes over
//! lines that could not be written, as on a full disk: [`Writer`] counts those.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use crate::clock::{Clock as _, SystemClock};

/// Lines that wait at most for whoever reads them; more are dropped and counted.
const LINES_WAITING: usize = 8192;
/// Lines that come together leave together, in so many bytes at most.
const BYTES_TOGETHER: usize = 8192;
/// How long lines of the log gather after others have left: under load a queue's thread is woken every so
/// often, and not by each line.
const GATHERING: Duration = Duration::from_millis(2);

/// What writes lines behind the calls' backs. Dropped, it writes what is left, for about a second
/// at most.
#[derive(Default)]
#[must_use]
pub struct Lines {
    queues: Vec<Queue>,
    audit: Arc<OnceLock<NonBlocking>>,
}

struct Queue {
    name: &'static str,
    found_full: ErrorCounter,
    unwritten: Arc<AtomicU64>,
    _guard: WorkerGuard,
}

/// Tells somebody that lines can be written no more, and why; or, without a fault, that they can
/// again.
type Tell = Box<dyn FnMut(Option<&io::Error>) + Send>;

/// Lets lines gather.
type Gather = Box<dyn FnMut() + Send>;

impl Lines {
    /// A queue before the log. That it cannot be written is told in the audit log's place.
    pub(super) fn log(&mut self, target: impl Write + Send + 'static) -> NonBlocking {
        let audit = self.audit.clone();
        let tell = move |fault: Option<&io::Error>| match fault {
            Some(fault) => {
                if let Some(audit) = audit.get() {
                    // A queue takes every line, or counts it.
                    let _ = audit.clone().write_all(&unwritable_log(fault));
                }
            }
            None => tracing::info!("the log can be written again"),
        };
        self.queue("log", target, Box::new(tell), Box::new(gather))
    }

    /// A queue before the audit log. That it cannot be written is told in the log.
    pub(super) fn audit(&mut self, target: impl Write + Send + 'static) -> NonBlocking {
        let tell = |fault: Option<&io::Error>| match fault {
            Some(fault) => tracing::error!(%fault, "the audit log cannot be written"),
            None => tracing::info!("the audit log can be written again"),
        };
        // Without a pause: what is told of money leaves at once.
        let queue = self.queue("audit", target, Box::new(tell), Box::new(|| {}));
        let _ = self.audit.set(queue.clone());
        queue
    }

    fn queue(
        &mut self,
        name: &'static str,
        target: impl Write + Send + 'static,
        tell: Tell,
        gather: Gather,
    ) -> NonBlocking {
        let unwritten = Arc::<AtomicU64>::default();
        let (queue, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(LINES_WAITING)
            .lossy(true)
            .thread_name(name)
            .finish(Writer::new(target, unwritten.clone(), tell, gather));
        let found_full = queue.error_counter();
        self.queues.push(Queue { name, found_full, unwritten, _guard: guard });
        queue
    }

    /// How many lines each queue has lost, found full or unwritten.
    pub(super) fn lost(&self) -> impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static {
        let queues = self.queues.iter();
        let counters: Vec<_> =
            queues.map(|it| (it.name, it.found_full.clone(), it.unwritten.clone())).collect();
        move || {
            let count = |full: &ErrorCounter, unwritten: &AtomicU64| {
                let full = u64::try_from(full.dropped_lines()).unwrap_or(u64::MAX);
                full.saturating_add(unwritten.load(Ordering::Relaxed))
            };
            counters.iter().map(|(name, full, lost)| (*name, count(full, lost))).collect()
        }
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

#[expect(clippy::disallowed_methods, reason = "blocks the thread of a queue, which nobody awaits")]
fn gather() {
    std::thread::sleep(GATHERING);
}

/// Writes whole lines, and counts those that its target does not take. It never fails: the thread
/// behind a queue would drop the next line too.
///
/// That thread flushes when its queue is empty. What has left then is followed by a pause, in which
/// the queue takes lines and wakes nobody; a line that comes after a rest leaves at once.
struct Writer<T> {
    target: T,
    lines: Vec<u8>,
    unwritten: Arc<AtomicU64>,
    tell: Tell,
    gather: Gather,
    is_failing: bool,
    /// The last line was cut off in its midst.
    is_torn: bool,
}

impl<T: Write> Writer<T> {
    fn new(target: T, unwritten: Arc<AtomicU64>, tell: Tell, gather: Gather) -> Self {
        let lines = Vec::with_capacity(BYTES_TOGETHER);
        Self { target, lines, unwritten, tell, gather, is_failing: false, is_torn: false }
    }

    fn drain(&mut self) {
        let (written, fault) = self.write_lines();
        if let Some(fault) = &fault {
            let lost = self.lines[written..].iter().filter(|byte| **byte == b'\n').count();
            let lost = u64::try_from(lost).unwrap_or(u64::MAX);
            self.unwritten.fetch_add(lost, Ordering::Relaxed);
            if !self.is_failing {
                // Once, and not with each line for as long as a disk is full.
                (self.tell)(Some(fault));
            }
        } else if self.is_failing {
            (self.tell)(None);
        }
        self.is_failing = fault.is_some();
        if written > 0 {
            self.is_torn = self.lines[written - 1] != b'\n';
        }
        self.lines.clear();
    }

    /// How many bytes of the lines were taken, and why not all.
    fn write_lines(&mut self) -> (usize, Option<io::Error>) {
        if self.is_torn {
            // What comes is not to be read as the rest of what was cut off.
            if let Err(fault) = self.target.write_all(b"\n") {
                return (0, Some(fault));
            }
            self.is_torn = false;
        }
        let mut written = 0;
        while written < self.lines.len() {
            match self.target.write(&self.lines[written..]) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(bytes) => written += bytes,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return (written, Some(fault)),
            }
        }
        (written, None)
    }
}

impl<T: Write> Write for Writer<T> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.lines.is_empty() && self.lines.len() + line.len() > BYTES_TOGETHER {
            self.drain();
        }
        self.lines.extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.lines.is_empty() {
            self.drain();
            (self.gather)();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// A disk with room for so many bytes, and what each write put there.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(usize, Vec<String>)>>);

    impl Disk {
        fn with_room(room: usize) -> Self {
            let disk = Self::default();
            disk.0.lock().unwrap().0 = room;
            disk
        }

        fn writes(&self) -> Vec<String> {
            self.0.lock().unwrap().1.clone()
        }

        fn text(&self) -> String {
            self.writes().concat()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let (room, writes) = &mut *disk;
            let taken = bytes.len().min(*room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= taken;
            writes.push(String::from_utf8(bytes[..taken].to_vec()).unwrap());
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Told = Arc<Mutex<Vec<bool>>>;

    fn writer(disk: &Disk) -> (Writer<Disk>, Arc<AtomicU64>, Told) {
        let (unwritten, told) = (Arc::<AtomicU64>::default(), Told::default());
        let seen = told.clone();
        let tell = move |fault: Option<&io::Error>| seen.lock().unwrap().push(fault.is_some());
        let gather = Box::new(|| {});
        (Writer::new(disk.clone(), unwritten.clone(), Box::new(tell), gather), unwritten, told)
    }

    fn put(writer: &mut impl Write, line: &str) {
        writer.write_all(line.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    #[test]
    fn lines_that_a_full_disk_does_not_take_are_counted_and_told_once() {
        let disk = Disk::with_room(4);
        let (mut writer, unwritten, told) = writer(&disk);
        put(&mut writer, "one\n");
        put(&mut writer, "two\nthree\n");
        put(&mut writer, "four\n");
        assert_eq!((disk.text().as_str(), unwritten.load(Ordering::Relaxed)), ("one\n", 3));
        assert_eq!(*told.lock().unwrap(), [true]);
        disk.0.lock().unwrap().0 = 100;
        put(&mut writer, "five\n");
        assert_eq!((disk.text().as_str(), unwritten.load(Ordering::Relaxed)), ("one\nfive\n", 3));
        assert_eq!(*told.lock().unwrap(), [true, false]);
    }

    #[test]
    fn a_line_that_was_cut_off_is_lost_and_spoils_no_other() {
        let disk = Disk::with_room(6);
        let (mut writer, unwritten, _) = writer(&disk);
        put(&mut writer, "one\ntwo\nthree\n");
        assert_eq!(unwritten.load(Ordering::Relaxed), 2);
        put(&mut writer, "four\n");
        assert_eq!(unwritten.load(Ordering::Relaxed), 3);
        disk.0.lock().unwrap().0 = 100;
        put(&mut writer, "five\n");
        assert_eq!(disk.text(), "one\ntw\nfive\n");
    }

    /// A pause that tells when it begins, and ends when the test says so.
    fn pause() -> (Gather, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let ((begin, begun), (end, ended)) = (mpsc::channel(), mpsc::channel());
        let gather = move || {
            let _ = begin.send(());
            let _ = ended.recv();
        };
        (Box::new(gather), begun, end)
    }

    #[test]
    fn lines_gather_after_others_have_left_and_leave_together() {
        const LONGEST: Duration = Duration::from_secs(10);
        let disk = Disk::with_room(100);
        let (gather, begun, end) = pause();
        let writer = Writer { gather, ..writer(&disk).0 };
        let (mut queue, guard) = NonBlockingBuilder::default().finish(writer);
        queue.write_all(b"one\n").unwrap();
        begun.recv_timeout(LONGEST).unwrap();
        queue.write_all(b"two\n").unwrap();
        queue.write_all(b"three\n").unwrap();
        assert_eq!(disk.writes(), ["one\n"]);
        end.send(()).unwrap();
        begun.recv_timeout(LONGEST).unwrap();
        assert_eq!(disk.writes(), ["one\n", "two\nthree\n"]);
        drop(end);
        drop(guard);
        assert!(begun.try_recv().is_err(), "who has written nothing need not wait");
    }

    #[test]
    fn a_log_that_cannot_be_written_says_so_in_the_audit_logs_place() {
        let (log, audit) = (Disk::default(), Disk::with_room(1000));
        let mut lines = Lines::default();
        let mut queue = lines.log(log);
        lines.audit(audit.clone());
        let lost = lines.lost();
        queue.write_all(b"a line\n").unwrap();
        drop(lines);
        assert_eq!(lost(), [("log", 1), ("audit", 0)]);
        let text = audit.text();
        assert!(text.contains(r#""message":"the log cannot be written""#), "{text}");
        assert!(text.contains(r#""fault":"no storage space""#), "{text}");
    }
}
