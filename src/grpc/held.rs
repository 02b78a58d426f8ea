//! What an answer holds until its peer has taken it. A peer can ask for answers and not read
//! them: while they are kept for it they take the places that calls under way take.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::body::Body;

use crate::admission::Admitted;
use crate::listen::UntakenAnswer;

/// A call's places, on their way from the handler to the answer's body.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) _admitted: Admitted,
    pub(super) _under_way: TaskTrackerToken,
}

/// An answer's body, with what it holds.
pub(super) struct Answer {
    body: Body,
    held: Held,
}

/// What is given back, and when.
pub(super) enum Held {
    Nothing,
    /// Once the message has been written, or the call is given up.
    UntilTaken {
        _places: Places,
        _untaken: UntakenAnswer,
    },
    /// Once the stream is over.
    UntilEnded {
        _places: Vec<OwnedSemaphorePermit>,
    },
}

impl Answer {
    pub(super) fn new(body: Body, held: Held) -> Self {
        Self { body, held }
    }
}

/// Bytes that the connection keeps until they are written, and with them what was held.
struct Kept {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if !matches!(self.held, Held::UntilTaken { .. }) {
            return polled;
        }
        // The body is done with as soon as its one message waits to be written: from there on it
        // is the message that has to hold the places.
        polled.map_ok(|frame| match frame.into_data() {
            Ok(bytes) => {
                let held = std::mem::replace(&mut self.held, Held::Nothing);
                Frame::data(Bytes::from_owner(Kept { bytes, _held: held }))
            }
            Err(frame) => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
