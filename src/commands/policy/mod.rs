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

/// The folder's policy, for an account that is called as by default.
fn load(files: &Files, environment: Environment) -> Result<Policy, Complaints> {
    let account = Account::new("default").map_err(|_| Complaints::default())?;
    Policy::new(files, (account, environment))
}

fn check(args: &Folder) -> Result<ExitCode, Complaints> {
    let policy = load(&Files::read(&args.folder)?, Environment::Live)?;
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
    load(&files, Environment::Live)?;
    let scenarios = scenarios::read(&read_scenarios(&args.folder)?)?;
    let reports = scenarios::play(&files, &scenarios)?;
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
