//! Any bytes as the files of a policy, for the fuzzers.

use std::str::FromStr as _;

use cedar_policy::PolicySet;

use super::scenarios::{self, Scenario};
use super::{Action, Fields, Files, Policy, Question, Sample};
use crate::domain::{Account, Caller, Currency, Environment};

/// What begins a part of the bytes: rules are first, then limits, then scenarios.
const BREAK: &str = "\n====\n";

/// Calls that are played at most; more take the fuzzer's time.
const MOST_CALLS: u64 = 100;

/// The files of a policy. They are read, or complained of; a policy that is read decides, and gives
/// the same decision a second time.
///
/// # Panics
/// Where a complaint says nothing, a decision differs, or there are not as many rules as Cedar counts.
pub fn policy(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(3, BREAK);
    let rules = parts.next().unwrap_or_default().to_owned();
    let limits = parts.next().map(str::to_owned);
    let stories = parts.next().unwrap_or_default().to_owned();
    let files = Files { rules: vec![("rules.cedar".to_owned(), rules)], limits };
    let scenarios = scenarios::read(&[("tests/a.toml".to_owned(), stories)]);
    let (Ok(account), Ok(caller)) = (Account::new("default"), Caller::new("shop/checkout")) else {
        return;
    };
    match Policy::new(&files, (account.clone(), Environment::Live)) {
        Ok(policy) => {
            let counted =
                PolicySet::from_str(&files.rules[0].1).map(|rules| rules.num_of_policies());
            assert_eq!(counted.ok(), Some(policy.rules().len()), "a rule is lost");
            for action in Action::ALL {
                decide(&policy, &caller, action);
            }
            let calls = |it: &Scenario| it.steps.iter().map(|step| step.times).sum::<u64>();
            if let Ok(scenarios) = scenarios
                && scenarios.iter().map(calls).sum::<u64>() < MOST_CALLS
            {
                // What comes of them is the policy's own matter.
                let _ = scenarios::play(&files, &scenarios, &account);
            }
        }
        Err(complaints) => {
            assert!(!complaints.is_empty());
            complaints.iter().for_each(|complaint| assert!(!complaint.text.is_empty()));
        }
    }
}

fn decide(policy: &Policy, caller: &Caller, action: Action) {
    let currency = Currency::new("NGN").ok();
    let amount = Some(125_000);
    let sample = Sample { amount, currency, ..Sample::new(caller.clone(), action) };
    let empty = Question { caller, action, fields: Fields::default() };
    let question = sample.question().unwrap_or(empty);
    let decision = policy.decide(&question);
    assert_eq!(decision, policy.decide(&question));
    policy.limits().iter().for_each(|limit| drop(limit.taking(&question)));
    // The rules by themselves agree with the decision.
    let weighed = policy.weigh(&question);
    let applies = |forbids: bool| {
        let is_such = |(rule, it): &(&super::Rule, super::Weighed)| {
            rule.forbids == forbids && *it == super::Weighed::Applies
        };
        weighed.iter().any(is_such)
    };
    let failed = weighed.iter().any(|(_, it)| *it == super::Weighed::Failed);
    assert_eq!(decision.is_permitted(), !failed && applies(false) && !applies(true));
}
