//! What the policy says of a call: told to operators, and made the caller's answer.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::charge_facts::ChargeFacts;
use super::{Call, Gateway};
use crate::domain::{
    ChargeCommand, CustomerId, Operation, PaymentMethod, Reference, RefundCommand, TokenizeCommand,
};
use crate::error::{Error, Reason, Ruled};
use crate::idempotency::{CounterId, LimitName, Quantity, Take};
use crate::policy::{
    Action, ChargeOf, Decision, Fields, Measure, Mode, Policy, Question, Taking, Verdict,
};
use crate::telemetry::PolicyNote;
use crate::telemetry::names::{attribute, span};

/// What was decided of a call.
#[derive(Clone, Default)]
pub(super) struct Ruling {
    /// What the caller hears, unless a record says otherwise.
    pub(super) refusal: Option<Error>,
    /// What it takes from the policy's limits.
    pub(super) takes: Vec<Take>,
    /// What the audit log is told; none where there is no policy.
    pub(super) note: Option<PolicyNote>,
    /// The policy that has decided.
    pub(super) policy: Option<Arc<Policy>>,
}

impl Ruling {
    /// Refused before the policy could be asked.
    pub(super) fn refused(error: Error) -> Self {
        Self { refusal: Some(error), ..Self::default() }
    }
}

impl Gateway {
    /// Decides a write. A denial is one more refusal, which an existing payment beats.
    pub(super) fn rule(&self, call: &Call, action: Action, fields: Fields<'_>) -> Ruling {
        let Some(policy) = self.shared.policies.active() else { return Ruling::default() };
        let question = Question { caller: &call.caller, action, fields };
        let span = self.engine().telemetry().tracer().internal(span::POLICY);
        let decision = policy.decide(&question);
        if let Some(span) = span {
            let rule_id = decision.rule_id().unwrap_or_default().to_owned();
            span.set([
                KeyValue::new(attribute::POLICY_EFFECT, decision.verdict.as_str()),
                KeyValue::new(attribute::POLICY_RULE_ID, rule_id),
            ]);
            span.end(None);
        }
        self.tell(&question, &policy, &decision);
        let ruled = Ruled {
            rule_id: decision.rules.first().map(|rule| rule.id.clone()),
            message: Some(decision.message(&question).into()),
            policy_hash: Some(policy.hash_kept()),
        };
        let note = PolicyNote {
            verdict: decision.verdict.as_str(),
            rule_id: ruled.rule_id.clone(),
            policy_hash: policy.hash_kept(),
        };
        let is_enforced = self.shared.policies.mode() == Mode::Enforce;
        let is_refused = is_enforced && !decision.is_permitted();
        let refusal = is_refused.then(|| Error::new(Reason::PolicyDenied).ruled(ruled));
        // Who only observes takes nothing either: a limit would refuse.
        let takes = match is_enforced && !is_refused {
            true => {
                policy.limits().iter().filter_map(|it| it.taking(&question)).map(take).collect()
            }
            false => Vec::new(),
        };
        Ruling { refusal, takes, note: Some(note), policy: Some(policy.clone()) }
    }

    /// Decides a read, or Verify, before anything is sent.
    ///
    /// # Errors
    /// `POLICY_DENIED`.
    pub(super) fn permit(
        &self,
        call: &Call,
        operation: Operation,
        fields: Fields<'_>,
    ) -> Result<(), Error> {
        match self.rule(call, operation.into(), fields).refusal {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    /// Tells operators what the active policy decides, and where the one on trial differs.
    fn tell(&self, question: &Question<'_>, policy: &Policy, decision: &Decision<'_>) {
        let measures = self.engine().telemetry().measures();
        let action = question.action.as_str();
        let (caller, policy_hash) = (question.caller.as_str(), policy.hash());
        let (verdict, rule_id) = (decision.verdict.as_str(), decision.rule_id());
        measures.policy_decision(action, verdict);
        if decision.verdict == Verdict::Failed
            && let Some(unsaid) = self.shared.failed.now()
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
            && self.shared.policies.mode() == Mode::Observe
            && let Some(unsaid) = self.shared.observed.now()
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
        let Some(candidate) = self.shared.policies.candidate() else { return };
        let other = candidate.decide(question);
        measures.policy_trial(action, verdict, other.verdict.as_str());
        if (other.is_permitted() != decision.is_permitted() || other.verdict == Verdict::Failed)
            && let Some(unsaid) = self.shared.differing.now()
        {
            let (candidate_verdict, candidate_rule_id) = (other.verdict.as_str(), other.rule_id());
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
    }
}

/// What a claim takes from a limit. What is counted stands in the counter's name, so that a limit
/// that counts something else from now on begins anew.
fn take(taking: Taking<'_>) -> Take {
    let Taking { limit, key, amount } = taking;
    let window = limit.window_seconds.to_string();
    let measure = limit.measure.as_str();
    Take {
        // Both take the same names; should that ever change, it is counted all the same.
        limit: LimitName::new(&limit.name).unwrap_or_else(LimitName::refunds_of_a_charge),
        counter: CounterId::new(["limit", &limit.name, measure, &window, &key]),
        window_ms: limit.window_seconds * 1000,
        quantity: match limit.measure {
            Measure::Count => Quantity::One,
            Measure::Amount => Quantity::Amount(amount),
        },
        most: limit.most,
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

/// What the policy may look at of a token to be saved: nothing of the card or the account.
pub(super) fn of_tokenize(command: &TokenizeCommand) -> Fields<'_> {
    let method = match command.payment_method {
        PaymentMethod::Card(_) => "card",
        PaymentMethod::BankAccount(_) => "bank_account",
    };
    Fields {
        customer: Some(command.customer_id.as_str()),
        method: Some(method),
        actor: command.actor.as_ref().map(|actor| actor.as_str()),
        ..Fields::default()
    }
}

pub(super) fn of_charge(command: &ChargeCommand) -> Fields<'_> {
    Fields {
        reference: Some(command.reference.as_str()),
        amount: Some(command.amount),
        customer: Some(command.customer_id.as_str()),
        token: Some(command.payment_token_id.as_str()),
        initiator: Some(command.initiator),
        actor: command.actor.as_ref().map(|actor| actor.as_str()),
        ..Fields::default()
    }
}

/// A refund of all that is left is taken as one of the whole charge, which it cannot exceed.
pub(super) fn of_refund(
    command: &RefundCommand,
    charge: ChargeFacts,
    now: jiff::Timestamp,
) -> Fields<'_> {
    let age = |made: jiff::Timestamp| now.as_second().saturating_sub(made.as_second()).max(0);
    let charge_of = ChargeOf {
        reference: command.charge_reference.as_str(),
        amount: charge.amount,
        age_seconds: charge.create_time.map(age),
        all_that_is_left: command.amount.is_none(),
    };
    Fields {
        reference: Some(command.reference.as_str()),
        amount: Some(command.amount.unwrap_or(charge.amount)),
        charge: Some(charge_of),
        reason: command.reason.as_ref().map(|reason| reason.as_str()),
        actor: command.actor.as_ref().map(|actor| actor.as_str()),
        ..Fields::default()
    }
}

pub(super) fn of_reference(reference: &Reference) -> Fields<'_> {
    Fields { reference: Some(reference.as_str()), ..Fields::default() }
}

pub(super) fn of_customer(customer: &CustomerId) -> Fields<'_> {
    Fields { customer: Some(customer.as_str()), ..Fields::default() }
}
