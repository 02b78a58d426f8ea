//! A look at the HTTP/2 frames that pass. The HTTP/2 library bounds what frames make it keep; how
//! many it has to acknowledge, or to read for nothing, is counted here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::vitals::Vitals;

const PREFACE_BYTES: usize = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const HEADER_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
/// The last type that HTTP/2 itself has; whoever does not know a type passes it over.
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;

/// Whether a frame makes this side work and brings no call on. A window that is opened
/// (WINDOW_UPDATE) does bring one on: clients may open it as often as they like.
fn is_idle_work(kind: u8, flags: u8) -> bool {
    match kind {
        PING | SETTINGS => flags & ACK == 0,
        PRIORITY => true,
        kind => kind > CONTINUATION,
    }
}

/// Finds the frames in a stream of bytes, whatever pieces it comes in. What the frames hold is
/// passed over.
struct Frames {
    /// Bytes that belong to no header.
    to_skip: usize,
    header: [u8; HEADER_BYTES],
    filled: usize,
}

impl Frames {
    fn after(preface_bytes: usize) -> Self {
        Self { to_skip: preface_bytes, header: [0; HEADER_BYTES], filled: 0 }
    }

    /// Calls `each` with the type and flags of every frame whose header ends in these bytes.
    fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(u8, u8)) {
        loop {
            let skipped = self.to_skip.min(bytes.len());
            self.to_skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let taken = (HEADER_BYTES - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled < HEADER_BYTES {
                return;
            }
            let [high, middle, low, kind, flags, ..] = self.header;
            each(kind, flags);
            self.to_skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            self.filled = 0;
        }
    }
}

/// A connection whose frames are counted.
pub(super) struct Metered<I> {
    io: I,
    vitals: Arc<Vitals>,
    received: Frames,
    sent: Frames,
    preface_left: usize,
}

impl<I> Metered<I> {
    pub(super) fn new(io: I, vitals: Arc<Vitals>) -> Self {
        let (received, sent) = (Frames::after(PREFACE_BYTES), Frames::after(0));
        Self { io, vitals, received, sent, preface_left: PREFACE_BYTES }
    }

    fn count_received(&mut self, bytes: &[u8]) {
        if self.preface_left > 0 {
            self.preface_left = self.preface_left.saturating_sub(bytes.len());
            if self.preface_left == 0 {
                self.vitals.has_preface();
            }
        }
        let vitals = &self.vitals;
        self.received.read(bytes, |kind, flags| {
            if is_idle_work(kind, flags) {
                vitals.asked();
            }
        });
    }

    /// Tells the vitals whether the peer takes what is written.
    fn seen(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Pending => self.vitals.cannot_write(),
            Poll::Ready(_) => self.vitals.wrote(),
        }
        polled
    }

    fn count_sent(&mut self, bytes: &[u8]) {
        let vitals = &self.vitals;
        self.sent.read(bytes, |kind, _| {
            if matches!(kind, DATA | HEADERS) {
                vitals.answered();
            }
        });
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Metered<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.vitals.is_flooded() {
            // Nothing more is read of it; whoever watches the connection ends it.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        self.count_received(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Metered<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        let written = ready!(self.seen(polled))?;
        self.count_sent(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        let written = ready!(self.seen(polled))?;
        let mut left = written;
        for slice in slices {
            let taken = left.min(slice.len());
            self.count_sent(&slice[..taken]);
            left -= taken;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        bytes.extend(std::iter::repeat_n(PING, payload));
        bytes
    }

    proptest! {
        #[test]
        fn frames_are_found_in_whatever_pieces_they_come(
            frames in prop::collection::vec((0_u8..12, 0_u8..2, 0_usize..300), 0..20),
            piece in 1_usize..400,
        ) {
            let mut bytes = vec![PING; PREFACE_BYTES];
            for (kind, flags, payload) in &frames {
                bytes.extend(frame(*kind, *flags, *payload));
            }
            let (mut reader, mut found) = (Frames::after(PREFACE_BYTES), Vec::new());
            for piece in bytes.chunks(piece) {
                reader.read(piece, |kind, flags| found.push((kind, flags)));
            }
            let expected: Vec<_> = frames.iter().map(|it| (it.0, it.1)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
