//! The owner's work on a payment: look up where an attempt may have arrived, send, look up again
//! after doubt, and store what came of it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::answer::{self, unknown};
use super::execute::{PaymentCall, Start};
use super::lease::Lease;
use super::mutated;
use super::payment::{Found, Payment};
use super::steps::repeated;
use super::{Executed, Shared};
use crate::domain::ExecutionPath;
use crate::error::{Error, MoneyMoved, Reason};
use crate::failpoint::{Point, reach};
use crate::idempotency::{
    Attempt as LoggedAttempt, Class, CompleteAnswer, Doubt, DoubtAnswer, Evidence, Match, Outcome,
    Release, ReleaseAnswer, Source, Stamped, State, Verdict, WhyKept, Work, compare,
};
use crate::mutants::{self, Mutant};
use crate::zentra::{Attempt, Reply, Trouble, TroubleKind};

/// What to do next.
enum Next<T> {
    /// Tell this.
    Answer(Result<Executed<T>, Error>),
    /// Send, once more or for the first time.
    Send,
}

/// The reason for which a refusal is told where the record stays: nobody can say `no` then.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterRefusal {
    /// The same request would be refused again.
    Final,
    /// It may pass later.
    Passing,
}

/// An owner at work.
pub(super) struct Session<'a, P> {
    call: &'a PaymentCall<P>,
    shared: &'a Shared,
    work: Work,
    lease: Lease<'a>,
    key: String,
    began: Instant,
    ambiguous: bool,
    strictly: bool,
    age: Duration,
    posts: u32,
    posts_here: u32,
    log: Vec<LoggedAttempt>,
}

impl<'a, P: Payment> Session<'a, P> {
    pub(super) fn new(call: &'a PaymentCall<P>, work: Work, claimed_at: Instant) -> Self {
        let shared: &Shared = &call.engine.shared;
        let digest = work.subject.digest;
        let lease = Lease::new(shared, digest, work.fence, claimed_at);
        Self {
            call,
            shared,
            work,
            lease,
            key: digest.to_string(),
            began: Instant::now(),
            ambiguous: false,
            strictly: false,
            age: Duration::ZERO,
            posts: 0,
            posts_here: 0,
            log: Vec::new(),
        }
    }

    /// Works until there is something to tell.
    pub(super) async fn run(mut self, start: Start) -> Result<Executed<P::Value>, Error> {
        self.call.progress.at_zentra();
        reach(Point::AfterClaim).await;
        self.ambiguous = start.ambiguous;
        self.strictly = start.strictly;
        self.age = start.age;
        self.posts = start.posts;
        let looks_up = !mutants::is_on(Mutant::NoLookUpBeforeResend) || start.strictly;
        if start.look_up_first
            && looks_up
            && let Next::Answer(answer) = self.look_up().await
        {
            return answer;
        }
        if start.look_up_only {
            return self
                .give_up(unknown(false, "nothing was found, and nothing may be sent"))
                .await;
        }
        if self.ambiguous && self.age + self.began.elapsed() > self.shared.settings.resend_window {
            return self.give_up(Error::new(Reason::OutcomeUnresolved)).await;
        }
        let mut pause = self.shared.settings.look_up_pause;
        loop {
            let out_of_posts = self.posts_here >= self.shared.settings.posts_per_call;
            if out_of_posts || Instant::now() >= self.call.answer_by {
                return self.out_of_time().await;
            }
            if let Next::Answer(answer) = self.post(&mut pause).await {
                return answer;
            }
        }
    }

    /// Looks the payment up by its reference; `Send` where nothing was found.
    async fn look_up(&mut self) -> Next<P::Value> {
        let payment = &self.call.payment;
        if payment.reference().is_none() {
            // Only its caller can send it again, under the same key.
            return Next::Send;
        }
        let look = payment.look_up(&self.shared.zentra, self.strictly);
        match self.lease.while_held(look).await {
            Ok(Found::Same(reply)) => {
                self.note("look-up", "found", &reply.request_id, false);
                Next::Answer(self.complete(reply, ExecutionPath::Recovered).await)
            }
            Ok(Found::Other(reply)) => {
                self.note("look-up", "found another", &reply.request_id, false);
                Next::Answer(self.contradict(&reply.value).await)
            }
            Ok(Found::Nothing) if mutants::is_on(Mutant::AbsentIsProof) => {
                let error = Error::new(Reason::UpstreamUnreachable);
                Next::Answer(Err(error.money_moved(MoneyMoved::No)))
            }
            Ok(Found::Nothing) => {
                self.note("look-up", "not found", &None, false);
                Next::Send
            }
            Ok(Found::Untold) => {
                self.note("look-up", "cannot tell", &None, false);
                let error = Error::new(Reason::OutcomeUnresolved).sent(self.posts_here > 0);
                Next::Answer(self.give_up(error).await)
            }
            Err(trouble) => {
                self.note("look-up", &trouble.detail, &trouble.provider.request_id, false);
                let sent = self.posts_here > 0;
                let error = answer::noted(unknown(sent, "the look-up failed"), &trouble);
                Next::Answer(self.give_up(error).await)
            }
        }
    }

