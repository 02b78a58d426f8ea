//! What writes lines, and counts those that are not taken.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines that come together leave together, in so many bytes at most.
const BYTES_TOGETHER: usize = 8192;

/// Tells somebody that lines can be written no more, and why; or, without a fault, that they can
/// again.
pub(super) type Tell = Box<dyn FnMut(Option<&io::Error>) + Send>;

/// Writes whole lines, and counts those that its target does not take.
pub(super) struct Writer<T> {
    target: T,
    lost: Arc<AtomicU64>,
    tell: Tell,
    is_failing: bool,
    /// The last line was cut off in its midst.
    is_torn: bool,
}

impl<T: Write> Writer<T> {
    pub(super) fn new(target: T, tell: Tell) -> Self {
        Self { target, lost: Arc::default(), tell, is_failing: false, is_torn: false }
    }

    /// Where lines that are lost are counted.
    pub(super) fn lost(&self) -> Arc<AtomicU64> {
        self.lost.clone()
    }

    /// Writes lines, and tells of each part of them, by its lines and bytes, that it is done with.
    pub(super) fn write(&mut self, lines: &[u8], mut done: impl FnMut(usize, usize)) {
        let mut left = lines;
        while !left.is_empty() {
            let (together, rest) = left.split_at(end_of_lines(left));
            self.write_together(together);
            done(count(together), together.len());
            left = rest;
        }
    }

    fn write_together(&mut self, lines: &[u8]) {
        let (written, fault) = self.write_bytes(lines);
        if let Some(fault) = &fault {
            let lost = u64::try_from(count(&lines[written..])).unwrap_or(u64::MAX);
            self.lost.fetch_add(lost, Ordering::Relaxed);
            if !self.is_failing {
                // Once, and not with each line for as long as a disk is full.
                (self.tell)(Some(fault));
            }
        } else if self.is_failing {
            (self.tell)(None);
        }
        self.is_failing = fault.is_some();
        if written > 0 {
            self.is_torn = lines[written - 1] != b'\n';
        }
    }

    /// How many bytes of the lines were taken, and why not all.
    fn write_bytes(&mut self, lines: &[u8]) -> (usize, Option<io::Error>) {
        if self.is_torn {
            // What comes is not to be read as the rest of what was cut off.
            if let Err(fault) = self.target.write_all(b"\n") {
                return (0, Some(fault));
            }
            self.is_torn = false;
        }
        let mut written = 0;
        while written < lines.len() {
            match self.target.write(&lines[written..]) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(bytes) => written += bytes,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return (written, Some(fault)),
            }
        }
        (written, None)
    }
}

/// Where the last of the lines ends that leave together: one of them at least.
fn end_of_lines(lines: &[u8]) -> usize {
    if lines.len() <= BYTES_TOGETHER {
        return lines.len();
    }
    let is_end = |byte: &u8| *byte == b'\n';
    let last = lines[..BYTES_TOGETHER].iter().rposition(is_end);
    // A line that is longer leaves alone.
    let last = last.or_else(|| lines.iter().position(is_end));
    last.map_or(lines.len(), |at| at + 1)
}

fn count(lines: &[u8]) -> usize {
    lines.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A disk with room for so many bytes, and what each write put there.
    #[derive(Clone, Default)]
    pub(in super::super) struct Disk(Arc<Mutex<(usize, Vec<String>)>>);

    impl Disk {
        pub(in super::super) fn with_room(room: usize) -> Self {
            let disk = Self::default();
            disk.make_room(room);
            disk
        }

        fn make_room(&self, room: usize) {
            self.0.lock().unwrap().0 = room;
        }

        pub(in super::super) fn writes(&self) -> Vec<String> {
            self.0.lock().unwrap().1.clone()
        }

        pub(in super::super) fn text(&self) -> String {
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

    pub(in super::super) fn writer(disk: &Disk) -> (Writer<Disk>, Told) {
        let told = Told::default();
        let seen = told.clone();
        let tell = move |fault: Option<&io::Error>| seen.lock().unwrap().push(fault.is_some());
        (Writer::new(disk.clone(), Box::new(tell)), told)
    }

    fn put(writer: &mut Writer<Disk>, lines: &str) -> u64 {
        let mut done = (0, 0);
        writer.write(lines.as_bytes(), |lines, bytes| done = (done.0 + lines, done.1 + bytes));
        assert_eq!(done, (lines.lines().count(), lines.len()));
        writer.lost.load(Ordering::Relaxed)
    }

    #[test]
    fn lines_that_a_full_disk_does_not_take_are_counted_and_told_once() {
        let disk = Disk::with_room(4);
        let (mut writer, told) = writer(&disk);
        put(&mut writer, "one\n");
        put(&mut writer, "two\nthree\n");
        assert_eq!(put(&mut writer, "four\n"), 3);
        assert_eq!(disk.text(), "one\n");
        assert_eq!(*told.lock().unwrap(), [true]);
        disk.make_room(100);
        assert_eq!(put(&mut writer, "five\n"), 3);
        assert_eq!(disk.text(), "one\nfive\n");
        assert_eq!(*told.lock().unwrap(), [true, false]);
    }

    #[test]
    fn a_line_that_was_cut_off_is_lost_and_spoils_no_other() {
        let disk = Disk::with_room(6);
        let (mut writer, _) = writer(&disk);
        assert_eq!(put(&mut writer, "one\ntwo\nthree\n"), 2);
        assert_eq!(put(&mut writer, "four\n"), 3);
        disk.make_room(100);
        put(&mut writer, "five\n");
        assert_eq!(disk.text(), "one\ntw\nfive\n");
    }

    #[test]
    fn many_lines_leave_in_parts_of_whole_lines() {
        let disk = Disk::with_room(usize::MAX);
        let (mut writer, _) = writer(&disk);
        let line = |length: usize| format!("{}\n", "x".repeat(length - 1));
        let (short, long) = (line(3000), line(BYTES_TOGETHER + 1));
        put(&mut writer, &[&*short, &short, &short, &long, &short].concat());
        let expected = [format!("{short}{short}"), short.clone(), long, short];
        assert_eq!(disk.writes(), expected);
    }
}
