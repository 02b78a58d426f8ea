//! One exchange in two steps, with the faults in between.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::admit::Admitted;
use super::deliver::by_status;
use super::effects::{Late, Timer};
use super::{
    Action, Answer, Decision, Delivery, Effect, How, Outcome, Request, Response, Route, Seen,
    Target, Zentra, later,
};

/// Headers that the ledger keeps.
const KEPT_HEADERS: [&str; 5] =
    ["tracestate", "baggage", "user-agent", "x-request-id", "idempotency-key"];
/// Characters kept of a header.
const MOST_OF_HEADER: usize = 256;

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
        let how = match action {
            None => How::Whole(response),
            Some(action) => action.deliver(response),
        };
        Delivery { after, how }
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
    let reference = match reference {
        // A refund may come without a reference of its own.
        None if target.route == Route::CreateRefund => text("charge_reference"),
        known => known,
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
