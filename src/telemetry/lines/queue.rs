//! A queue of lines, and the thread that writes them.
//!
//! Whoever has a line adds it to a buffer. The thread takes all that has come and writes it. That of
//! the log then lets lines gather for a moment, so that it is woken after a rest, and not by each
//! line. Not tracing-appender's: that allocates twice a line, and spins and yields the processor before each
//! wait.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing_subscriber::fmt::MakeWriter;

use super::writer::Writer;

/// Lines that wait at most for whoever reads them; more are dropped and counted.
const LINES_WAITING: usize = 8192;
/// The same in bytes: few lines have more than 2 KiB.
const BYTES_WAITING: usize = LINES_WAITING * 2048;
/// How long lines gather after others have left.
const GATHERING: Duration = Duration::from_millis(2);
/// How long whoever ends a queue waits for what is left to be written, in all.
const TIME_TO_END: Duration = Duration::from_secs(1);
/// What a buffer may keep to itself after a burst, in bytes.
const BUFFER_KEPT: usize = 64 * 1024;

/// A queue of lines. Clones share it.
#[derive(Clone)]
pub struct Queue(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write, or an end to come to.
    called: Condvar,
    /// Nothing is left, or the thread has ended.
    done: Condvar,
    lost: Arc<AtomicU64>,
}

#[derive(Default)]
struct Waiting {
    buffer: Vec<u8>,
    /// Lines and bytes that wait, those among them that are being written.
    lines: usize,
    bytes: usize,
    /// The thread waits to be called.
    is_asleep: bool,
    is_ending: bool,
    /// The thread has ended.
    is_over: bool,
}

/// Ends its queue when dropped: what waits is written, for a second at most.
pub(super) struct End {
    queue: Queue,
    /// Of the second.
    left: Duration,
}

/// Lets lines gather.
pub(super) type Gather = Box<dyn FnMut() + Send>;

impl Queue {
    /// A queue before `writer`, whose thread has this name and does `gather` after each writing.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(super) fn start(
        name: &'static str,
        mut writer: Writer<impl Write + Send + 'static>,
        mut gather: Gather,
    ) -> io::Result<(Self, End)> {
        let queue = Self(Arc::new(Shared {
            waiting: Mutex::default(),
            called: Condvar::new(),
            done: Condvar::new(),
            lost: writer.lost(),
        }));
        let shared = queue.0.clone();
        let work = move || shared.write(&mut writer, &mut gather);
        std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok((queue.clone(), End { queue, left: TIME_TO_END }))
    }

    /// Takes a whole line, or counts it as lost. A line break stands at its end and nowhere else in it.
    pub(in crate::telemetry) fn put(&self, line: &[u8]) {
        debug_assert_eq!(line.iter().position(|byte| *byte == b'\n'), line.len().checked_sub(1));
        let shared = &*self.0;
        let mut waiting = shared.lock();
        let is_full = waiting.lines >= LINES_WAITING || waiting.bytes + line.len() > BYTES_WAITING;
        if is_full || waiting.is_over {
            shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.buffer.extend_from_slice(line);
        waiting.lines += 1;
        waiting.bytes += line.len();
        let was_asleep = std::mem::take(&mut waiting.is_asleep);
        drop(waiting);
        if was_asleep {
            shared.called.notify_one();
        }
    }
}

#[cfg(test)]
impl Queue {
    /// Waits until its thread ends, for this long at most.
    pub(super) fn wait_for_end(&self, time: Duration) {
        drop(self.0.done.wait_timeout_while(self.0.lock(), time, |it| !it.is_over));
    }
}

impl Shared {
    /// The work of the thread, until the end.
    fn write(&self, writer: &mut Writer<impl Write>, gather: &mut Gather) {
        let mut taken = Vec::new();
        while let Some(is_ending) = self.take(&mut taken) {
            writer.write(&taken, |lines, bytes| {
                let mut waiting = self.lock();
                waiting.lines = waiting.lines.saturating_sub(lines);
                waiting.bytes = waiting.bytes.saturating_sub(bytes);
                if waiting.lines == 0 {
                    self.done.notify_all();
                }
            });
            taken.clear();
            taken.shrink_to(BUFFER_KEPT);
            if !is_ending {
                gather();
            }
        }
    }

