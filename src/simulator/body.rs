//! Response bodies: whole, cut off, or huge.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

const CHUNK: Bytes = Bytes::from_static(&[b'x'; 16 * 1024]);
const HUGE_HEAD: &[u8] = br#"{"success":true,"data":{"padding":""#;
const HUGE_TAIL: &[u8] = br#""}}"#;

/// A body as the fault plan wants it.
#[derive(Debug)]
pub(crate) enum SimBody {
    /// Sent in one piece.
    Whole(Bytes),
    /// Sent, flushed, and then failed: hyper closes the connection.
    Cut(Cut),
    /// Parts still to send: head, padding bytes, tail.
    Huge { head: Bytes, padding: u64, tail: Bytes },
}

/// How far a body that is cut off has got.
#[derive(Debug)]
pub(crate) enum Cut {
    Send(Bytes),
    Flush,
    Fail,
}

impl SimBody {
    pub(crate) fn cut(bytes: Bytes) -> Self {
        Self::Cut(Cut::Send(bytes))
    }

    /// JSON of this many bytes in all (or a few more, where that is too little for any JSON).
    pub(crate) fn huge(bytes: u64) -> Self {
        let frame = (HUGE_HEAD.len() + HUGE_TAIL.len()) as u64;
        let padding = bytes.saturating_sub(frame);
        let (head, tail) = (Bytes::from_static(HUGE_HEAD), Bytes::from_static(HUGE_TAIL));
        Self::Huge { head, padding, tail }
    }
}

impl From<Bytes> for SimBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

type Next = Poll<Option<Result<Frame<Bytes>, io::Error>>>;

impl Body for SimBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Next {
        let bytes = match &mut *self {
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Cut(cut) => return cut.poll(context),
            Self::Huge { head, padding, tail } => {
                if !head.is_empty() {
                    std::mem::take(head)
                } else if *padding > 0 {
                    let size = (CHUNK.len() as u64).min(*padding);
                    *padding -= size;
                    CHUNK.slice(..usize::try_from(size).unwrap_or(CHUNK.len()))
                } else {
                    std::mem::take(tail)
                }
            }
        };
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            // The header tells the full length: the client must see that something is missing.
            Self::Cut(_) => SizeHint::default(),
            Self::Huge { head, padding, tail } => {
                SizeHint::with_exact(head.len() as u64 + padding + tail.len() as u64)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }
}

impl Cut {
    fn poll(&mut self, context: &mut Context<'_>) -> Next {
        match self {
            Self::Send(bytes) if !bytes.is_empty() => {
                let bytes = std::mem::take(bytes);
                *self = Self::Flush;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            // Pending once: hyper writes out what it holds before it asks again.
            Self::Send(_) | Self::Flush => {
                *self = Self::Fail;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Fail => Poll::Ready(Some(Err(io::Error::other("cut off on demand")))),
        }
    }
}
