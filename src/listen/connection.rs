//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use super::Peer;
use super::frames::Metered;
use super::limits::{
    KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_CONCURRENT_STREAMS, MAX_LOCAL_RESETS,
    MAX_METADATA_BYTES, MAX_PENDING_RESETS, MAX_SEND_BUFFER_BYTES, TAKING_TURN, WINDOW_BYTES,
};
use super::vitals::{CallUnderWay, Stay, Verdict, Vitals};

/// Serves one peer until it goes, until `closing` and the calls under way have ended, or until it
/// breaks a limit.
pub(super) async fn serve<I, S, B>(
    io: I,
    peer: Peer,
    service: S,
    stay: Stay,
    closing: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let vitals = Arc::new(Vitals::new(Instant::now(), stay));
    let io = TokioIo::new(Metered::new(io, vitals.clone()));
    let (calls, of_requests) = (vitals.clone(), peer.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let call = calls.call();
        if !of_requests.is_allowed() {
            calls.unwelcome_call();
        }
        request.extensions_mut().insert(of_requests.clone());
        let answer = service.clone().oneshot(request);
        async move {
            let answer = answer.await?;
            Ok::<_, Infallible>(answer.map(|body| Answer { body, _call: call }))
        }
    });
    let mut connection = pin!(http2().serve_connection(io, service));
    let mut watch = Watch::of(&vitals, &peer, &closing);
    let mut cut_at: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            end = connection.as_mut() => {
                if let Err(fault) = end {
                    tracing::debug!(fault = %fault, "a connection failed");
                }
                return;
            }
            () = until(cut_at) => return,
            end = watch.farewell() => match end {
                Verdict::Goodbye(grace, why) => {
                    tracing::debug!(why, "goodbye to a connection");
                    let at = Instant::now() + grace;
                    cut_at = Some(cut_at.map_or(at, |cut_at| cut_at.min(at)));
                    vitals.said_goodbye();
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Close(why) => {
                    tracing::debug!(why, "a connection is closed");
                    return;
                }
                Verdict::Wait(_) => {}
            },
        }
    }
}

/// The library's own limits. Its defaults are for the open internet, or are none.
fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .max_header_list_size(MAX_METADATA_BYTES)
        .initial_stream_window_size(WINDOW_BYTES.0)
        .initial_connection_window_size(WINDOW_BYTES.1)
        .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}

/// Whoever watches a connection while it is served.
struct Watch<'a> {
    vitals: &'a Vitals,
    peer: &'a Peer,
    closing: &'a CancellationToken,
    turn_at: Instant,
    has_told_of_flood: bool,
}

impl<'a> Watch<'a> {
    fn of(vitals: &'a Vitals, peer: &'a Peer, closing: &'a CancellationToken) -> Self {
        let turn_at = Instant::now() + TAKING_TURN;
        Self { vitals, peer, closing, turn_at, has_told_of_flood: false }
    }

    /// Returns when the connection has to end, with the way in which it does. After a goodbye it
    /// may be asked again: a peer that has been told so can still break a limit.
    async fn farewell(&mut self) -> Verdict {
        loop {
            let verdict = self.vitals.verdict(Instant::now());
            let next = match verdict {
                Verdict::Wait(next) => next,
                Verdict::Goodbye(..) if self.has_told_of_flood => self.turn_at,
                end => {
                    self.has_told_of_flood = self.vitals.is_flooded();
                    return end;
                }
            };
            tokio::select! {
                // Whoever ends the process decides how long the calls have.
                () = self.closing.cancelled(), if !self.vitals.has_said_goodbye() => {
                    return Verdict::Goodbye(super::AGE_GRACE, "the process ends");
                }
                () = self.vitals.flood() => {}
                () = sleep_until(next.min(self.turn_at)) => {}
            }
            if Instant::now() >= self.turn_at {
                self.turn_at = Instant::now() + TAKING_TURN;
                // Both of them, as each begins a turn.
                let (reads_nothing, leaves) =
                    (self.vitals.reads_nothing(), self.peer.leaves_answers());
                if reads_nothing || leaves {
                    return Verdict::Close("it does not take what it asked for");
                }
            }
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// An answer's body; the call is under way until it is gone.
struct Answer<B> {
    body: B,
    _call: CallUnderWay,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
