//! The way from one process to the simulated Zentra, with all that goes wrong on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::Service;
use tower::util::BoxCloneSyncService;
use zentra_sidecar::clock::Clock;
use zentra_sidecar::shutdown::Draining;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::{
    Credentials, Jitter, Limits, StackParts, StackSettings, StackState, TransportError, Upstream,
    stack,
};

use super::chance::Chance;
use super::ledger::{Answer, Kind, Post, error};
use super::life::Life;
use super::world::World;

/// The limits of the runs: production's, with a shorter connect timeout.
pub(crate) const LIMITS: Limits = Limits {
    connect_timeout: Duration::from_millis(500),
    attempt_timeout: Duration::from_secs(5),
    connections_live: Duration::from_secs(300),
    answer_bytes: 65_536,
};

/// How the way to Verify ends.
const VERIFY: &str = "/verify";

/// The longest that an effect is late.
pub(crate) const LATEST_MS: u64 = 30_000;

/// The transport of one life of a process, within production's layers.
pub(crate) fn way(
    world: Arc<World>,
    life: Arc<Life>,
    credentials: Arc<dyn Credentials>,
    clock: Arc<dyn Clock>,
) -> (Upstream, StackState) {
    let dice = world.clone();
    let jitter: Jitter = Arc::new(move || dice.lock().chance.below(1000) as f64 / 1000.0);
    let settings = StackSettings { limits: LIMITS, ..StackSettings::default() };
    let state = StackState::new(&settings, jitter.clone());
    let transport = BoxCloneSyncService::new(Way { world, life, ready: Mutex::new(None) });
    let (telemetry, draining) = (Telemetry::quiet(), Draining::default());
    let parts = StackParts { credentials, clock, jitter, telemetry, draining };
    (stack(transport, &settings, parts, state.clone()), state)
}

struct Way {
    world: Arc<World>,
    life: Arc<Life>,
    /// In a lock only so that clones may be shared.
    ready: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Clone for Way {
    fn clone(&self) -> Self {
        Self { world: self.world.clone(), life: self.life.clone(), ready: Mutex::new(None) }
    }
}

impl Service<Request<Bytes>> for Way {
    type Response = Response<Bytes>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<Bytes>, TransportError>>;

    /// A stopped process stands here, before the last look at the lease.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let life = self.life.clone();
        let world = self.world.clone();
        let slot = self.ready.get_mut().unwrap_or_else(PoisonError::into_inner);
        let ready = slot.get_or_insert_with(|| {
            Box::pin(async move {
                super::process::chance_of_an_end(&world, &life, "before an exchange");
                life.gate().await;
            })
        });
        let polled = ready.as_mut().poll(context);
        if polled.is_ready() {
            *slot = None;
        }
        polled.map(Ok)
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (world, life) = (self.world.clone(), self.life.clone());
        // Bytes leave at this very moment, in the same poll as the check of the lease.
        let sent = send(&world, &life, &request);
        Box::pin(async move {
            let answer = match sent {
                Sent::Not => {
                    sleep(Duration::from_millis(1)).await;
                    Err(TransportError::NotSent)
                }
                Sent::Off(answer) => answer.await,
            };
            super::process::chance_of_an_end(&world, &life, "after an exchange");
            life.gate().await;
            judge_answer(&world, &request, &answer);
            answer
        })
    }
}

enum Sent {
    Not,
    Off(BoxFuture<'static, Result<Response<Bytes>, TransportError>>),
}

/// When a POST takes effect.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Now,
    Never,
    /// So many milliseconds later; the key may be locked until then.
    Late {
        ms: u64,
        locks: bool,
    },
}

/// What its sender gets to see.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Answer,
    Status(u16, &'static str),
    Foreign(u16),
    Garbage,
    OtherAmount,
    Nothing,
    Reset,
}

fn send(world: &Arc<World>, life: &Life, request: &Request<Bytes>) -> Sent {
    let (kind, reference) = target(request.uri().path());
    if is_read(request) {
        return read(world, life, kind, reference);
    }
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (key, reference) = (text("idempotency_key"), text("reference"));
    let mut inner = world.lock();
    let fault = (!inner.calm).then(|| post_fault(&mut inner.chance, world, kind)).flatten();
    let Some((name, effect, seen)) = fault else {
        drop(inner);
        let post = Post { number: 0, begun: 0, kind, key, reference, body };
        return post_with(world, life, post, ("POST", Effect::Now, Seen::Answer));
    };
    drop(inner);
    if name == "refused connection" {
        world.fault(name, || format!("process {} {reference}", life.number));
        return Sent::Not;
    }
    world.fault(name, || format!("process {} {reference}", life.number));
    if matches!(seen, Seen::OtherAmount) {
        world.lock().judge.tampered(&reference);
    }
    let post = Post { number: 0, begun: 0, kind, key, reference, body };
    post_with(world, life, post, (name, effect, seen))
}

