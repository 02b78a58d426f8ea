//! The policy over a call: decided, told to operators, and made the caller's answer and what the
//! payment takes from limits.

use std::sync::Arc;

use opentelemetry::KeyValue;

use crate::domain::Caller;
use crate::error::{Error, Reason, Ruled};
use crate::idempotency::{Binding, CounterId, LimitName, Quantity, Take};
use crate::policy::{
    Action, Decision, Fields, Measure, Mode, Policies, Policy, Question, Taking, Verdict,
};
use crate::telemetry::names::{attribute, span};
use crate::telemetry::seldom::Seldom;
use crate::telemetry::{PolicyNote, Telemetry};

/// Asks the policies of a process, and tells what they say.
pub struct Ruler {
    policies: Arc<Policies>,
    telemetry: Telemetry,
    failed: Seldom,
    observed: Seldom,
    differing: Seldom,
}

/// What was decided of a call.
#[derive(Clone, Default)]
pub struct Ruling {
    /// What the caller hears, unless a record says otherwise.
    pub refusal: Option<Error>,
    /// What it takes from the policy's limits.
    pub takes: Vec<Take>,
    /// What the audit log is told; none where there is no policy.
    pub note: Option<PolicyNote>,
    /// The policy that has decided.
    pub policy: Option<Arc<Policy>>,
}

impl Ruling {
    /// Refused before the policy could be asked.
    pub(super) fn refused(error: Error) -> Self {
        Self { refusal: Some(error), ..Self::default() }
    }
}

impl Ruler {
    /// Asks `policies`, and tells `telemetry`.
    #[must_use]
    pub fn new(policies: Arc<Policies>, telemetry: Telemetry) -> Self {
        let [failed, observed, differing] = std::array::from_fn(|_| Seldom::default());
        Self { policies, telemetry, failed, observed, differing }
    }

    /// Decides a call: all that the policy costs it, but for the store's own work.
    #[must_use]
    pub fn rule(&self, caller: &Caller, action: Action, fields: Fields<'_>) -> Ruling {
        let Some(policy) = self.policies.active() else { return Ruling::default() };
        let question = Question { caller, action, fields };
        let span = self.telemetry.tracer().internal(span::POLICY);
        let decision = policy.decide(&question);
        if let Some(mut span) = span {
            let rule_id = decision.rule_id().unwrap_or_default().to_owned();
            span.set([
                KeyValue::new(attribute::POLICY_EFFECT, decision.verdict.as_str()),
                KeyValue::new(attribute::POLICY_RULE_ID, rule_id),
            ]);
            span.end(None);
        }
        self.tell(&question, &policy, &decision);
        let candidate = self.try_candidate(&question, &decision);
        let note = PolicyNote {
            verdict: decision.verdict.as_str(),
            rule_id: decision.rules.first().map(|rule| rule.id.clone()),
            policy_hash: policy.hash_kept(),
        };
        let is_enforced = self.policies.mode() == Mode::Enforce;
        let is_refused = is_enforced && !decision.is_permitted();
        let refusal = is_refused.then(|| denied(&question, &decision, &note));
        let mut takes = Vec::new();
        if decision.is_permitted() {
            let binding = if is_enforced { Binding::Enforced } else { Binding::Observed };
            takes.extend(taken(&policy, &question, binding));
        }
        if let Some(candidate) = candidate.filter(|_| !is_refused) {
            // A limit that both have says the same of both; with another `most` it is asked too,
            // while what it counts is counted once.
            let is_known = |tried: &Take| {
                let same = |it: &Take| (it.counter, it.most) == (tried.counter, tried.most);
                takes.iter().any(same)
            };
            let tried = taken(&candidate, &question, Binding::OnTrial);
            let tried: Vec<_> = tried.filter(|it| !is_known(it)).collect();
            takes.extend(tried);
        }
        Ruling { refusal, takes, note: Some(note), policy: Some(policy) }
    }

