//! The time of one try, from the connection to the answer's last byte.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::time::timeout;

use super::TransportError;
use super::around::{Answer, Around, Exchange, pass_on};
use super::terms::WaitingSince;

/// Ends a try that takes too long; its request may have arrived.
pub(super) struct AttemptTimeout(pub(super) Duration);

impl Around for AttemptTimeout {
    async fn around<S: Exchange>(&self, request: Request<Bytes>, rest: S) -> Answer {
        WaitingSince::begin(&request);
        timeout(self.0, pass_on(request, rest)).await.unwrap_or(Err(TransportError::TimedOut))
    }
}
