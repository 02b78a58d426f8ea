//! The last look before a payment leaves: does this call still own it?

use std::time::Duration;

use tower::ServiceExt;

use super::around::{Answer, Around, Boxed, Exchange};
use super::{Terms, TransportError};
use crate::failpoint::{Point, reach};

/// Lets a request that has a fence pass only while that covers the connect timeout.
/// Inside of all that waits, so that it stands before every try, repeats included.
pub(super) struct LeaseCheck {
    pub(super) connect_timeout: Duration,
}

impl Around for LeaseCheck {
    async fn around<S: Exchange>(&self, request: Boxed, rest: &S) -> Answer {
        // The one that says it is ready is the one that is called.
        let mut rest = rest.clone();
        rest.ready().await?;
        if let Some(fence) = Terms::read(&request, |terms| terms.fence.clone()) {
            reach(Point::BeforeSend).await;
            if !fence.covers(self.connect_timeout) {
                return Err(TransportError::LeaseOver);
            }
        }
        rest.call(request).await
    }
}
