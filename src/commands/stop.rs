//! `stop` and `resume`: an operator keeps payments from beginning, on all sidecars of the account.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use super::{failed, operator, say};
use crate::config::ServeArgs;
use crate::domain::{Actor, Caller, Currency, Operation, Reason, Reference};
use crate::engine::{Engine, repeated};
use crate::idempotency::{MAX_STOPS, SetStop, SetStopAnswer, Stamped, Stop, StopScope};
use crate::telemetry::audit::{OperatorAct, Stage, Stopped};

/// The longest stop with an end; one without has none.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// What is stopped, and why.
#[derive(Args, Clone, Debug)]
pub struct StopArgs {
    /// List the stops in force, and do nothing else
    #[arg(long, conflicts_with_all = ["reason", "by", "only_action", "only_caller", "only_currency", "for"])]
    list: bool,
    /// Stop this write alone; every write where it is left out
    #[arg(long, value_enum)]
    only_action: Option<Action>,
    /// Stop this calling service alone
    #[arg(long, value_name = "CALLER")]
    only_caller: Option<String>,
    /// Stop payments in this currency alone
    #[arg(long, value_name = "CODE")]
    only_currency: Option<String>,
    /// For how long, such as `90m` or `2h`; until it is lifted where it is left out
    #[arg(long, value_name = "TIME")]
    r#for: Option<String>,
    /// Why, as callers read it
    #[arg(long, value_name = "TEXT", required_unless_present = "list")]
    reason: Option<String>,
    /// Who stops
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    by: Option<String>,

    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Action {
    Tokenize,
    Charge,
    Renew,
    Refund,
}

impl Action {
    fn operation(self) -> Operation {
        match self {
            Self::Tokenize => Operation::Tokenize,
            Self::Charge => Operation::Charge,
            Self::Renew => Operation::Renew,
            Self::Refund => Operation::Refund,
        }
    }
}

/// Which stop is lifted.
#[derive(Args, Clone, Debug)]
pub struct ResumeArgs {
    /// The stop's name, as `stop` and `stop --list` print it
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// Lift all stops
    #[arg(long)]
    all: bool,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who lifts it
    #[arg(long, value_name = "NAME")]
    by: String,