fn post_with(
    world: &Arc<World>,
    life: &Life,
    mut post: Post,
    (name, effect, seen): (&'static str, Effect, Seen),
) -> Sent {
    let now_ms = world.now_ms();
    world.count("(POSTs)");
    world.note("POST leaves", || {
        format!(
            "process {} {:?} {} {} ({name}, {effect:?}, {seen:?})",
            life.number,
            post.kind,
            short(&post.key),
            post.reference
        )
    });
    let store_now_ms = world.store_now_ms();
    let mut inner = world.lock();
    let inner = &mut *inner;
    inner.judge.post(&world.store, store_now_ms, &mut post);
    let may_wait = world.mode.rough() && inner.chance.percent(40);
    let (before_ms, locks) = match effect {
        Effect::Now if may_wait => (inner.chance.between(1, 40), false),
        Effect::Now => (0, false),
        Effect::Late { ms, locks } => (ms, locks),
        Effect::Never => (0, false),
    };
    let after_ms = if inner.calm { 1 } else { inner.chance.weighed(&[(8, 0), (3, 5), (1, 900)]) };
    if matches!(effect, Effect::Never) {
        let answer = error(503, "never seen");
        return Sent::Off(Box::pin(deliver(answer, seen, after_ms)));
    }
    if let Some(refusal) = inner.ledger.refusal(now_ms, &post).filter(|_| before_ms > 0) {
        return Sent::Off(Box::pin(deliver(refusal, seen, after_ms)));
    }
    inner.ledger.depart(&post, locks);
    if before_ms == 0 {
        let answer = inner.ledger.apply(now_ms, &post, &mut inner.chance);
        inner.judge.after_effect(now_ms, &inner.ledger);
        return Sent::Off(Box::pin(deliver(answer, seen, after_ms)));
    }
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let world = world.clone();
    // Zentra's own: it goes on whatever becomes of the sender.
    tokio::spawn(async move {
        sleep(Duration::from_millis(before_ms)).await;
        let now_ms = world.now_ms();
        let mut inner = world.lock();
        let inner = &mut *inner;
        let answer = inner.ledger.apply(now_ms, &post, &mut inner.chance);
        inner.judge.after_effect(now_ms, &inner.ledger);
        let _ = sender.send(answer);
    });
    Sent::Off(Box::pin(async move {
        match seen {
            Seen::Answer | Seen::OtherAmount | Seen::Garbage => match receiver.await {
                Ok(answer) => deliver(answer, seen, after_ms).await,
                Err(_) => Err(TransportError::Broken),
            },
            _ => deliver(error(503, "late"), seen, after_ms).await,
        }
    }))
}

fn read(world: &Arc<World>, life: &Life, kind: Kind, reference: &str) -> Sent {
    let mut inner = world.lock();
    let rough = !inner.calm && inner.chance.percent(world.weather.reads);
    let tampered = !inner.calm && inner.chance.percent(world.weather.tampering);
    let seen = if rough {
        inner.chance.weighed(&[
            (3, Seen::Status(500, "internal_error")),
            (3, Seen::Nothing),
            (2, Seen::Reset),
            (1, Seen::Status(429, "rate_limit_exceeded")),
            (1, Seen::Status(401, "unauthorized")),
            (1, Seen::Foreign(404)),
            (1, Seen::Garbage),
        ])
    } else if tampered {
        Seen::OtherAmount
    } else {
        Seen::Answer
    };
    let (before_ms, after_ms) = if inner.calm {
        (0, 1)
    } else {
        let slow = [(6, 0), (3, 5), (1, 1200)];
        (inner.chance.weighed(&slow), inner.chance.weighed(&slow))
    };
    drop(inner);
    if rough {
        world.fault("read disturbed", || format!("process {} {reference} {seen:?}", life.number));
    }
    if matches!(seen, Seen::OtherAmount) {
        world.fault("read tampered with", || reference.to_owned());
        world.lock().judge.tampered(reference);
    }
    let (world, reference, number) = (world.clone(), reference.to_owned(), life.number);
    Sent::Off(Box::pin(async move {
        pause(before_ms).await;
        let now_ms = world.now_ms();
        let answer = world.lock().ledger.read(now_ms, kind, &reference);
        world.count("(reads)");
        world.note("GET", || format!("process {number} {kind:?} {reference}: {}", answer.0));
        deliver(answer, seen, after_ms).await
    }))
}

fn post_fault(
    chance: &mut Chance,
    world: &World,
    kind: Kind,
) -> Option<(&'static str, Effect, Seen)> {
    if chance.percent(world.weather.tampering) && kind != Kind::Token {
        return Some(("answer tampered with", Effect::Now, Seen::OtherAmount));
    }
    if !chance.percent(world.weather.posts) {
        return None;
    }
    let ms = chance.between(1, LATEST_MS);
    let late = if world.mode.rough() {
        Effect::Late { ms, locks: chance.percent(30) }
    } else {
        Effect::Now
    };
    let odd = chance.pick(&[404, 422, 502]);
    Some(chance.weighed(&[
        (10, ("refused connection", Effect::Never, Seen::Nothing)),
        (10, ("timeout, no effect", Effect::Never, Seen::Nothing)),
        (10, ("timeout, effect", Effect::Now, Seen::Nothing)),
        (12, ("timeout, late effect", late, Seen::Nothing)),
        (4, ("reset, no effect", Effect::Never, Seen::Reset)),
        (4, ("reset, effect", Effect::Now, Seen::Reset)),
        (4, ("reset, late effect", late, Seen::Reset)),
        (4, ("5xx, no effect", Effect::Never, Seen::Status(500, "internal_error"))),
        (5, ("5xx, effect", Effect::Now, Seen::Status(503, "service_unavailable"))),
        (4, ("5xx, late effect", late, Seen::Status(504, "gateway_timeout"))),
        (4, ("429", Effect::Never, Seen::Status(429, "rate_limit_exceeded"))),
        (4, ("401", Effect::Never, Seen::Status(401, "unauthorized"))),
        (4, ("422", Effect::Never, Seen::Status(422, "validation_error"))),
        (2, ("404", Effect::Never, Seen::Status(404, "not_found"))),
        (1, ("409 token_not_ready", Effect::Never, Seen::Status(409, "token_not_ready"))),
        (1, ("409 of an unknown code", Effect::Now, Seen::Status(409, "something_new"))),
        (3, ("4xx decline, no effect", Effect::Never, Seen::Status(422, "card_declined"))),
        (2, ("foreign answer, effect", Effect::Now, Seen::Foreign(odd))),
        (2, ("foreign answer, no effect", Effect::Never, Seen::Foreign(odd))),
        (2, ("unreadable 200, effect", Effect::Now, Seen::Garbage)),
        (5, ("slow", late, Seen::Answer)),
    ]))
}

async fn deliver(
    (status, mut body): Answer,
    seen: Seen,
    after_ms: u64,
) -> Result<Response<Bytes>, TransportError> {
    pause(after_ms).await;
    let (status, text) = match seen {
        Seen::Answer => (status, body.to_string()),
        Seen::OtherAmount => {
            let amount = body["data"]["amount_minor"].as_i64().unwrap_or_default();
            if amount > 0 {
                body["data"]["amount_minor"] = json!(amount + 1);
            }
            (status, body.to_string())
        }
        Seen::Status(status, code) => (status, error(status, code).1.to_string()),
        Seen::Foreign(status) => (status, "<html>not Zentra</html>".to_owned()),
        Seen::Garbage => (200, body.to_string()[..7].to_owned()),
        Seen::Nothing => std::future::pending().await,
        Seen::Reset => return Err(TransportError::Broken),
    };
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

/// Tells the judge what the process has learnt.
fn judge_answer(
    world: &World,
    request: &Request<Bytes>,
    answer: &Result<Response<Bytes>, TransportError>,
) {
    let (kind, reference) = target(request.uri().path());
    let status = answer.as_ref().map_or(0, |it| it.status().as_u16());
    let whole = answer.as_ref().is_ok_and(|it| it.body().ends_with(b"}"));
    let definite = whole && matches!(status, 200 | 201 | 400 | 401 | 404 | 422 | 429);
    if is_read(request) {
        if whole && matches!(status, 200 | 404) {
            world.lock().judge.looked_up(kind, reference);
        }
        return;
    }
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    world.note("POST ends", || format!("{} {status}", text("reference")));
    if definite {
        world.lock().judge.answered();
    }
}

/// Verify is a POST that changes nothing.
fn is_read(request: &Request<Bytes>) -> bool {
    request.method() == Method::GET || request.uri().path().ends_with(VERIFY)
}

fn target(path: &str) -> (Kind, &str) {
    let rest = path.strip_prefix("/api/v1/payments/").unwrap_or_default();
    let rest = rest.strip_suffix(VERIFY).unwrap_or(rest);
    let (noun, name) = rest.split_once('/').unwrap_or((rest, ""));
    match noun {
        "charges" => (Kind::Charge, name),
        "refunds" => (Kind::Refund, name),
        _ => (Kind::Token, name),
    }
}

async fn pause(ms: u64) {
    if ms > 0 {
        sleep(Duration::from_millis(ms)).await;
    }
}

pub(crate) fn short(key: &str) -> &str {
    key.get(..6).unwrap_or(key)
}
