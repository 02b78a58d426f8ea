//! A request's body on its way in: it has to arrive in time, and holds its place until it has.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

/// How long a payment request may take from its head to its last byte. Nobody waits for it
/// longer, whatever the caller's deadline is.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The body of a request.
pub(super) struct RequestBody<B> {
    body: B,
    /// None where it may stay open.
    arrival: Option<Arrival>,
}

struct Arrival {
    by: Instant,
    /// Made only where the body lets itself be waited for.
    timer: Option<Pin<Box<Sleep>>>,
    /// Given back once the body has arrived.
    place: Option<OwnedSemaphorePermit>,
}

impl<B> RequestBody<B> {
    /// A body that has to arrive in time.
    pub(super) fn arriving(body: B, place: OwnedSemaphorePermit) -> Self {
        let by = Instant::now() + ARRIVAL;
        Self { body, arrival: Some(Arrival { by, timer: None, place: Some(place) }) }
    }

    /// A body that may stay open: that of a stream.
    pub(super) fn without_end(body: B) -> Self {
        Self { body, arrival: None }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(context);
        let Some(arrival) = &mut this.arrival else {
            return polled.map_err(Into::into);
        };
        if polled.is_pending() {
            let timer = arrival.timer.get_or_insert_with(|| Box::pin(sleep_until(arrival.by)));
            ready!(timer.as_mut().poll(context));
            let text = "the request did not arrive within 10 seconds";
            return Poll::Ready(Some(Err(Status::deadline_exceeded(text).into())));
        }
        if matches!(polled, Poll::Ready(None)) || this.body.is_end_stream() {
            arrival.place = None;
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::{BodyExt, Full, StreamBody};
    use tokio::sync::Semaphore;

    use super::*;

    fn place(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        places.clone().try_acquire_owned().unwrap()
    }

    #[tokio::test]
    async fn a_body_that_has_arrived_gives_its_place_back() {
        let places = Arc::new(Semaphore::new(1));
        let body = Full::new(Bytes::from_static(b"message"));
        let mut body = RequestBody::arriving(body, place(&places));
        assert_eq!(places.available_permits(), 0);
        body.frame().await.unwrap().unwrap();
        assert_eq!(places.available_permits(), 1, "though the body is still there");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up_however_it_trickles() {
        let trickle = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            Some((Ok::<_, Status>(Frame::data(Bytes::from_static(b"x"))), ()))
        });
        let body = StreamBody::new(Box::pin(trickle));
        let body = RequestBody::arriving(body, place(&Arc::new(Semaphore::new(1))));
        let began = Instant::now();
        let fault = body.collect().await.unwrap_err().downcast::<Status>().unwrap();
        assert_eq!(fault.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(began.elapsed(), ARRIVAL);
    }
}
