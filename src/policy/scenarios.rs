//! A team's scenarios: calls in a row, and what the policy is to say of each.

mod read;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::complaint::{Complaints, Source, place};
use super::{Files, Limit, Measure, Policy, Question, Sample, Verdict};
use crate::domain::{Account, Environment, Money};

/// When every scenario begins, in seconds of Unix time: 2026-01-01T00:00:00Z, at which every window
/// of a day or less begins too.
const BEGINNING: u64 = 1_767_225_600;

/// A story of one or more calls. What its limits count begins at nothing.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is about.
    pub name: String,
    /// Which environment it takes place in.
    pub environment: Environment,
    /// The calls, in order.
    pub steps: Vec<Step>,
}

/// A call, and what is to come of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The call.
    pub call: Sample,
    /// How often it is made, each time with the same outcome.
    pub times: u64,
    /// How long after the call before it, in seconds.
    pub after_seconds: u64,
    /// What is to come of it.
    pub expect: Outcome,
    /// The rule or the limit that is to decide; none for any.
    pub by: Option<String>,
    /// Where it stands: file, line and column.
    pub place: String,
}

/// What comes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rules denied or permitted it.
    Rules(Verdict),
    /// The rules permit it, and a limit is full.
    LimitExceeded,
    /// The rules permit it, and its charge has not as much left to give back.
    RefundExceedsCharge,
}

/// What came of a scenario.
#[derive(Clone, Debug)]
pub struct Report {
    /// The scenario's name.
    pub name: String,
    /// What came otherwise than expected; empty where it passed.
    pub failures: Vec<String>,
}

/// What is counted: a limit, a key and a window; or what was given back of a charge.
type Count = (Arc<str>, String, u64);
/// How far each has come.
type Counts = HashMap<Count, u64>;

/// No limit's name, as it has spaces.
const OF_A_CHARGE: &str = "given back of a charge";

/// Reads the scenarios of files.
///
/// # Errors
/// All that is wrong with them.
pub fn read(files: &[(String, String)]) -> Result<Vec<Scenario>, Complaints> {
    let mut complaints = Complaints::default();
    let mut scenarios = Vec::new();
    for (file, text) in files {
        read::read(Source { file, text }, &mut scenarios, &mut complaints);
    }
    complaints.or(scenarios)
}

/// Plays scenarios against the policy of `files`, as the sidecars of an account would decide.
///
/// # Errors
/// All that is wrong with the policy.
pub fn play(
    files: &Files,
    scenarios: &[Scenario],
    account: &Account,
) -> Result<Vec<Report>, Complaints> {
    let mut policies = Vec::with_capacity(3);
    for environment in [Environment::Simulated, Environment::Sandbox, Environment::Live] {
        policies.push((environment, Policy::new(files, (account.clone(), environment))?));
    }
    let reports = scenarios.iter().map(|scenario| {
        let policy = policies.iter().find(|(environment, _)| *environment == scenario.environment);
        let failures = policy.map(|(_, policy)| failures(policy, scenario)).unwrap_or_default();
        Report { name: scenario.name.clone(), failures }
    });
    Ok(reports.collect())
}

fn failures(policy: &Policy, scenario: &Scenario) -> Vec<String> {
    let (mut counts, mut now, mut failures) = (Counts::new(), BEGINNING, Vec::new());
    for step in &scenario.steps {
        now = now.saturating_add(step.after_seconds);
        for time in 1..=step.times {
            if let Err(fault) = play_step(policy, step, now, &mut counts) {
                let times = if step.times > 1 { format!(" (time {time})") } else { String::new() };
                failures.push(format!("{}{times}: {fault}", step.place));
                break;
            }
        }
    }
    failures
}

