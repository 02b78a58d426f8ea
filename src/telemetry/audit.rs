//! The audit log: one JSON line for each write's decision and outcome, and for whatever else
//! moves a payment's record. It is not sampled and not filtered, and goes to a target of its own.
//!
//! docs/LOGGING.md lists the fields.

mod line;

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use opentelemetry::Context;

use self::line::Line;
use super::lines::Queue;
use super::trace::{current_request_id, current_trace_id};
use super::{Asked, Beginning, Came, PolicyNote};
use crate::clock::Clock;
use crate::domain::{Account, Caller, Currency, Environment, Execution, Money, Operation};
use crate::error::{Error, MoneyMoved, Reason};

/// What most lines take, in bytes. None has more than 2 KiB: every text in it has a limit of its own.
const LINE_BYTES: usize = 1024;

/// The audit log of one account. Clones share it.
#[derive(Clone)]
pub struct Audit(Option<Arc<Inner>>);

struct Inner {
    target: Target,
    clock: Arc<dyn Clock>,
    account: Account,
    environment: Environment,
    lines: AtomicU64,
}

/// Whether the audit log has a line of a write, or will have one when its work ends, and what it asks for
/// until then; kept in the call's context, for whoever ends a call that its caller has left.
#[derive(Clone, Debug, Default)]
pub struct Promised(Arc<Promise>);

#[derive(Debug, Default)]
struct Promise {
    is_given: AtomicBool,
    asked: OnceLock<Asked>,
}

impl Promised {
    /// Promises a line of the current call.
    pub fn promise() {
        Self::current(|promise| promise.is_given.store(true, Ordering::Relaxed));
    }

    /// Keeps what the current call asks for while nothing is decided, and it may be left at any time.
    pub fn keep(asked: Asked) {
        Self::current(|promise| drop(promise.asked.set(asked)));
    }

    fn current(with: impl FnOnce(&Promise)) {
        Context::map_current(|current| current.get::<Self>().map(|it| with(&it.0)));
    }

    /// True where a line was promised.
    #[must_use]
    pub fn is_promised(&self) -> bool {
        self.0.is_given.load(Ordering::Relaxed)
    }

    /// What was kept.
    #[must_use]
    pub fn asked(&self) -> Option<&Asked> {
        self.0.asked.get()
    }
}

/// Where lines go.
pub enum Target {
    /// To a thread that writes them, so that a reader that hangs holds up no payment.
    Queue(Queue),
    /// Written at once, for commands that end soon.
    Direct(std::sync::Mutex<Box<dyn Write + Send>>),
    /// To the standard error of such a command, which is told once that nobody else keeps them.
    Session(std::sync::Once),
}

/// Who moved a record, other than a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mover {
    /// The background's look-up.
    Reconciler,
    /// What a read of a caller's has shown.
    Read,
}

/// What an operator does.
#[derive(Clone, Copy, Debug)]
pub struct OperatorAct<'a> {
    /// What, such as `settle`.
    pub act: &'static str,
    /// How far it is.
    pub stage: Stage<'a>,
    /// Who, where the command was told.
    pub by: Option<&'a str>,
    /// Why, where the command was told.
    pub why: Option<&'a str>,
}

/// How far an operator's act is. Each is told twice: before it is done, so that nothing is done
/// unseen, and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// It is about to be done.
    Begun,
    /// It is done.
    Done,
    /// It was not done, and why.
    Refused(&'a str),
    /// Something failed, and it may have been done all the same.
    Failed(&'a str),
}

impl<'a> Stage<'a> {
    fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    fn detail(self) -> Option<&'a str> {
        match self {
            Self::Begun | Self::Done => None,
            Self::Refused(detail) | Self::Failed(detail) => Some(detail),
        }
    }
}

/// What the sidecar decided of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It was let through: to Zentra, or to what its record says.
    Allowed,
    /// It was not, and nothing was sent for it.
    Refused,
}

impl Decision {
    fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
        }
    }
}

/// What a stop covers.
#[derive(Clone, Copy, Debug)]
pub struct Stopped<'a> {
    /// Its name.
    pub name: &'a str,
    /// One write, or all.
    pub operation: Option<Operation>,
    /// One calling service, or all.
    pub caller: Option<&'a Caller>,
    /// One currency, or all.
    pub currency: Option<Currency>,
    /// When it ends by itself, where it does.
    pub until: Option<Timestamp>,
}

/// A payment as its record tells it.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Whose.
    pub caller: &'a Caller,
    /// The name of the record.
    pub digest: &'a str,
    /// What was asked, as far as the record tells.
    pub asked: &'a Asked,
    /// What became of it.
    pub outcome: &'a str,
    /// Zentra's id of it, where it has told one.
    pub provider_id: Option<&'a str>,
    /// Zentra's id of the request that told of it.
    pub provider_request_id: Option<&'a str>,
    /// Whether money moved, as is known now.
    pub money_moved: MoneyMoved,
    /// What has moved, where money has.
    pub moved: Option<Money>,
    /// What the policy decided when the payment was begun, as its record keeps it.
    pub policy: Option<&'a PolicyNote>,
}

