//! One connection: reads requests, hands them to the core, carries out what it decides.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::body::SimBody;
use super::control;
use super::core::{Answer, Delivery, How, Request, Response};
use super::shared::Shared;

/// The largest request body.
const MOST_BODY: usize = 256 * 1024;
/// The time for a request's head, and for which an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(120);
/// The time for a request's body.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// A lost answer keeps its connection no longer than this.
const LOST_FOR: Duration = Duration::from_mins(10);

/// How a connection is cut off in the middle of an exchange.
#[derive(Clone, Copy, Debug)]
enum End {
    /// RST.
    Reset,
    /// FIN, with no answer.
    Close,
}

/// The way from an exchange to its connection.
#[derive(Default)]
struct Cutter {
    end: Mutex<Option<End>>,
    asked: Notify,
}

impl Cutter {
    fn cut(&self, end: End) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        self.asked.notify_one();
    }

    async fn wait(&self) -> End {
        loop {
            self.asked.notified().await;
            if let Some(end) = *self.end.lock().unwrap_or_else(PoisonError::into_inner) {
                return end;
            }
        }
    }
}

/// Serves a connection until the client goes, a fault cuts it off, or the simulator stops.
pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let cutter = Arc::new(Cutter::default());
    let service = {
        let (shared, cutter) = (shared.clone(), cutter.clone());
        service_fn(move |request| exchange(shared.clone(), cutter.clone(), request))
    };
    // Small answers go out at once.
    let _ = stream.set_nodelay(true);
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let end = tokio::select! {
        // An error here is the client's going, or a body cut off on demand.
        _ = &mut connection => return,
        () = shared.stop.cancelled() => return,
        end = cutter.wait() => end,
    };
    let stream = connection.into_parts().io.into_inner();
    if matches!(end, End::Reset) {
        // With no lingering the kernel drops what is unsent and answers with RST.
        let _ = stream.set_zero_linger();
    }
}

type Answered = Result<http::Response<SimBody>, Infallible>;

async fn exchange(
    shared: Arc<Shared>,
    cutter: Arc<Cutter>,
    request: http::Request<Incoming>,
) -> Answered {
    let request = match read(request).await {
        Ok(request) => request,
        Err(refused) => {
            let (request, answer) = *refused;
            let response = shared.with(|zentra, now| zentra.refuse(now, request, &answer));
            return Ok(whole(&response));
        }
    };
    if request.path.starts_with(control::PREFIX) {
        return Ok(whole(&control::handle(&shared, &request)));
    }
    // In a task of its own: a client that goes away does not undo what the server has begun.
    let work = shared.tasks.spawn({
        let shared = shared.clone();
        async move {
            let (received, at) = shared.with(|zentra, now| (zentra.receive(now, request), now));
            shared.pause(at, received.delay).await;
            shared.with(|zentra, now| (zentra.act(now, received), now))
        }
    });
    let Ok((Delivery { after, how }, at)) = work.await else {
        cutter.cut(End::Reset);
        return std::future::pending().await;
    };
    shared.pause(at, after).await;
    match how {
        How::Whole(response) => Ok(whole(&response)),
        How::Truncated(response, keep) => Ok(truncated(response, keep)),
        How::Huge(response, bytes) => Ok(with_body(&response, SimBody::huge(bytes))),
        How::Reset => {
            cutter.cut(End::Reset);
            std::future::pending().await
        }
        How::Lost(close_after) => {
            let now = shared.quietly(|_, now| now);
            shared.pause(now, close_after.unwrap_or(LOST_FOR).min(LOST_FOR)).await;
            cutter.cut(End::Close);
            std::future::pending().await
        }
    }
}

/// Reads a request whole, or says why that cannot be.
async fn read(request: http::Request<Incoming>) -> Result<Request, Box<(Request, Answer)>> {
    let (head, body) = request.into_parts();
    let request = |body| Request {
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.clone(),
        body,
    };
    let refuse = |status, message: &str| {
        let answer = Answer::problem(status, "validation_error", message);
        Err(Box::new((request(Bytes::new()), answer)))
    };
    match tokio::time::timeout(BODY_WITHIN, Limited::new(body, MOST_BODY).collect()).await {
        Ok(Ok(body)) => Ok(request(body.to_bytes())),
        Ok(Err(_)) => refuse(413, "The body is broken, or larger than 256 KiB"),
        Err(_) => refuse(408, "The body took longer than 30 s"),
    }
}

fn whole(response: &Response) -> http::Response<SimBody> {
    let body = SimBody::from(response.body.clone());
    with_body(response, body)
}

fn truncated(mut response: Response, keep: usize) -> http::Response<SimBody> {
    let full = response.body.len();
    // At least one byte is missing, else nothing is truncated.
    let kept = response.body.slice(..keep.min(full.saturating_sub(1)));
    response.set(http::header::CONTENT_LENGTH, full.to_string());
    with_body(&response, SimBody::cut(kept))
}

fn with_body(response: &Response, body: SimBody) -> http::Response<SimBody> {
    let mut out = http::Response::new(body);
    *out.status_mut() = http::StatusCode::from_u16(response.status)
        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    out.headers_mut().clone_from(&response.headers);
    out
}