fn play_step(policy: &Policy, step: &Step, now: u64, counts: &mut Counts) -> Result<(), String> {
    let question = step.call.question()?;
    policy.check(&question)?;
    let decision = policy.decide(&question);
    let full = decision.is_permitted().then(|| take(policy, &question, &step.call, now, counts));
    let (outcome, by) = match full.flatten() {
        Some(Full::Limit(limit)) => (Outcome::LimitExceeded, vec![&*limit.name]),
        Some(Full::Charge) => (Outcome::RefundExceedsCharge, Vec::new()),
        None => {
            let rules = decision.rules.iter().map(|rule| &*rule.id).collect();
            (Outcome::Rules(decision.verdict), rules)
        }
    };
    let is_by = step.by.as_ref().is_none_or(|name| by.contains(&name.as_str()));
    if outcome == step.expect && is_by {
        return Ok(());
    }
    let expected = match &step.by {
        Some(name) => format!("{} by {name}", step.expect),
        None => step.expect.to_string(),
    };
    let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
    Err(format!("expected {expected}, was {outcome}{by}"))
}

/// What has no room for a call.
enum Full<'a> {
    Limit(&'a Limit),
    Charge,
}

/// Takes from every limit and from the charge, or where one is full from none; gives what stays full
/// for the longest time, as the sidecar does: a charge for ever, and of limits the first of those
/// whose windows end last.
fn take<'a>(
    policy: &'a Policy,
    question: &Question<'_>,
    call: &Sample,
    now: u64,
    counts: &mut Counts,
) -> Option<Full<'a>> {
    let (mut takings, mut full) = (Vec::new(), None::<(u64, &Limit)>);
    let refund = Refund::of(question, call, counts);
    if refund.as_ref().is_some_and(|refund| refund.amount > refund.left) {
        return Some(Full::Charge);
    }
    for taking in policy.limits().iter().filter_map(|limit| limit.taking(question)) {
        let limit = taking.limit;
        let window = limit.window(now);
        let count = (limit.name.clone(), taking.key, window);
        let counted = counts.get(&count).copied().unwrap_or(0);
        if counted.saturating_add(taking.amount) > limit.most {
            let ends = window.saturating_add(1).saturating_mul(limit.window_seconds);
            if full.is_none_or(|(latest, _)| ends > latest) {
                full = Some((ends, limit));
            }
        }
        // All that is left counts as what it came to.
        let amount = match (&refund, limit.measure) {
            (Some(refund), Measure::Amount) => taking.amount.min(refund.amount),
            _ => taking.amount,
        };
        takings.push((count, counted.saturating_add(amount)));
    }
    if let Some((_, limit)) = full {
        return Some(Full::Limit(limit));
    }
    if let Some(Refund { count: Some((count, given_back)), amount, .. }) = refund {
        takings.push((count, given_back.saturating_add(amount)));
    }
    counts.extend(takings);
    None
}

/// What a refund takes from what is left of its charge.
struct Refund {
    amount: u64,
    left: u64,
    /// What counts for its charge, and how far that has come; none where it names no charge, which
    /// is one of its own then.
    count: Option<(Count, u64)>,
}

impl Refund {
    fn of(question: &Question<'_>, call: &Sample, counts: &Counts) -> Option<Self> {
        let minor = |money: Money| u64::try_from(money.amount_minor()).unwrap_or(0);
        let charge = question.fields.charge?;
        let count = call.charge_reference.as_ref().map(|reference| {
            let count = (Arc::from(OF_A_CHARGE), reference.clone(), 0);
            let given_back = counts.get(&count).copied().unwrap_or(0);
            (count, given_back)
        });
        let given_back = count.as_ref().map_or(0, |(_, given_back)| *given_back);
        let left = minor(charge.amount).saturating_sub(given_back);
        let amount = match charge.all_that_is_left {
            true => left.max(1),
            false => question.fields.amount.map_or(0, minor),
        };
        Some(Self { amount, left, count })
    }
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Rules(Verdict::Permitted),
        Self::Rules(Verdict::Forbidden),
        Self::Rules(Verdict::NoRule),
        Self::Rules(Verdict::Failed),
        Self::LimitExceeded,
        Self::RefundExceedsCharge,
    ];

    /// The word in scenarios.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules(verdict) => verdict.as_str(),
            Self::LimitExceeded => "limit_exceeded",
            Self::RefundExceedsCharge => "refund_exceeds_charge",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
