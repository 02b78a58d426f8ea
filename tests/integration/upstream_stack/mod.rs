//! The stack towards Zentra, on a paused clock: how often, when and with what it goes there.

mod breaker;
mod deadlines;
mod queue;
mod repeats;
mod storm;
mod told;
mod waits;

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use zentra_sidecar::shutdown::Draining;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::{
    BudgetSettings, Credentials, Effect, StackParts, StackSettings, StackState, Terms,
    TransportError, TryNumber, Upstream, stack,
};

use crate::support::sidecar::StandingClock;

/// What the far side does with a request.
#[derive(Clone, Debug)]
enum Step {
    /// Answers with this status at once.
    Status(u16),
    /// Answers 429 or the like, with this `Retry-After`.
    Asks(u16, &'static str),
    /// Answers with 200, this much later.
    Slow(Duration),
    /// Refuses the connection, or breaks it.
    Fails(TransportError),
    /// Answers 503 until this long after the start, then 200.
    StormUntil(Duration),
    /// Never answers.
    Hangs,
}

/// A Zentra by script: the steps one after the other, and the last one from then on.
struct Far {
    steps: Mutex<VecDeque<Step>>,
    seen: Mutex<Vec<(u128, u32)>>,
    started: Instant,
}

impl Far {
    /// From now on it does this.
    fn script(&self, steps: impl IntoIterator<Item = Step>) {
        *self.steps.lock().unwrap() = steps.into_iter().collect();
    }

    async fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        assert_eq!(request.headers()["authorization"], "Bearer of the moment");
        let TryNumber(number) = *request.extensions().get().unwrap();
        self.seen.lock().unwrap().push((self.started.elapsed().as_millis(), number));
        let step = {
            let mut steps = self.steps.lock().unwrap();
            if steps.len() > 1 { steps.pop_front().unwrap() } else { steps[0].clone() }
        };
        let answer = |status: u16| {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer
        };
        match step {
            Step::Status(status) => Ok(answer(status)),
            Step::Asks(status, wait) => {
                let mut answer = answer(status);
                answer.headers_mut().insert("retry-after", wait.parse().unwrap());
                Ok(answer)
            }
            Step::Slow(time) => {
                sleep(time).await;
                Ok(answer(200))
            }
            Step::StormUntil(end) => {
                Ok(answer(if self.started.elapsed() < end { 503 } else { 200 }))
            }
            Step::Fails(error) => Err(error),
            Step::Hangs => pending().await,
        }
    }
}

struct Key;

impl Credentials for Key {
    fn authorization(&self) -> HeaderValue {
        HeaderValue::from_static("Bearer of the moment")
    }
}

/// The production stack over a scripted far side. The jitter is always the middle of its span.
struct Rig {
    upstream: Upstream,
    state: StackState,
    far: Arc<Far>,
    draining: Draining,
}

impl Rig {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        // Time brings no tokens in, so that what is left tells what was spent.
        let budget = BudgetSettings { per_second_milli: 0, ..BudgetSettings::default() };
        Self::with(&StackSettings { budget, ..StackSettings::default() }, steps)
    }

    fn with(settings: &StackSettings, steps: impl IntoIterator<Item = Step>) -> Self {
        Self::telling(settings, steps, Telemetry::quiet())
    }

    fn telling(
        settings: &StackSettings,
        steps: impl IntoIterator<Item = Step>,
        telemetry: Telemetry,
    ) -> Self {
        let steps = Mutex::new(steps.into_iter().collect());
        let far = Arc::new(Far { steps, seen: Mutex::default(), started: Instant::now() });
        let there = far.clone();
        let transport = tower::service_fn(move |request| {
            let there = there.clone();
            async move { there.answer(request).await }
        });
        let jitter: zentra_sidecar::upstream::Jitter = Arc::new(|| 0.5);
        let state = StackState::new(settings, jitter.clone());
        let credentials = Arc::new(Key);
        let draining = Draining::within(20 * SECOND);
        let parts = StackParts {
            credentials,
            clock: Arc::new(StandingClock),
            jitter,
            telemetry,
            draining: draining.clone(),
        };
        let transport = BoxCloneSyncService::new(transport);
        Self { upstream: stack(transport, settings, parts, state.clone()), state, far, draining }
    }

    /// One exchange that has this long; its status, or the error.
    async fn exchange(&self, effect: Effect, time: Duration) -> Result<u16, TransportError> {
        let mut request = Request::new(Bytes::new());
        let deadline = Some(Instant::now() + time);
        request.extensions_mut().insert(Terms { effect, deadline, ..Terms::default() });
        let answer = self.upstream.clone().oneshot(request).await;
        answer.map(|answer| answer.status().as_u16())
    }

    /// When each try reached the far side, in milliseconds from the start.
    fn tries_ms(&self) -> Vec<u128> {
        self.far.seen.lock().unwrap().iter().map(|(at, _)| *at).collect()
    }

    /// The numbers that the tries carried.
    fn numbers(&self) -> Vec<u32> {
        self.far.seen.lock().unwrap().iter().map(|(_, number)| *number).collect()
    }

    fn tokens_left_milli(&self) -> u64 {
        self.state.budget.left_milli()
    }
}

const SECOND: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(15);