    /// One POST, and what its answer asks for.
    async fn post(&mut self, pause: &mut Duration) -> Next<P::Value> {
        let key = mutated::key(&self.key, self.work.fence.epoch, self.log.len());
        let idempotency_key = key.as_deref().unwrap_or(&self.key);
        let no_fence = mutated::fence();
        let fence = no_fence.as_ref().unwrap_or(self.lease.send_fence());
        let attempt = Attempt { idempotency_key, fence };
        let post = self.call.payment.send(&self.shared.zentra, attempt);
        let result = self.lease.while_held(post).await;
        reach(Point::AfterAnswer).await;
        let trouble = match result {
            Ok(reply) => {
                self.posted("answered", &reply.request_id);
                return Next::Answer(self.complete(reply, ExecutionPath::Direct).await);
            }
            Err(trouble) => trouble,
        };
        match trouble.kind {
            TroubleKind::NotSent | TroubleKind::LeaseOver => {
                self.note("POST", &trouble.detail, &None, false);
            }
            _ => self.posted(&trouble.detail, &trouble.provider.request_id),
        }
        match trouble.kind {
            TroubleKind::LeaseOver if self.lease.renew().await => Next::Send,
            TroubleKind::LeaseOver => {
                Next::Answer(self.give_up(unknown(self.posts_here > 0, "the lease was lost")).await)
            }
            TroubleKind::Doubt if mutants::is_on(Mutant::ClaimFreedOnTimeout) => {
                Next::Answer(self.release(unknown(true, "a mutant")).await)
            }
            TroubleKind::Doubt if mutated::is_failure(&trouble) => {
                Next::Answer(self.refused(&trouble, AfterRefusal::Passing).await)
            }
            TroubleKind::Doubt => self.after_doubt(&trouble, pause).await,
            TroubleKind::InProgress => self.after_in_progress(&trouble).await,
            TroubleKind::Conflict => Next::Answer(self.contradicted(&trouble).await),
            TroubleKind::Declined(code) if !self.ambiguous => {
                match self.call.payment.declined(code) {
                    Some(value) => {
                        let request_id = trouble.provider.request_id.clone();
                        Next::Answer(self.complete_decline(Reply { value, request_id }).await)
                    }
                    None => Next::Answer(self.refused(&trouble, AfterRefusal::Final).await),
                }
            }
            TroubleKind::NotSent | TroubleKind::RateLimited(_) | TroubleKind::Unauthorized => {
                Next::Answer(self.refused(&trouble, AfterRefusal::Passing).await)
            }
            TroubleKind::Declined(_)
            | TroubleKind::NotFound
            | TroubleKind::Rejected
            | TroubleKind::TokenNotReady
            | TroubleKind::DuplicateReference
            | TroubleKind::KeyReused => {
                Next::Answer(self.refused(&trouble, AfterRefusal::Final).await)
            }
        }
    }

    /// Bytes may have left: remember that, wait a little, look up, and only then send again.
    async fn after_doubt(&mut self, trouble: &Trouble, pause: &mut Duration) -> Next<P::Value> {
        self.ambiguous = true;
        let next_look = Instant::now() + *pause;
        *pause *= 2;
        if next_look >= self.call.answer_by {
            let error = unknown(true, trouble.detail.as_ref());
            return Next::Answer(self.give_up(answer::noted(error, trouble)).await);
        }
        self.doubt(false, false).await;
        self.lease.while_held(sleep_until(next_look)).await;
        if mutants::is_on(Mutant::NoLookUpBeforeResend) {
            return Next::Send;
        }
        self.look_up().await
    }

