//! `policy`: look at a policy before it is put in force. None of it needs a store or a key.

mod explain;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{complain, say, wrong_settings};
use crate::domain::{Account, Environment};
use crate::policy::{Complaints, Files, Measure, Policy, SCHEMA, read_scenarios, scenarios};

/// The arguments of `policy`.
#[derive(Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the schema that rules are written against
    Schema,
    /// Check a policy's folder, and list its rules and limits
    Check(Folder),
    /// Play the scenarios in the folder's `tests`
    Test(Folder),
    /// Tell how a call would be decided, and why
    Explain(Box<explain::ExplainArgs>),
}

#[derive(Args)]
struct Folder {
    /// The policy's folder
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The account of the sidecars, as their own `--account` says
    #[arg(long, default_value = "default")]
    account: String,
}

/// Exit code 0, 1 where a scenario fails or a call is denied, 2 where the policy is wrong.
#[must_use]
pub fn run(args: &PolicyArgs) -> ExitCode {
    let result = match &args.command {
        Command::Schema => {
            say(SCHEMA.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(args) => check(args),
        Command::Test(args) => test(args),
        Command::Explain(args) => explain::run(args),
    };
    result.unwrap_or_else(|complaints| wrong_policy(&complaints))
}

fn wrong_policy(complaints: &Complaints) -> ExitCode {
    wrong_settings(format!("the policy is wrong:\n{complaints}"))
}

/// The account of this name.
fn account(name: &str) -> Result<Account, String> {
    Account::new(name).map_err(|fault| format!("--account {fault}"))
}

fn check(args: &Folder) -> Result<ExitCode, Complaints> {
    let account = match account(&args.account) {
        Ok(account) => account,
        Err(fault) => return Ok(wrong_settings(fault)),
    };
    let policy = Policy::new(&Files::read(&args.folder)?, (account, Environment::Live))?;
    for rule in policy.rules() {
        let effect = if rule.forbids { "forbid" } else { "permit" };
        let message = rule.message.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
        say(format!("{effect} {} ({}:{}){message}", rule.id, rule.file, rule.line));
    }
    for limit in policy.limits() {
        let measure = match limit.measure {
            Measure::Amount => "minor units",
            Measure::Count => "calls",
        };
        let by: Vec<&str> = limit.by.iter().map(|by| by.as_str()).collect();
        let by = if by.is_empty() { "all together".to_owned() } else { by.join(", ") };
        say(format!(
            "limit {} (limits.toml:{}): {} {measure} in {} s by {by}",
            limit.name, limit.line, limit.most, limit.window_seconds
        ));
    }
    let (rules, limits) = (policy.rules().len(), policy.limits().len());
    say(format!("{rules} rules and {limits} limits, hash {}", policy.hash()));
    Ok(ExitCode::SUCCESS)
}

fn test(args: &Folder) -> Result<ExitCode, Complaints> {
    let files = Files::read(&args.folder)?;
    let account = match account(&args.account) {
        Ok(account) => account,
        Err(fault) => return Ok(wrong_settings(fault)),
    };
    Policy::new(&files, (account.clone(), Environment::Live))?;
    let scenarios = scenarios::read(&read_scenarios(&args.folder)?)?;
    let reports = scenarios::play(&files, &scenarios, &account)?;
    for report in &reports {
        let result = if report.failures.is_empty() { "passed" } else { "FAILED" };
        say(format!("{result} {}", report.name));
        report.failures.iter().for_each(|failure| say(format!("       {failure}")));
    }
    let failed = reports.iter().filter(|report| !report.failures.is_empty()).count();
    say(format!("{} scenarios, {failed} failed", reports.len()));
    if failed > 0 {
        complain(format!("{failed} scenarios failed"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
