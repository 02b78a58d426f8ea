//! `policy explain`: how one call would be decided, and why.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::super::{say, wrong_settings};
use super::account;
use crate::domain::{
    Account, Actor, Caller, Currency, CustomerId, Environment, Fault, PaymentTokenId, Reason,
    Reference,
};
use crate::policy::{
    Action, Complaints, Decision, Files, Limit, Policy, Question, Rule, Sample, Verdict, Weighed,
};

/// A folder, and a call as it may come.
#[derive(Args)]
pub(super) struct ExplainArgs {
    /// The policy's folder
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Who calls, such as `shop/checkout`
    #[arg(long)]
    caller: String,
    /// What for: `Charge`, `Refund` and so on
    #[arg(long)]
    action: String,
    /// How much, in the minor unit
    #[arg(long)]
    amount: Option<i64>,
    /// An ISO 4217 code
    #[arg(long)]
    currency: Option<String>,
    /// The customer
    #[arg(long)]
    customer: Option<String>,
    /// The payment token
    #[arg(long)]
    token: Option<String>,
    /// The person or job behind the call
    #[arg(long)]
    actor: Option<String>,
    /// The payment's reference
    #[arg(long)]
    reference: Option<String>,
    /// Of Tokenize: `card` or `bank_account`
    #[arg(long)]
    method: Option<String>,
    /// Of a refund: its charge's reference
    #[arg(long)]
    charge_reference: Option<String>,
    /// Of events: the group of consumers
    #[arg(long)]
    consumer_group: Option<String>,
    /// Of a subscription: the types of events, with commas between; all where none is given
    #[arg(long, value_delimiter = ',')]
    types: Vec<String>,
    /// Of a refund: its reason
    #[arg(long)]
    reason: Option<String>,
    /// Of a refund: what the charge was for, in the minor unit
    #[arg(long)]
    charge_amount: Option<i64>,
    /// Of a refund: the charge's age
    #[arg(long)]
    charge_age_seconds: Option<i64>,
    /// The account of the sidecars, as their own `--account` says
    #[arg(long, default_value = "default")]
    account: String,
    /// `simulated`, `sandbox` or `live`
    #[arg(long, default_value = "live")]
    environment: String,
}