    /// An attempt of an earlier owner, or of an earlier life, is at work: look until it is found
    /// or the time is over. It is never sent again from here.
    async fn after_in_progress(&mut self, trouble: &Trouble) -> Next<P::Value> {
        self.ambiguous = true;
        let mut pause = self.shared.settings.look_up_pause;
        loop {
            let next_look = Instant::now() + pause;
            pause *= 2;
            if next_look >= self.call.answer_by || self.call.payment.reference().is_none() {
                let error = unknown(true, "Zentra is at work on the same key");
                let error = answer::noted(error, trouble);
                return Next::Answer(self.give_up(error).await);
            }
            self.lease.while_held(sleep_until(next_look)).await;
            if let Next::Answer(answer) = self.look_up().await {
                return Next::Answer(answer);
            }
        }
    }

    /// Nothing of this attempt happened. Where nothing of another can have happened either, the
    /// record goes and the caller may hear `no`; else only a look-up can tell.
    async fn refused(
        &mut self,
        trouble: &Trouble,
        after: AfterRefusal,
    ) -> Result<Executed<P::Value>, Error> {
        let error = answer::refused(trouble);
        if !self.ambiguous || mutants::is_on(Mutant::ReleaseOfAmbiguous) {
            let released = self.release(error).await;
            return match trouble.kind {
                // Zentra has seen this key with another content, as after a loss of the store:
                // that payment of the key may have been made.
                TroubleKind::KeyReused => {
                    released.map_err(|error| error.money_moved(MoneyMoved::Unknown))
                }
                _ => released,
            };
        }
        if trouble.kind != TroubleKind::NotSent
            && let Next::Answer(answer) = self.look_up().await
        {
            return answer;
        }
        match (trouble.kind, after) {
            // The reference is taken, but not found: it is on its way.
            (TroubleKind::DuplicateReference, _) | (_, AfterRefusal::Passing) => {
                let error = unknown(self.posts_here > 0, trouble.detail.as_ref());
                self.give_up(answer::noted(error, trouble)).await
            }
            (TroubleKind::KeyReused, AfterRefusal::Final) => self.end_in_doubt(error, true).await,
            (_, AfterRefusal::Final) => {
                let rejected = Error::new(Reason::UpstreamRejected).sent(true);
                self.end_in_doubt(answer::noted(rejected, trouble), true).await
            }
        }
    }

    /// The call's posts or its time are used up.
    async fn out_of_time(&mut self) -> Result<Executed<P::Value>, Error> {
        if self.ambiguous {
            return self.give_up(unknown(self.posts_here > 0, "no time for another try")).await;
        }
        self.release(Error::new(Reason::DeadlineTooShort)).await
    }

