//! A payment as its record tells it, for lines of the audit log that no call of its own writes.

use super::{KeptCommand, came};
use crate::domain::{Caller, ProviderText, Reference};
use crate::engine::News;
use crate::error::MoneyMoved;
use crate::idempotency::{Class, Outcome, Record, StoreError, Verdict};
use crate::telemetry::audit::{Mover, Recorded};
use crate::telemetry::{Asked, Came, Measures, PolicyNote, Telemetry};

/// What the audit log is told of a record.
pub(crate) struct Audited<'a> {
    caller: &'a Caller,
    digest: String,
    asked: Asked,
    policy: Option<PolicyNote>,
    outcome: Option<&'a Outcome>,
    came: Option<Came>,
}

impl<'a> Audited<'a> {
    /// The payment of `record`, and what was found out about it.
    pub(crate) fn new(record: &'a Record, outcome: Option<&'a Outcome>) -> Self {
        let subject = &record.subject;
        let command = subject.command.as_deref().and_then(KeptCommand::read);
        let policy = command.as_ref().and_then(KeptCommand::policy);
        let asked = match command {
            Some(command) => command.asked(subject.operation),
            None => Asked::nothing(subject.operation),
        };
        let asked = Asked { reference: subject.reference.clone(), ..asked };
        let came = outcome.and_then(|outcome| came(subject.operation, outcome));
        let digest = subject.digest.to_string();
        Self { caller: &subject.caller, digest, asked, policy, outcome, came }
    }

    /// Counts what the outcome, which a look-up or a read has found, is news of. `before` is the kind
    /// of the one that it has replaced.
    pub(crate) fn count(&self, measures: &Measures, before: Option<Class>) {
        if let (Some(outcome), Some(came)) = (self.outcome, &self.came) {
            let news = News { operation: self.asked.operation, class: outcome.class, before };
            news.count(measures, came);
        }
        if before.is_none() {
            // Nobody knew what had become of it; one that was pending was never lost.
            measures.recovered(self.asked.operation);
        }
    }

    /// Tells of what Zentra has shown where the store did not confirm that it has it. It may have:
    /// whoever looks next then finds nothing new, and tells of nothing. Money is not counted, as it
    /// would be twice where it has not.
    pub(crate) fn unconfirmed(
        &self,
        telemetry: &Telemetry,
        mover: Mover,
        verdict: &Verdict,
        request_id: Option<&ProviderText>,
        fault: &StoreError,
    ) {
        let reference = self.asked.reference.as_ref().map(Reference::as_str);
        let recorded = match verdict {
            Verdict::Outcome(_) => {
                tracing::error!(reference, %fault, "the outcome of a payment was not stored");
                telemetry.measures().outcome_not_stored(self.asked.operation);
                self.known(request_id)
            }
            Verdict::Contradiction(_) => {
                tracing::error!(reference, %fault, "a contradiction was not stored");
                self.unknown("CONFLICT", request_id)
            }
        };
        telemetry.audit().moved_unconfirmed(mover, recorded);
    }

    /// The line's part about the payment, as it stands now.
    pub(crate) fn known<'b>(&'b self, request_id: Option<&'b ProviderText>) -> Recorded<'b> {
        let class = self.outcome.map(|it| it.class);
        let money_moved = match (class, &self.came) {
            (Some(Class::NotHappened), _) => MoneyMoved::No,
            (_, Some(came)) => came.money_moved(),
            (_, None) => MoneyMoved::Unknown,
        };
        let word = self.came.as_ref().map(|came| came.status);
        let outcome = word.or(class.map(Class::as_str)).unwrap_or("UNKNOWN");
        let moved = self.came.as_ref().and_then(|came| came.moved);
        Recorded { money_moved, moved, ..self.recorded(outcome, request_id) }
    }

    /// The same, where it is not known whether money moved.
    pub(crate) fn unknown<'b>(
        &'b self,
        outcome: &'b str,
        request_id: Option<&'b ProviderText>,
    ) -> Recorded<'b> {
        self.recorded(outcome, request_id)
    }

    fn recorded<'b>(
        &'b self,
        outcome: &'b str,
        request_id: Option<&'b ProviderText>,
    ) -> Recorded<'b> {
        Recorded {
            caller: self.caller,
            digest: &self.digest,
            asked: &self.asked,
            outcome,
            provider_id: self.outcome.and_then(|it| it.provider_id.as_deref()),
            provider_request_id: request_id.map(ProviderText::as_str),
            money_moved: MoneyMoved::Unknown,
            moved: None,
            policy: self.policy.as_ref(),
        }
    }
}
