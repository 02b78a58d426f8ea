//! The end of an owner's work: the payment is released, given up in doubt, or its outcome stored.

use super::Session;
use crate::domain::ExecutionPath;
use crate::engine::answer::{self, unknown};
use crate::engine::payment::Payment;
use crate::engine::steps::repeated;
use crate::engine::{Executed, News};
use crate::error::{Error, MoneyMoved, ProviderNote, Reason};
use crate::failpoint::{Point, reach};
use crate::idempotency::{
    Class, CompleteAnswer, Doubt, DoubtAnswer, Evidence, Match, Outcome, Release, ReleaseAnswer,
    Source, Stamped, State, StoreError, Verdict, WhyKept, compare,
};
use crate::zentra::{Reply, Trouble};

/// Which of Zentra's answers it was.
fn told_by<T>(reply: &Reply<T>) -> ProviderNote {
    ProviderNote { request_id: reply.request_id.clone(), ..ProviderNote::default() }
}

impl<P: Payment> Session<'_, P> {
    /// Forgets the payment. Only a release that the store confirmed lets the caller hear `no`;
    /// where it is not, the same key finds out.
    pub(super) async fn release(&mut self, error: Error) -> Result<Executed<P::Value>, Error> {
        let release = Release {
            digest: self.work.subject.digest,
            fence: self.work.fence,
            look_up_first_ms: self.shared.settings.periods.look_up_first_ms,
        };
        match repeated(|| self.shared.store.release(&release)).await {
            Ok(stamped) if stamped.answer == ReleaseAnswer::Released => {
                Err(error.money_moved(MoneyMoved::No))
            }
            // An earlier try was applied and its answer lost. Doubt would bring the record back,
            // and with it a claim on a reference that may be another key's by now.
            Ok(Stamped {
                answer: ReleaseAnswer::NotReleased(why @ (WhyKept::Gone | WhyKept::Fenced)),
                ..
            }) => Err(unknown(self.posts_here > 0, format!("not released ({why:?}): {error}"))),
            Ok(stamped) => {
                let why = format!("not released ({:?}): {error}", stamped.answer);
                self.give_up(unknown(self.posts_here > 0, why)).await
            }
            Err(fault) => Err(unknown(self.posts_here > 0, format!("not released ({fault})"))),
        }
    }

    /// Ends this call's work on a payment whose outcome it does not know.
    pub(super) async fn give_up(&mut self, error: Error) -> Result<Executed<P::Value>, Error> {
        self.end_in_doubt(error, false).await
    }

    /// `expires`: nobody is likely to make the payment any more.
    pub(super) async fn end_in_doubt(
        &mut self,
        error: Error,
        expires: bool,
    ) -> Result<Executed<P::Value>, Error> {
        match self.doubt(true, expires).await {
            // The key was released, and has been used for something else since.
            Some(DoubtAnswer::Fenced { record })
                if compare(&record.fingerprint, &self.work.fingerprints) == Match::Different =>
            {
                Err(answer::key_reused(&record))
            }
            // Another owner was faster: its outcome is the truth.
            Some(DoubtAnswer::Fenced { record }) if record.state == State::Done => {
                self.shared.replay(&self.call.payment, &record)
            }
            Some(DoubtAnswer::Fenced { record }) if record.state == State::Conflict => {
                Err(Error::new(Reason::OutcomeConflict).sent(self.posts_here > 0))
            }
            _ => Err(error),
        }
    }

    /// Remembers that an attempt may have arrived. Where the store does not answer, the takeover
    /// that ends the lease remembers it.
    pub(super) async fn doubt(&mut self, gives_up: bool, expires: bool) -> Option<DoubtAnswer> {
        let doubt = Doubt {
            work: self.work.clone(),
            attempts: self.log.clone(),
            gives_up,
            expires,
            next_check_after_ms: self.call.engine.reconcile_after_ms(),
            periods: self.shared.settings.periods,
        };
        repeated(|| self.shared.store.doubt(&doubt)).await.ok().map(|stamped| stamped.answer)
    }

    /// Stores an answer of Zentra's. It is the truth, whether the store can be reached or not.
    pub(super) async fn complete(
        &mut self,
        reply: Reply<P::Value>,
        path: ExecutionPath,
    ) -> Result<Executed<P::Value>, Error> {
        let outcome = self.call.payment.outcome(&reply.value);
        let mut evidence = self.evidence(Verdict::Outcome(outcome));
        evidence.amount = self.call.payment.amount(&reply.value);
        if self.call.payment.has_own_reference(&reply.value) {
            let kept_ms = self.shared.settings.own_reference_retention.as_millis();
            let kept_ms = u64::try_from(kept_ms).unwrap_or(u64::MAX);
            evidence.periods.retention_ms = evidence.periods.retention_ms.max(kept_ms);
        }
        let answer = self.store_evidence(&evidence, &reply.value).await;
        reach(Point::AfterComplete).await;
        let posts = match answer {
            Ok(CompleteAnswer::Stored { posts, .. }) => posts,
            Ok(CompleteAnswer::Kept { record }) => {
                // The stored outcome is as new or newer.
                let replayed = self.shared.replay(&self.call.payment, &record)?;
                let request_id = reply.request_id;
                return Ok(self.shared.executed(replayed.value, record.posts, path, request_id));
            }
            Ok(CompleteAnswer::Conflict { .. }) => {
                let error = Error::new(Reason::OutcomeConflict).sent(self.posts_here > 0);
                return Err(error.provider(told_by(&reply)));
            }
            Ok(
                CompleteAnswer::NotProof { .. }
                | CompleteAnswer::Absent
                | CompleteAnswer::TooNew { .. },
            ) => self.posts,
            Err(fault) => {
                let reference = self.work.subject.reference.as_ref().map(ToString::to_string);
                tracing::error!(reference, %fault, "the outcome of a payment was not stored");
                let operation = self.work.subject.operation;
                self.shared.telemetry.measures().outcome_not_stored(operation);
                self.posts
            }
        };
        Ok(self.shared.executed(reply.value, posts, path, reply.request_id))
    }

    /// A decline without an object counts only where the store confirms that no other attempt
    /// can have arrived.
    pub(super) async fn complete_decline(
        &mut self,
        reply: Reply<P::Value>,
    ) -> Result<Executed<P::Value>, Error> {
        let verdict = Verdict::Outcome(self.call.payment.outcome(&reply.value));
        let evidence = self.evidence(verdict);
        match self.store_evidence(&evidence, &reply.value).await {
            Ok(CompleteAnswer::Stored { posts, .. }) => Ok(self.shared.executed(
                reply.value,
                posts,
                ExecutionPath::Direct,
                reply.request_id,
            )),
            Ok(CompleteAnswer::Kept { record }) => self.shared.replay(&self.call.payment, &record),
            Ok(CompleteAnswer::Conflict { .. }) => {
                Err(Error::new(Reason::OutcomeConflict).sent(true).provider(told_by(&reply)))
            }
            Ok(_) => Err(unknown(true, "declined, but another attempt may have arrived")),
            Err(fault) => Err(unknown(true, format!("declined, but not stored ({fault})"))),
        }
    }

    /// Zentra's answer to the POST is not what was asked for.
    pub(super) async fn contradicted(
        &mut self,
        trouble: &Trouble,
    ) -> Result<Executed<P::Value>, Error> {
        let contrary = Outcome {
            payload: bytes::Bytes::new(),
            provider_id: None,
            class: Class::Succeeded,
            phase: 0,
        };
        let error = answer::noted(Error::new(Reason::OutcomeConflict).sent(true), trouble);
        self.store_contradiction(contrary).await;
        Err(error)
    }

    /// Something else stands under the payment's name.
    pub(super) async fn contradict(
        &mut self,
        found: &Reply<P::Value>,
    ) -> Result<Executed<P::Value>, Error> {
        let contrary = self.call.payment.outcome(&found.value);
        self.store_contradiction(contrary).await;
        Err(Error::new(Reason::OutcomeConflict)
            .sent(self.posts_here > 0)
            .provider(told_by(found))
            .operator_text("a look-up found another payment under this reference"))
    }

    async fn store_contradiction(&mut self, contrary: Outcome) {
        let evidence = self.evidence(Verdict::Contradiction(contrary));
        if let Err(fault) = repeated(|| self.shared.store.complete(&evidence)).await {
            let reference = self.work.subject.reference.as_ref().map(ToString::to_string);
            tracing::error!(reference, %fault, "a contradiction was not stored");
        }
    }

    /// Stores an outcome, and counts what it ended and moved, once: a first try may have been
    /// applied although its answer was lost.
    async fn store_evidence(
        &mut self,
        evidence: &Evidence,
        value: &P::Value,
    ) -> Result<CompleteAnswer, StoreError> {
        let mut tries = 0;
        let answer = repeated(|| {
            tries += 1;
            self.shared.store.complete(evidence)
        });
        let answer = answer.await?.answer;
        let Verdict::Outcome(outcome) = &evidence.verdict else { return Ok(answer) };
        let before = match &answer {
            CompleteAnswer::Stored { before, .. } => *before,
            CompleteAnswer::Kept { record }
                if tries > 1
                    && record.is_held_by(self.work.fence)
                    && record.outcome.as_ref() == Some(outcome) =>
            {
                None
            }
            _ => return Ok(answer),
        };
        let news = News { operation: self.work.subject.operation, class: outcome.class, before };
        news.count(self.shared.telemetry.measures(), &P::came(value));
        Ok(answer)
    }

    fn evidence(&self, verdict: Verdict) -> Evidence {
        Evidence {
            source: Source::Owner(self.work.clone()),
            verdict,
            amount: None,
            attempts: self.log.clone(),
            next_check_after_ms: self.call.engine.reconcile_after_ms(),
            periods: self.shared.settings.periods,
        }
    }
}