    #[command(flatten)]
    serve: ServeArgs,
}

/// Runs `stop`.
pub async fn stop(args: StopArgs) -> ExitCode {
    let (engine, _) = match operator::engine(&args.serve).await {
        Ok(engine) => engine,
        Err(code) => return code,
    };
    let done = if args.list { list(&engine).await } else { set(&engine, &args).await };
    done.map_or_else(failed, |text| {
        say(text);
        ExitCode::SUCCESS
    })
}

/// Runs `resume`.
pub async fn resume(args: ResumeArgs) -> ExitCode {
    let (engine, _) = match operator::engine(&args.serve).await {
        Ok(engine) => engine,
        Err(code) => return code,
    };
    lift(&engine, &args).await.map_or_else(failed, |text| {
        say(text);
        ExitCode::SUCCESS
    })
}

async fn set(engine: &Engine, args: &StopArgs) -> Result<String, String> {
    let read = |text: &Option<String>| text.clone().unwrap_or_default();
    let stop = Stop {
        id: name()?,
        scope: scope(args)?,
        reason: Reason::new(&read(&args.reason)).map_err(|fault| format!("--reason {fault}"))?,
        by: Actor::new(&read(&args.by)).map_err(|fault| format!("--by {fault}"))?,
        since_ms: 0,
        until_ms: None,
    };
    let set = SetStop { stop, for_ms: args.r#for.as_deref().map(milliseconds).transpose()? };
    // The store's clock decides, and is not known before; the two are told of one moment all the same.
    let until = set.for_ms.and_then(|for_ms| ends(engine.clock().now(), for_ms));
    let audit = |stage| {
        let (by, why) = (Some(set.stop.by.as_str()), Some(set.stop.reason.as_str()));
        let act = OperatorAct { act: "stop", stage, by, why };
        engine.telemetry().audit().stop(act, Some(Stopped { until, ..told(&set.stop) }));
    };
    audit(Stage::Begun);
    match repeated(|| engine.store().stop(&set)).await {
        Ok(Stamped { answer: SetStopAnswer::Stopped, .. }) => audit(Stage::Done),
        Ok(Stamped { answer: SetStopAnswer::TooMany, .. }) => {
            let why = format!("there are {MAX_STOPS} stops; lift some with `resume` first");
            audit(Stage::Refused(&why));
            return Err(why);
        }
        Err(fault) => {
            audit(Stage::Failed(&fault.to_string()));
            return Err(fault.to_string());
        }
    }
    let stop = &set.stop;
    Ok(format!(
        "stopped as {}: {}; lift it with `resume {}`",
        stop.id,
        covers(&stop.scope),
        stop.id
    ))
}

/// The moment at which a stop that is set now ends by itself.
fn ends(now: Timestamp, for_ms: u64) -> Option<Timestamp> {
    now.checked_add(Duration::from_millis(for_ms)).ok()
}

/// Eight letters and digits: short enough to be read aloud.
fn name() -> Result<Reference, String> {
    let name = format!("stop-{:08x}", rand::random::<u32>());
    Reference::new(&name).map_err(|fault| fault.to_string())
}

fn scope(args: &StopArgs) -> Result<StopScope, String> {
    let caller = args.only_caller.as_deref().map(Caller::new).transpose();
    let currency = args.only_currency.as_deref().map(Currency::new).transpose();
    Ok(StopScope {
        operation: args.only_action.map(Action::operation),
        caller: caller.map_err(|fault| format!("--only-caller {fault}"))?,
        currency: currency.map_err(|fault| format!("--only-currency {fault}"))?,
    })
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let time: SignedDuration =
        text.parse().map_err(|_| format!("--for {text:?} is not a time such as 90m or 2h"))?;
    let time = Duration::try_from(time).ok().filter(|time| !time.is_zero() && *time <= LONGEST);
    let time = time.ok_or("--for is between 1 millisecond and 366 days")?;
    Ok(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

async fn lift(engine: &Engine, args: &ResumeArgs) -> Result<String, String> {
    let by = Actor::new(&args.by).map_err(|fault| format!("--by {fault}"))?;
    let why = Reason::new(&args.reason).map_err(|fault| format!("--reason {fault}"))?;
    let name = args.name.as_deref().map(Reference::new).transpose();
    let name = name.map_err(|fault| format!("the stop's name {fault}"))?;
    let stops = engine.store().stops().await.map_err(|fault| fault.to_string())?.answer;
    let stop = name.as_ref().map(|name| {
        let in_force = stops.iter().find(|stop| stop.id == *name);
        in_force.map_or_else(|| unknown(name), told)
    });
    let audit = |stage| {
        let (by, why) = (Some(by.as_str()), Some(why.as_str()));
        engine.telemetry().audit().stop(OperatorAct { act: "resume", stage, by, why }, stop);
    };
    audit(Stage::Begun);
    if let Some(name) = name.as_ref().filter(|name| stops.iter().all(|stop| stop.id != **name)) {
        let why = format!("no stop {name} is in force; see `stop --list`");
        audit(Stage::Refused(&why));
        return Err(why);
    }
    match repeated(|| engine.store().resume(name.as_ref())).await {
        Ok(Stamped { answer, .. }) => {
            audit(Stage::Done);
            Ok(format!("lifted {answer}"))
        }
        Err(fault) => {
            audit(Stage::Failed(&fault.to_string()));
            Err(fault.to_string())
        }
    }
}

async fn list(engine: &Engine) -> Result<String, String> {
    let Stamped { now_ms, answer } =
        engine.store().stops().await.map_err(|fault| fault.to_string())?;
    if answer.is_empty() {
        return Ok("nothing is stopped".to_owned());
    }
    let lines = answer.iter().map(|stop| line(stop, now_ms));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn line(stop: &Stop, now_ms: u64) -> String {
    let Stop { id, scope, reason, by, since_ms, until_ms } = stop;
    let ago = now_ms.saturating_sub(*since_ms) / 1000;
    let ends = until_ms.map_or("until it is lifted".to_owned(), |until_ms| {
        format!("for {} s more", until_ms.saturating_sub(now_ms).div_ceil(1000))
    });
    format!("{id}  {}  by {by}, {ago} s ago, {ends}: {reason}", covers(scope))
}

fn told(stop: &Stop) -> Stopped<'_> {
    let StopScope { operation, caller, currency } = &stop.scope;
    let until_ms = stop.until_ms.and_then(|until_ms| i64::try_from(until_ms).ok());
    Stopped {
        name: stop.id.as_str(),
        operation: *operation,
        caller: caller.as_ref(),
        currency: *currency,
        until: until_ms.and_then(|until_ms| Timestamp::from_millisecond(until_ms).ok()),
    }
}

/// One that is not in force, of which no more is known than its name.
fn unknown(name: &Reference) -> Stopped<'_> {
    Stopped { name: name.as_str(), operation: None, caller: None, currency: None, until: None }
}

fn covers(scope: &StopScope) -> String {
    let mut text = scope.operation.map_or("every write", Operation::as_str).to_owned();
    if let Some(caller) = &scope.caller {
        text += &format!(" of {caller}");
    }
    if let Some(currency) = scope.currency {
        text += &format!(" in {}", currency.code());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(milliseconds("90m"), Ok(5_400_000));
        assert_eq!(milliseconds("2h 30m"), Ok(9_000_000));
        for wrong in ["", "soon", "0s", "-1h", "400d", "9000h"] {
            assert!(milliseconds(wrong).is_err(), "{wrong}");
        }
    }
}
