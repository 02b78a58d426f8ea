//! What faults make of an answer, and how it is delivered.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::Data;
use super::{Action, Answer, Response, Tamper};

/// The largest body that the fault `huge` makes.
const MOST_HUGE: u64 = 1 << 30;

/// What to do with the answer of a request that has been applied.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// How long to wait before.
    pub after: Duration,
    /// What then.
    pub how: How,
}

/// How an answer is delivered.
#[derive(Clone, Debug)]
pub enum How {
    /// As it is.
    Whole(Response),
    /// Its first bytes, under its full content length; then the connection closes.
    Truncated(Response, usize),
    /// A body of this many bytes of JSON, streamed.
    Huge(Response, u64),
    /// Not at all: the connection is reset.
    Reset,
    /// Not at all: the connection closes after this time, or stays until the client goes.
    Lost(Option<Duration>),
}

/// The error that a real server would give with a status.
pub(crate) fn by_status(status: u16, code: Option<&str>) -> Answer {
    let usual = match status {
        200..=299 => return Answer::one(status, json!({})),
        401 => "unauthorized",
        403 => "insufficient_permissions",
        404 => "not_found",
        409 => "conflict",
        400 | 422 => "validation_error",
        429 => "rate_limit_exceeded",
        502 => "bad_gateway",
        503 => "service_unavailable",
        504 => "gateway_timeout",
        _ => "internal_error",
    };
    let answer = Answer::problem(status, code.unwrap_or(usual), "A fault asked for by the test");
    if status == 429 { answer.with(None, Some(json!({"retry_after": 60}))) } else { answer }
}

impl Action {
    /// The answer that stands in for the real one.
    pub(crate) fn instead(&self) -> Option<Answer> {
        match self {
            Self::Status { status, code, .. } => Some(by_status(*status, code.as_deref())),
            Self::LateEffect { status: Some(status), .. } => Some(by_status(*status, None)),
            Self::Redirect { status, .. } => Some(by_status(*status, Some("redirect"))),
            Self::DelayBefore(_)
            | Self::DelayAfter(_)
            | Self::ResetBefore
            | Self::ResetAfter
            | Self::AnswerLost { .. }
            | Self::LateEffect { status: None, .. }
            | Self::Truncated { .. }
            | Self::NotJson { .. }
            | Self::Huge { .. }
            | Self::Wrong(_) => None,
        }
    }

    /// What becomes of the answer on its way.
    pub(crate) fn deliver(self, mut response: Response) -> How {
        match self {
            Self::DelayBefore(_) | Self::DelayAfter(_) | Self::Wrong(_) => How::Whole(response),
            Self::ResetBefore | Self::ResetAfter => How::Reset,
            Self::AnswerLost { close_after } => How::Lost(close_after),
            Self::LateEffect { status: None, .. } => How::Lost(None),
            Self::LateEffect { status: Some(_), .. } => How::Whole(response),
            Self::Status { body, retry_after, .. } => {
                replace_body(&mut response, body);
                if let Some(value) = retry_after {
                    response.headers.remove(http::header::RETRY_AFTER);
                    response.set(http::header::RETRY_AFTER, value);
                }
                How::Whole(response)
            }
            Self::Truncated { keep } => {
                let keep = keep.unwrap_or(response.body.len() / 2);
                How::Truncated(response, keep)
            }
            Self::NotJson { body } => {
                response.status = 200;
                let page = "<html><body>Bad gateway</body></html>".to_owned();
                replace_body(&mut response, Some(body.unwrap_or(page)));
                How::Whole(response)
            }
            Self::Huge { bytes } => {
                response.status = 200;
                How::Huge(response, bytes.min(MOST_HUGE))
            }
            Self::Redirect { location, .. } => {
                response.set(http::header::LOCATION, location);
                How::Whole(response)
            }
        }
    }
}

fn replace_body(response: &mut Response, body: Option<String>) {
    let Some(body) = body else { return };
    let json = serde_json::from_str::<Value>(&body).is_ok();
    let kind = if json { "application/json" } else { "text/html" };
    response.set(http::header::CONTENT_TYPE, kind);
    response.body = body.into();
}

impl Tamper {
    pub(crate) fn apply(&self, answer: &mut Answer) {
        let Data::One(data) = &mut answer.data else {
            return;
        };
        match self {
            Self::Amount(amount) => {
                let real = data["amount_minor"].as_i64().unwrap_or_default();
                data["amount_minor"] = json!(amount.unwrap_or(real.saturating_add(1)));
            }
            Self::Currency(currency) => {
                let other = if data["currency"] == "EUR" { "USD" } else { "EUR" };
                data["currency"] = json!(currency.as_deref().unwrap_or(other));
            }
            Self::Reference(reference) => {
                let real = data["reference"].as_str().unwrap_or_default();
                let other = format!("{real}-other");
                data["reference"] = json!(reference.as_deref().unwrap_or(&other));
            }
        }
    }
}
