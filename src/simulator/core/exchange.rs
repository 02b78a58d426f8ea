//! One exchange in two steps, with the faults in between.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::admit::Admitted;
use super::answer::Data;
use super::effects::{Late, Timer};
use super::{
    Action, Answer, Decision, Effect, Outcome, Request, Response, Route, Seen, Tamper, Target,
    Zentra, later,
};

/// Headers that the ledger keeps.
const KEPT_HEADERS: [&str; 5] =
    ["tracestate", "baggage", "user-agent", "x-request-id", "idempotency-key"];
/// Characters kept of a header.
const MOST_OF_HEADER: usize = 256;
/// The largest body that the fault `huge` makes.
const MOST_HUGE: u64 = 1 << 30;

/// A request with what was learnt of it on arrival.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) target: Option<Target>,
    pub(crate) seen: Option<u64>,
    request_id: String,
}

/// A request that has arrived and waits to be applied.
///
/// Its key is in use until [`Zentra::act`] is called, so call that in any case.
#[derive(Debug)]
pub struct Received {
    /// How long to wait before it is applied.
    pub delay: Duration,
    pub(crate) asked: Asked,
    decision: Decision,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Admitted(Box<Admitted>),
    Refused(Answer),
    /// A fault keeps it from being applied now.
    Withheld,
}

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

impl Zentra {
    /// Takes a request in: records it, asks the fault plan, checks it and locks its key.
    pub fn receive(&mut self, now: Timestamp, request: Request) -> Received {
        self.take_in(now, request, true)
    }

    /// The same without faults.
    pub(crate) fn receive_clean(&mut self, now: Timestamp, request: Request) -> Received {
        self.take_in(now, request, false)
    }

    fn take_in(&mut self, now: Timestamp, request: Request, faults: bool) -> Received {
        self.tick(now);
        let target = Target::of(&request.method, &request.path);
        let request_id = self.ids.next("req");
        let mut asked = Asked { request, target, seen: None, request_id };
        let mut decision = Decision::default();
        if let Some(target) = &asked.target {
            let (reference, key) = names(target, &asked.request);
            if faults {
                let (reference, key) = (reference.as_deref(), key.as_deref());
                decision = self.faults.decide(target.route, reference, key);
            }
            let fired = decision.fired.clone();
            let seen = see(now, &asked, target.route, reference, key, fired);
            asked.seen = Some(self.ledger.add_seen(seen));
        }
        let stage = self.stage(now, &asked, &decision);
        Received { delay: decision.delay_before, asked, decision, stage }
    }

    fn stage(&mut self, now: Timestamp, asked: &Asked, decision: &Decision) -> Stage {
        let (late_by, lock) = match decision.effect {
            Effect::Now => {
                return match self.pace(now).and_then(|()| self.admit(now, asked)) {
                    Ok(admitted) => Stage::Admitted(Box::new(admitted)),
                    Err(refused) => Stage::Refused(refused),
                };
            }
            Effect::Never => {
                self.note(asked.seen, Outcome::Dropped);
                return Stage::Withheld;
            }
            Effect::Later { after, lock } => (after + decision.delay_before, lock),
        };
        let admitted = match lock.then(|| self.admit(now, asked)).transpose() {
            Ok(admitted) => admitted,
            Err(refused) => return Stage::Refused(refused),
        };
        let late = Late { asked: asked.clone(), admitted };
        self.timers.add(later(now, late_by), Timer::Land(Box::new(late)));
        Stage::Withheld
    }

    /// Applies a request that was received, and says how its answer is delivered.
    pub fn act(&mut self, now: Timestamp, mut received: Received) -> Delivery {
        self.tick(now);
        let (mut answer, hold) = self.conclude(now, &mut received);
        let after = hold + received.decision.delay_after;
        let action = received.decision.action.take();
        if let Some(Action::Wrong(tamper)) = &action {
            tamper.apply(&mut answer);
        }
        if let Some(instead) = action.as_ref().and_then(Action::instead) {
            answer = instead;
        }
        let response = self.render(now, &received.asked, &answer);
        Delivery {
            after,
            how: action.map_or(How::Whole(response.clone()), |a| a.deliver(response)),
        }
    }

    /// Answers a request that cannot be taken in, such as one that is too large.
    pub fn refuse(&mut self, now: Timestamp, request: Request, answer: &Answer) -> Response {
        let request_id = self.ids.next("req");
        let asked = Asked { request, target: None, seen: None, request_id };
        self.render(now, &asked, answer)
    }

    /// Applies what may be applied, and records what became of it.
    pub(crate) fn conclude(
        &mut self,
        now: Timestamp,
        received: &mut Received,
    ) -> (Answer, Duration) {
        match std::mem::replace(&mut received.stage, Stage::Withheld) {
            Stage::Admitted(admitted) => {
                let applied = self.apply(now, *admitted);
                self.note(received.asked.seen, applied.outcome);
                (applied.answer, applied.hold)
            }
            Stage::Refused(answer) => {
                self.note(received.asked.seen, Outcome::refused(&answer));
                (answer, Duration::ZERO)
            }
            Stage::Withheld => (by_status(503, None), Duration::ZERO),
        }
    }

    /// Puts an answer into its form, with the headers that every answer has.
    pub(crate) fn render(&mut self, now: Timestamp, asked: &Asked, answer: &Answer) -> Response {
        let form = self.settings.envelope;
        let mut response = answer.render(form, now, &asked.request_id, &asked.request);
        self.limit.describe(now, self.settings.requests_per_minute, &mut response);
        if answer.status == 429 {
            response.set(http::header::RETRY_AFTER, "60");
        }
        response
    }
}

/// The reference and the key of a request, read leniently: it may be refused later.
fn names(target: &Target, request: &Request) -> (Option<String>, Option<String>) {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let in_path = Some(target.subject.clone()).filter(|subject| !subject.is_empty());
    let reference = in_path.or_else(|| text("reference"));
    let reference = match target.route {
        Route::CreateRefund => reference.or_else(|| text("charge_reference")),
        _ => reference,
    };
    (reference, text("idempotency_key"))
}

fn see(
    now: Timestamp,
    asked: &Asked,
    route: Route,
    reference: Option<String>,
    idempotency_key: Option<String>,
    faults: Vec<&'static str>,
) -> Seen {
    let header = |name: &str| {
        asked.request.header(name).map(|value| value.chars().take(MOST_OF_HEADER).collect())
    };
    let headers: BTreeMap<String, String> = KEPT_HEADERS
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), header(name)?)))
        .collect();
    Seen {
        number: 0,
        route,
        reference,
        idempotency_key,
        at: now,
        outcome: Outcome::Open,
        faults,
        request_id: asked.request_id.clone(),
        traceparent: header("traceparent"),
        attempt: header("x-attempt"),
        headers,
    }
}

/// The error that a real server would give with a status.
fn by_status(status: u16, code: Option<&str>) -> Answer {
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
    fn instead(&self) -> Option<Answer> {
        match self {
            Self::Status { status, code, .. } => Some(by_status(*status, code.as_deref())),
            Self::LateEffect { status: Some(status), .. } => Some(by_status(*status, None)),
            Self::Redirect { status, .. } => Some(by_status(*status, Some("redirect"))),
            _ => None,
        }
    }

    /// What becomes of the answer on its way.
    fn deliver(self, mut response: Response) -> How {
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
    fn apply(&self, answer: &mut Answer) {
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