    /// Forgets the payment. Only a release that the store confirmed lets the caller hear `no`;
    /// where it is not, the same key finds out.
    async fn release(&mut self, error: Error) -> Result<Executed<P::Value>, Error> {
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
            }) => {
                Err(unknown(self.posts_here > 0, format!("not released ({why:?}): {error}")))
            }
            Ok(stamped) => {
                let why = format!("not released ({:?}): {error}", stamped.answer);
                self.give_up(unknown(self.posts_here > 0, why)).await
            }
            Err(fault) => Err(unknown(self.posts_here > 0, format!("not released ({fault})"))),
        }
    }

    /// Ends this call's work on a payment whose outcome it does not know.
    async fn give_up(&mut self, error: Error) -> Result<Executed<P::Value>, Error> {
        self.end_in_doubt(error, false).await
    }

    /// `expires`: nobody is likely to make the payment any more.
    async fn end_in_doubt(
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
    async fn doubt(&mut self, gives_up: bool, expires: bool) -> Option<DoubtAnswer> {
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
    async fn complete(
        &mut self,
        reply: Reply<P::Value>,
        path: ExecutionPath,
    ) -> Result<Executed<P::Value>, Error> {
        let outcome = self.call.payment.outcome(&reply.value);
        let mut evidence = self.evidence(Verdict::Outcome(outcome));
        if self.call.payment.has_own_reference(&reply.value) {
            let kept_ms = self.shared.settings.own_reference_retention.as_millis();
            let kept_ms = u64::try_from(kept_ms).unwrap_or(u64::MAX);
            evidence.periods.retention_ms = evidence.periods.retention_ms.max(kept_ms);
        }
        let answer = repeated(|| self.shared.store.complete(&evidence)).await;
        reach(Point::AfterComplete).await;
        let posts = match answer.map(|stamped| stamped.answer) {
            Ok(CompleteAnswer::Stored { posts }) => posts,
            Ok(CompleteAnswer::Kept { record }) => {
                // The stored outcome is as new or newer.
                let replayed = self.shared.replay(&self.call.payment, &record)?;
                let request_id = reply.request_id;
                return Ok(self.shared.executed(replayed.value, record.posts, path, request_id));
            }
            Ok(CompleteAnswer::Conflict { .. }) => {
                return Err(Error::new(Reason::OutcomeConflict).sent(self.posts_here > 0));
            }
            Ok(
                CompleteAnswer::NotProof { .. }
                | CompleteAnswer::Absent
                | CompleteAnswer::TooNew { .. },
            ) => self.posts,
            Err(fault) => {
                let reference = self.work.subject.reference.as_ref().map(ToString::to_string);
                tracing::error!(reference, %fault, "the outcome of a payment was not stored");
                self.posts
            }
        };
        Ok(self.shared.executed(reply.value, posts, path, reply.request_id))
    }

    /// A decline without an object counts only where the store confirms that no other attempt
    /// can have arrived.
    async fn complete_decline(
        &mut self,
        reply: Reply<P::Value>,
    ) -> Result<Executed<P::Value>, Error> {
        let verdict = Verdict::Outcome(self.call.payment.outcome(&reply.value));
        let evidence = self.evidence(verdict);
        let answer = repeated(|| self.shared.store.complete(&evidence)).await;
        match answer.map(|stamped| stamped.answer) {
            Ok(CompleteAnswer::Stored { posts }) => Ok(self.shared.executed(
                reply.value,
                posts,
                ExecutionPath::Direct,
                reply.request_id,
            )),
            Ok(CompleteAnswer::Kept { record }) => self.shared.replay(&self.call.payment, &record),
            Ok(CompleteAnswer::Conflict { .. }) => {
                Err(Error::new(Reason::OutcomeConflict).sent(true))
            }
            Ok(_) => Err(unknown(true, "declined, but another attempt may have arrived")),
            Err(fault) => Err(unknown(true, format!("declined, but not stored ({fault})"))),
        }
    }

    /// Zentra's answer to the POST is not what was asked for.
    async fn contradicted(&mut self, trouble: &Trouble) -> Result<Executed<P::Value>, Error> {
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
    async fn contradict(&mut self, found: &P::Value) -> Result<Executed<P::Value>, Error> {
        let contrary = self.call.payment.outcome(found);
        self.store_contradiction(contrary).await;
        Err(Error::new(Reason::OutcomeConflict)
            .sent(self.posts_here > 0)
            .operator_text("a look-up found another payment under this reference"))
    }

    async fn store_contradiction(&mut self, contrary: Outcome) {
        let evidence = self.evidence(Verdict::Contradiction(contrary));
        if let Err(fault) = repeated(|| self.shared.store.complete(&evidence)).await {
            let reference = self.work.subject.reference.as_ref().map(ToString::to_string);
            tracing::error!(reference, %fault, "a contradiction was not stored");
        }
    }

    fn evidence(&self, verdict: Verdict) -> Evidence {
        Evidence {
            source: Source::Owner(self.work.clone()),
            verdict,
            attempts: self.log.clone(),
            next_check_after_ms: self.call.engine.reconcile_after_ms(),
            periods: self.shared.settings.periods,
        }
    }

    fn posted(&mut self, what: &str, request_id: &Option<crate::domain::ProviderText>) {
        self.posts += 1;
        self.posts_here += 1;
        self.note("POST", what, request_id, true);
    }

    /// A line of the record's log: when, what, what came of it, Zentra's id of the request.
    fn note(
        &mut self,
        what: &str,
        result: &str,
        request_id: &Option<crate::domain::ProviderText>,
        is_post: bool,
    ) {
        let now = self.shared.clock.now();
        let epoch = self.work.fence.epoch;
        let number = self.log.len() + 1;
        let request_id = request_id.as_ref().map_or("-", |id| id.as_str());
        let line = format!("{now} {epoch}.{number} {what}: {result} ({request_id})");
        self.log.push(LoggedAttempt::new(&line, is_post));
    }
}