    /// Takes all that waits, once there is something, and tells whether the end has begun; none where
    /// nothing is left at the end.
    fn take(&self, taken: &mut Vec<u8>) -> Option<bool> {
        let mut waiting = self.lock();
        while waiting.buffer.is_empty() {
            if waiting.is_ending {
                waiting.is_over = true;
                self.done.notify_all();
                return None;
            }
            waiting.is_asleep = true;
            waiting = self.called.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.is_asleep = false;
        std::mem::swap(&mut waiting.buffer, taken);
        Some(waiting.is_ending)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    /// Waits until all that has come is written, or cannot be, and that is told. The queue goes on.
    pub(super) fn settle(&mut self) {
        self.wait(|waiting| waiting.lines > 0);
    }

    /// A reader that hangs puts off no end: all waits of a queue together have the one second.
    fn wait(&mut self, is_left: impl FnMut(&mut Waiting) -> bool) {
        let began = Instant::now();
        let shared = &*self.queue.0;
        drop(shared.done.wait_timeout_while(shared.lock(), self.left, is_left));
        self.left = self.left.saturating_sub(began.elapsed());
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.queue.0.lock().is_ending = true;
        self.queue.0.called.notify_one();
        self.wait(|waiting| !waiting.is_over);
    }
}

impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Has lines wait for each other.
#[expect(clippy::disallowed_methods, reason = "blocks the thread of a queue, which nobody awaits")]
pub(super) fn gather() {
    std::thread::sleep(GATHERING);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::super::writer::tests::{Disk, writer};
    use super::*;

    const LONGEST: Duration = Duration::from_secs(10);

    /// A queue whose pauses tell when they begin, and end when the test says so.
    fn paused(disk: &Disk) -> (Queue, End, Receiver<()>, Sender<()>) {
        let ((begin, begun), (end, ended)) = (mpsc::channel(), mpsc::channel());
        let gather = move || {
            let _ = begin.send(());
            let _ = ended.recv();
        };
        let (queue, guard) = Queue::start("test", writer(disk).0, Box::new(gather)).unwrap();
        (queue, guard, begun, end)
    }

    fn lost(queue: &Queue) -> u64 {
        queue.0.lost.load(Ordering::Relaxed)
    }

    #[test]
    fn lines_gather_after_others_have_left_and_leave_together() {
        let disk = Disk::with_room(100);
        let (queue, guard, begun, end) = paused(&disk);
        queue.put(b"one\n");
        begun.recv_timeout(LONGEST).unwrap();
        queue.put(b"two\n");
        queue.put(b"three\n");
        assert_eq!(disk.writes(), ["one\n"]);
        end.send(()).unwrap();
        begun.recv_timeout(LONGEST).unwrap();
        assert_eq!(disk.writes(), ["one\n", "two\nthree\n"]);
        queue.put(b"four\n");
        let ending = std::thread::spawn(move || drop(guard));
        while !queue.0.lock().is_ending {
            std::thread::yield_now();
        }
        drop(end);
        ending.join().unwrap();
        assert_eq!(disk.text(), "one\ntwo\nthree\nfour\n", "the end leaves nothing behind");
        assert!(begun.try_recv().is_err(), "nor does it wait for more");
        queue.put(b"five\n");
        assert_eq!((disk.writes().len(), lost(&queue)), (3, 1));
    }

    #[test]
    fn a_queue_that_is_full_drops_lines_and_counts_them() {
        let disk = Disk::with_room(usize::MAX);
        let (queue, guard, begun, end) = paused(&disk);
        queue.put(b"first\n");
        begun.recv_timeout(LONGEST).unwrap();
        (0..LINES_WAITING + 2).for_each(|_| queue.put(b"line\n"));
        assert_eq!(lost(&queue), 2);
        drop(end);
        drop(guard);
        assert_eq!(disk.text().lines().count(), 1 + LINES_WAITING);
    }

    #[test]
    fn a_queue_is_full_by_bytes_too() {
        let disk = Disk::with_room(usize::MAX);
        let (queue, guard, begun, end) = paused(&disk);
        queue.put(b"first\n");
        begun.recv_timeout(LONGEST).unwrap();
        let line = [&[b'x'; BYTES_WAITING / 4 - 1], b"\n".as_slice()].concat();
        (0..5).for_each(|_| queue.put(&line));
        assert_eq!(lost(&queue), 1);
        drop((end, guard));
    }
}