impl Audit {
    /// No audit log.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Writes the audit log of an account to `target`.
    #[must_use]
    pub fn new(
        target: Target,
        clock: Arc<dyn Clock>,
        account: Account,
        environment: Environment,
    ) -> Self {
        let lines = AtomicU64::new(0);
        Self(Some(Arc::new(Inner { target, clock, account, environment, lines })))
    }

    /// A call's work on a payment ended, whatever its caller has heard by then. `begun` is of a
    /// payment that an earlier call had begun. A decision is none where the work broke off before
    /// there was one.
    pub fn payment(
        &self,
        caller: &Caller,
        digest: &str,
        asked: &Asked,
        begun: Option<&Beginning>,
        result: Result<(&Came, &Execution), (&Error, Option<Decision>)>,
    ) {
        let Some(inner) = &self.0 else { return };
        let mut line = Line {
            key_digest: Some(digest),
            decision: Some(Decision::Allowed.as_str()),
            ..inner.asked("payment", caller, asked)
        };
        if let Some(beginning) = begun {
            line.begun(beginning);
        }
        match result {
            Ok((came, execution)) => {
                line.outcome = Some(came.status);
                line.money_moved = Some(came.money_moved().as_str());
                line.moves(came.moved);
                line.attempts = Some(execution.attempts);
                line.path = Some(execution.path.as_str());
                line.provider_id = came.provider_id.as_ref().map(|id| id.as_str());
                line.provider_request_id =
                    execution.provider_request_id.as_ref().map(|id| id.as_str());
            }
            Err((error, decision)) => failed(&mut line, error, decision),
        }
        inner.write(&line);
    }

    /// A write ended before any work on a payment began, or its work did so abnormally.
    pub fn refused(&self, caller: &Caller, asked: &Asked, error: &Error) {
        Promised::promise();
        let Some(inner) = &self.0 else { return };
        let mut line = inner.asked("payment", caller, asked);
        let decision = if error.was_sent() { Decision::Allowed } else { Decision::Refused };
        failed(&mut line, error, Some(decision));
        inner.write(&line);
    }

    /// Writes of one who may not call were refused, and this many had no line of their own; of
    /// several callers where none is named.
    pub fn refused_unsaid(&self, caller: Option<&Caller>, reason: Reason, unsaid: u64) {
        let Some(inner) = &self.0 else { return };
        inner.write(&Line {
            caller: caller.map(Caller::as_str),
            decision: Some(Decision::Refused.as_str()),
            reason: Some(reason.as_str()),
            money_moved: Some(MoneyMoved::Unknown.as_str()),
            sent: Some(false),
            unsaid: Some(unsaid),
            ..inner.line("payment", None)
        });
    }

    /// A write ended before anything was decided, as `outcome` says: its caller hung up, or it broke
    /// off.
    pub fn undecided(&self, caller: &Caller, asked: &Asked, outcome: &str) {
        let Some(inner) = &self.0 else { return };
        inner.write(&Line {
            outcome: Some(outcome),
            money_moved: Some(MoneyMoved::Unknown.as_str()),
            sent: Some(false),
            ..inner.asked("payment", caller, asked)
        });
    }

    /// A record was moved without a call of its own.
    pub fn moved(&self, mover: Mover, recorded: Recorded<'_>) {
        let Some(inner) = &self.0 else { return };
        inner.write(&inner.moved(mover, recorded));
    }

    /// The same, of what the store has not confirmed: it may or may not have moved.
    pub fn moved_unconfirmed(&self, mover: Mover, recorded: Recorded<'_>) {
        let Some(inner) = &self.0 else { return };
        inner.write(&Line { stored: Some(false), ..inner.moved(mover, recorded) });
    }

    /// An operator acts on a record, or on the account.
    pub fn operator(&self, act: OperatorAct<'_>, recorded: Recorded<'_>) {
        let Some(inner) = &self.0 else { return };
        inner.write(&acted(act, inner.recorded("operator", recorded)));
    }

    /// An operator stops payments, or lifts a stop; all of them where none is named.
    pub fn stop(&self, act: OperatorAct<'_>, stop: Option<Stopped<'_>>) {
        let Some(inner) = &self.0 else { return };
        let operation = stop.and_then(|stop| stop.operation);
        let line = Line {
            caller: stop.and_then(|stop| stop.caller).map(Caller::as_str),
            currency: stop.and_then(|stop| stop.currency).map(Currency::code),
            stop: Some(stop.map_or("all", |stop| stop.name)),
            until: stop.and_then(|stop| stop.until).map(at),
            ..inner.line("operator", operation)
        };
        inner.write(&acted(act, line));
    }