pub(super) fn run(args: &ExplainArgs) -> Result<ExitCode, Complaints> {
    let (sample, account, environment) = match read(args) {
        Ok(read) => read,
        Err(fault) => return Ok(wrong_settings(fault)),
    };
    let policy = Policy::new(&Files::read(&args.folder)?, (account, environment))?;
    let question = match sample.question() {
        Ok(question) => question,
        Err(fault) => return Ok(wrong_settings(fault)),
    };
    let decision = policy.decide(&question);
    tell(&policy, &question, &decision);
    let may_pass = decision.is_permitted() && never_fits(&policy, &question).next().is_none();
    Ok(if may_pass { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(args: &ExplainArgs) -> Result<(Sample, Account, Environment), String> {
    let account = account(&args.account)?;
    let caller = Caller::new(&args.caller).map_err(|fault| format!("--caller {fault}"))?;
    let names = Action::ALL.map(Action::as_str).join(", ");
    let action =
        Action::named(&args.action).ok_or_else(|| format!("--action must be of {names}"))?;
    let currency = args.currency.as_deref().map(Currency::new).transpose();
    let environment = match args.environment.as_str() {
        "simulated" => Environment::Simulated,
        "sandbox" => Environment::Sandbox,
        "live" => Environment::Live,
        _ => return Err("--environment must be simulated, sandbox or live".to_owned()),
    };
    let is_bank_account = match args.method.as_deref() {
        None | Some("card") => false,
        Some("bank_account") => true,
        Some(_) => return Err("--method must be card or bank_account".to_owned()),
    };
    let sample = Sample {
        reference: as_called("--reference", args.reference.as_ref(), Reference::new)?,
        is_bank_account,
        charge_reference: as_called(
            "--charge-reference",
            args.charge_reference.as_ref(),
            Reference::new,
        )?,
        consumer_group: args.consumer_group.clone(),
        types: args.types.clone(),
        amount: args.amount,
        currency: currency.map_err(|fault| format!("--currency {fault}"))?,
        customer: as_called("--customer", args.customer.as_ref(), CustomerId::new)?,
        token: as_called("--token", args.token.as_ref(), PaymentTokenId::new)?,
        actor: as_called("--actor", args.actor.as_ref(), Actor::new)?,
        reason: as_called("--reason", args.reason.as_ref(), Reason::new)?,
        charge_amount: args.charge_amount,
        charge_age_seconds: args.charge_age_seconds,
        ..Sample::new(caller, action)
    };
    Ok((sample, account, environment))
}

/// The limits that have no room for the call even where nothing has been taken yet.
fn never_fits<'a>(policy: &'a Policy, question: &Question<'_>) -> impl Iterator<Item = &'a Limit> {
    let takings = policy.limits().iter().filter_map(|limit| limit.taking(question));
    takings.filter(|taking| taking.amount > taking.limit.most).map(|taking| taking.limit)
}

/// A text that a call may have in that field. Any other reaches no policy, and is not printed either: it
/// may be a card's number.
fn as_called<T>(
    flag: &str,
    text: Option<&String>,
    field: impl Fn(&str) -> Result<T, Fault>,
) -> Result<Option<String>, String> {
    let Some(text) = text else { return Ok(None) };
    field(text).map_err(|fault| format!("{flag} {fault}"))?;
    Ok(Some(text.clone()))
}

fn tell(policy: &Policy, question: &Question<'_>, decision: &Decision<'_>) {
    let (caller, action) = (question.caller, question.action.as_str());
    say(match decision.verdict {
        Verdict::Permitted => format!("permitted: {caller} may {action}, as far as rules go"),
        Verdict::Forbidden | Verdict::NoRule => {
            format!("denied ({}): {}", decision.verdict.as_str(), decision.message(question))
        }
        Verdict::Failed => "denied (failed): a rule could not be evaluated".to_owned(),
    });
    if question.fields.charge.is_some_and(|charge| charge.age_seconds.is_none()) {
        say("without --charge-age-seconds: as where Zentra does not tell when the charge was made");
    }
    let weighed = policy.weigh(question);
    let with = |wanted: Weighed, text: &str| {
        let rules: Vec<&Rule> =
            weighed.iter().filter(|(_, it)| *it == wanted).map(|(rule, _)| *rule).collect();
        if !rules.is_empty() {
            say(format!("{text}:"));
        }
        for rule in rules {
            let effect = if rule.forbids { "forbid" } else { "permit" };
            say(format!("  {effect} {} ({}:{})", rule.id, rule.file, rule.line));
        }
    };
    with(Weighed::Failed, "rules that could not be evaluated, which denies");
    with(Weighed::Applies, "rules that apply");
    with(Weighed::ConditionsNotMet, "rules for such calls whose conditions are not met");
    let takings: Vec<_> =
        policy.limits().iter().filter_map(|limit| limit.taking(question)).collect();
    if !takings.is_empty() {
        say("limits that it takes from:");
    }
    for taking in takings {
        let limit = taking.limit;
        let (most, seconds) = (limit.most, limit.window_seconds);
        let key = if taking.key.is_empty() { "all together" } else { &taking.key };
        say(format!("  {} ({key}): {} of {most} in {seconds} s", limit.name, taking.amount));
    }
    for limit in never_fits(policy, question) {
        let (name, most) = (&limit.name, limit.most);
        say(format!("never fits: {name} has room for {most} in a whole window"));
    }
    if decision.verdict == Verdict::NoRule {
        say("needed: a permit that applies to it");
    } else if decision.verdict == Verdict::Forbidden {
        say("needed: that none of the forbids that apply does, and a permit that applies");
    }
}
