//! A payment's body, which leaves only while its call owns the payment.
//!
//! The lease is checked before a request goes to the transport; there it may wait once more, for
//! one of the streams that an HTTP/2 connection has. The body is asked for when it has one.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::SendFence;

/// The lease was over before the body could leave: whatever left of the request is incomplete.
#[derive(Debug, thiserror::Error)]
#[error("the lease was over before the request could leave")]
pub(super) struct LeaseWasOver;

/// A body in one piece, behind its fence.
pub(super) struct FencedBody {
    fence: SendFence,
    bytes: Option<Bytes>,
}

impl FencedBody {
    pub(super) fn new(fence: SendFence, bytes: Bytes) -> Self {
        Self { fence, bytes: Some(bytes) }
    }
}

impl Body for FencedBody {
    type Data = Bytes;
    type Error = LeaseWasOver;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, LeaseWasOver>>> {
        let Some(bytes) = self.bytes.take() else { return Poll::Ready(None) };
        if !self.fence.covers(std::time::Duration::ZERO) {
            return Poll::Ready(Some(Err(LeaseWasOver)));
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use tokio::time::{Instant, advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_leaves_whole_or_not_at_all() {
        let fence = SendFence::new(Instant::now(), Duration::from_secs(3));
        let bytes = Bytes::from_static(b"{}");
        let body = FencedBody::new(fence.clone(), bytes.clone());
        assert_eq!(body.size_hint().exact(), Some(2));
        assert_eq!(body.collect().await.unwrap().to_bytes(), bytes);
        let late = FencedBody::new(fence, bytes);
        advance(Duration::from_secs(3)).await;
        assert!(late.collect().await.is_err());
    }
}