    /// An operator acts on the account's store as a whole.
    pub fn store(&self, act: OperatorAct<'_>) {
        let Some(inner) = &self.0 else { return };
        inner.write(&acted(act, inner.line("operator", None)));
    }

    /// Lines that were begun; those that found the queue full are among them.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.lines.load(Ordering::Relaxed))
    }
}

fn acted<'a>(act: OperatorAct<'a>, line: Line<'a>) -> Line<'a> {
    Line {
        act: Some(act.act),
        stage: Some(act.stage.as_str()),
        detail: act.stage.detail(),
        by: act.by,
        why: act.why,
        ..line
    }
}

fn failed<'a>(line: &mut Line<'a>, error: &'a Error, decision: Option<Decision>) {
    line.decision = decision.map(Decision::as_str);
    line.reason = Some(error.reason().as_str());
    // What refused is not always a rule of the policy.
    let refused_by = error.policy().and_then(|it| it.rule_id.as_deref());
    match error.reason() {
        Reason::LimitExceeded => line.limit = refused_by,
        Reason::Stopped => line.stop = refused_by,
        _ => {}
    }
    let moved = error.moved();
    line.money_moved = (moved != MoneyMoved::NotApplicable).then(|| moved.as_str());
    line.sent = Some(error.was_sent());
    line.attempts = error.attempts_made();
    line.provider_code = error.provider_note().code;
    line.provider_request_id = error.provider_note().request_id.as_ref().map(|id| id.as_str());
}

impl Inner {
    fn line(&self, audit: &'static str, operation: impl Into<Option<Operation>>) -> Line<'_> {
        let mut line = Line {
            time: at(self.clock.now()),
            audit,
            account: self.account.as_str(),
            environment: self.environment.as_str(),
            operation: operation.into().map(Operation::as_str),
            request_id: current_request_id(),
            trace_id: current_trace_id(),
            ..Line::default()
        };
        if let Some(note) = PolicyNote::current() {
            line.decided(&note);
        }
        line
    }

    fn asked<'a>(&'a self, audit: &'static str, caller: &'a Caller, asked: &'a Asked) -> Line<'a> {
        Line {
            caller: Some(caller.as_str()),
            actor: asked.actor.as_ref().map(|it| it.as_str()),
            reference: asked.reference.as_ref().map(|it| it.as_str()),
            charge_reference: asked.charge_reference.as_ref().map(|it| it.as_str()),
            customer_id: asked.customer_id.as_ref().map(|it| it.as_str()),
            payment_token_id: asked.payment_token_id.as_ref().map(|it| it.as_str()),
            amount_minor: asked.amount.map(|it| it.amount_minor()),
            currency: asked.amount.map(|it| it.currency().code()),
            refund_reason: asked.reason.as_ref().map(|it| it.as_str()),
            ..self.line(audit, asked.operation)
        }
    }

    fn moved<'a>(&'a self, mover: Mover, recorded: Recorded<'a>) -> Line<'a> {
        let by = match mover {
            Mover::Reconciler => "reconciler",
            Mover::Read => "read",
        };
        // There is a record of it: it was let through.
        let decision = Some(Decision::Allowed.as_str());
        Line { by: Some(by), decision, ..self.recorded("moved", recorded) }
    }

    fn recorded<'a>(&'a self, audit: &'static str, recorded: Recorded<'a>) -> Line<'a> {
        let policy = recorded.policy;
        let mut line = Line {
            key_digest: Some(recorded.digest),
            outcome: Some(recorded.outcome),
            provider_id: recorded.provider_id,
            provider_request_id: recorded.provider_request_id,
            money_moved: Some(recorded.money_moved.as_str()),
            ..self.asked(audit, recorded.caller, recorded.asked)
        };
        line.moves(recorded.moved);
        if let Some(note) = policy {
            line.decided(note);
        }
        line
    }

    fn write(&self, line: &Line<'_>) {
        self.lines.fetch_add(1, Ordering::Relaxed);
        let mut text = Vec::with_capacity(LINE_BYTES);
        // Texts and numbers are always JSON, and memory takes every byte.
        if serde_json::to_writer(&mut text, line).is_err() {
            return;
        }
        text.push(b'\n');
        let written = match &self.target {
            Target::Queue(queue) => {
                // It takes every line, or counts it.
                queue.put(&text);
                Ok(())
            }
            Target::Direct(file) => {
                let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                file.write_all(&text).and_then(|()| file.flush())
            }
            Target::Session(warned) => {
                warned.call_once(|| {
                    tracing::warn!(
                        "the audit log's lines go to this command's standard error, where the \
                         sidecar's collector does not see them: keep them, or name a file"
                    );
                });
                std::io::stderr().write_all(&text)
            }
        };
        if let Err(fault) = written {
            tracing::error!(%fault, "the audit log cannot be written");
        }
    }
}

/// RFC 3339 with milliseconds.
fn at(time: Timestamp) -> String {
    format!("{time:.3}")
}
