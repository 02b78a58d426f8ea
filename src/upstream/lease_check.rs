//! The last look before a payment leaves: does this call still own it?

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tower::ServiceExt;

use super::around::{Answer, Around, Exchange};
use super::{SendFence, TransportError};
use crate::failpoint::{Point, reach};

/// Lets a request that carries a [`SendFence`] pass only while that covers the connect timeout.
/// Inside of all that waits, so that it stands before every try, repeats included.
pub(super) struct LeaseCheck {
    pub(super) connect_timeout: Duration,
}

impl Around for LeaseCheck {
    async fn around<S: Exchange>(&self, request: Request<Bytes>, rest: &S) -> Answer {
        // The one that says it is ready is the one that is called.
        let mut rest = rest.clone();
        rest.ready().await?;
        if request.extensions().get::<SendFence>().is_some() {
            reach(Point::BeforeSend).await;
        }
        let fence = request.extensions().get::<SendFence>();
        if fence.is_some_and(|fence| !fence.covers(self.connect_timeout)) {
            return Err(TransportError::LeaseOver);
        }
        rest.call(request).await
    }
}