    /// Tells operators what the active policy decides.
    fn tell(&self, question: &Question<'_>, policy: &Policy, decision: &Decision<'_>) {
        let measures = self.telemetry.measures();
        let action = question.action.as_str();
        let (caller, policy_hash) = (question.caller.as_str(), policy.hash());
        let (verdict, rule_id) = (decision.verdict.as_str(), decision.rule_id());
        measures.policy_decision(action, verdict);
        if decision.verdict == Verdict::Failed
            && let Some(unsaid) = self.failed.now((action, caller, rule_id))
        {
            tracing::error!(
                action,
                caller,
                rule_id,
                policy_hash,
                unsaid,
                "a rule could not be evaluated, as where a sum exceeds 64 bits: it denies"
            );
        }
        if !decision.is_permitted()
            && self.policies.mode() == Mode::Observe
            && let Some(unsaid) = self.observed.now((action, caller, rule_id))
        {
            let message = decision.message(question);
            tracing::warn!(
                action,
                caller,
                verdict,
                rule_id,
                message,
                policy_hash,
                unsaid,
                "the policy would deny a call, and only observes"
            );
        }
    }

    /// Asks the policy on trial too, and tells operators where it differs; gives it where it lets the
    /// call pass.
    fn try_candidate(
        &self,
        question: &Question<'_>,
        decision: &Decision<'_>,
    ) -> Option<Arc<Policy>> {
        let candidate = self.policies.candidate()?;
        let other = candidate.decide(question);
        let (action, caller) = (question.action.as_str(), question.caller.as_str());
        let (verdict, rule_id) = (decision.verdict.as_str(), decision.rule_id());
        let (candidate_verdict, candidate_rule_id) = (other.verdict.as_str(), other.rule_id());
        self.telemetry.measures().policy_trial(action, verdict, candidate_verdict);
        let about = (action, caller, rule_id, candidate_rule_id);
        if (other.is_permitted() != decision.is_permitted() || other.verdict == Verdict::Failed)
            && let Some(unsaid) = self.differing.now(about)
        {
            tracing::warn!(
                action,
                caller,
                verdict,
                rule_id,
                candidate_verdict,
                candidate_rule_id,
                candidate_hash = candidate.hash(),
                unsaid,
                "the policy on trial decides otherwise"
            );
        }
        let is_permitted = other.is_permitted();
        is_permitted.then_some(candidate)
    }
}

/// What a call takes from the limits of a policy that permits it.
fn taken<'a>(
    policy: &'a Policy,
    question: &'a Question<'_>,
    binding: Binding,
) -> impl Iterator<Item = Take> {
    let takings = policy.limits().iter().filter_map(|it| it.taking(question));
    takings.map(move |taking| take(taking, binding))
}

/// What the caller of a denied call hears.
fn denied(question: &Question<'_>, decision: &Decision<'_>, note: &PolicyNote) -> Error {
    Error::new(Reason::PolicyDenied).ruled(Ruled {
        rule_id: note.rule_id.clone(),
        message: Some(decision.message(question).into()),
        policy_hash: Some(note.policy_hash.clone()),
    })
}

/// What a claim takes from a limit. What is counted stands in the counter's name, so that a limit
/// that counts something else from now on begins anew; see `Limit::definition`.
fn take(taking: Taking<'_>, binding: Binding) -> Take {
    let Taking { limit, key, amount } = taking;
    Take {
        // Both take the same names; should that ever change, it is counted all the same.
        limit: LimitName::shared(&limit.name).unwrap_or_else(LimitName::refunds_of_a_charge),
        counter: CounterId::new(["limit", &*limit.name, &limit.definition, &key]),
        window_ms: limit.window_seconds * 1000,
        quantity: match limit.measure {
            Measure::Count => Quantity::One,
            Measure::Amount => Quantity::Amount(amount),
        },
        most: limit.most,
        binding,
    }
}

/// Adds what a limit's author wrote for callers.
pub(super) fn limit_told(error: Error, policy: &Policy) -> Error {
    if error.reason() != Reason::LimitExceeded {
        return error;
    }
    let Some(name) = error.policy().and_then(|ruled| ruled.rule_id.clone()) else { return error };
    let limit = policy.limits().iter().find(|limit| *limit.name == *name);
    let message = limit.and_then(|limit| limit.message.as_deref());
    let message = message.unwrap_or("the limit is used up until its window ends");
    error.ruled(Ruled {
        rule_id: Some(name),
        message: Some(message.into()),
        policy_hash: Some(policy.hash_kept()),
    })
}
