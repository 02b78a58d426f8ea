//! A request's body on its way in: it has to arrive in time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

use crate::domain::Caller;
use crate::listen::{Peer, Seat, WaitingRoom};

/// Unfinished requests at once, over all connections. Each may hold up to 64 KiB. Of more, one
/// gives way: of the caller who has most, and of the connection of his that has most, the oldest.
pub(super) const MAX_ARRIVING: usize = 256;

/// The requests that have begun to arrive and have not ended, by caller and connection.
pub(super) type Arriving = WaitingRoom<Caller, usize>;

/// How long a payment request may take from its head to its last byte. Nobody waits for it
/// longer, whatever the caller's deadline is.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The body of a request.
pub(super) struct RequestBody<B> {
    body: B,
    arrival: Arrival,
}

enum Arrival {
    /// It may stay open: that of a stream.
    WithoutEnd,
    /// It has not let itself be waited for so far.
    Prompt(Instant, Peer, Arriving),
    Late(Box<Late>),
    /// Wholly.
    Arrived,
}

struct Late {
    timer: Pin<Box<Sleep>>,
    given_up: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whose connection it is: its number stands for no other while this is here.
    _peer: Peer,
    _place: Seat<Caller, usize>,
}

impl<B> RequestBody<B> {
    /// A body that has to arrive in time.
    pub(super) fn arriving(body: B, peer: Peer, all: Arriving) -> Self {
        Self { body, arrival: Arrival::Prompt(Instant::now() + ARRIVAL, peer, all) }
    }

    /// A body that may stay open.
    pub(super) fn without_end(body: B) -> Self {
        Self { body, arrival: Arrival::WithoutEnd }
    }
}

impl Arrival {
    /// Waits for more; ready where that has come to an end.
    fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        if let Self::Prompt(by, peer, all) = self {
            let place = all.enter(peer.caller().clone(), peer.connection());
            *self = Self::Late(Box::new(Late {
                timer: Box::pin(sleep_until(*by)),
                given_up: Box::pin(place.given_up().clone().cancelled_owned()),
                _peer: peer.clone(),
                _place: place,
            }));
        }
        let Self::Late(late) = self else { return Poll::Pending };
        if late.timer.as_mut().poll(context).is_ready() {
            let text = "the request did not arrive within 10 seconds";
            return Poll::Ready(Status::deadline_exceeded(text));
        }
        if late.given_up.as_mut().poll(context).is_ready() {
            let text = "the request did not arrive, and others had to be taken in";
            return Poll::Ready(Status::resource_exhausted(text));
        }
        Poll::Pending
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
        if polled.is_pending() {
            return this.arrival.poll_wait(context).map(|status| Some(Err(status.into())));
        }
        let has_ended = matches!(polled, Poll::Ready(None)) || this.body.is_end_stream();
        if has_ended && !matches!(this.arrival, Arrival::WithoutEnd) {
            this.arrival = Arrival::Arrived;
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
    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    /// A body that says a little every so often, and never ends.
    fn trickle(pause: Duration) -> impl Body<Data = Bytes, Error = Status> + Unpin {
        StreamBody::new(Box::pin(stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok(Frame::data(Bytes::from_static(b"x"))), ()))
        })))
    }

    fn peer(name: &str) -> Peer {
        Peer::new(Caller::new(name).unwrap(), true)
    }

    async fn fault<B>(body: RequestBody<B>) -> tonic::Code
    where
        B: Body<Data = Bytes, Error = Status> + Unpin,
    {
        let Err(fault) = body.collect().await else { panic!("it never ends") };
        fault.downcast::<Status>().unwrap().code()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up_however_it_trickles() {
        let began = Instant::now();
        let all = Arriving::new(MAX_ARRIVING);
        let body = RequestBody::arriving(trickle(Duration::from_secs(4)), peer("a/slow"), all);
        assert_eq!(fault(body).await, tonic::Code::DeadlineExceeded);
        assert_eq!(began.elapsed(), ARRIVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_the_connection_with_most_is_given_up_at_once() {
        let (all, began) = (Arriving::new(MAX_ARRIVING), Instant::now());
        let (honest, flood) = (peer("shared"), peer("shared"));
        let begin = |peer: &Peer| {
            let body = trickle(Duration::from_secs(1));
            tokio::spawn(fault(RequestBody::arriving(body, peer.clone(), all.clone())))
        };
        let (oldest, first) = (begin(&honest), begin(&flood));
        tokio::task::yield_now().await;
        let (caller, number) = (flood.caller().clone(), flood.connection());
        let enter = |_| all.enter(caller.clone(), number);
        let _others: Vec<_> = (0..MAX_ARRIVING - 1).map(enter).collect();
        assert_eq!(first.await.unwrap(), tonic::Code::ResourceExhausted);
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(oldest.await.unwrap(), tonic::Code::DeadlineExceeded, "it has all its time");
    }
}
