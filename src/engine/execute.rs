//! One call's way to its payment: claim it, wait for whoever has it, or make it.

use std::time::Duration;

use opentelemetry::context::FutureExt as _;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::answer::{key_reused, limit_full, reference_taken, stopped, store_failed, unknown};
use super::attempts::Session;
use super::payment::Payment;
use super::progress::Progress;
use super::steps::repeated;
use super::untold::Untold;
use super::{Engine, Executed, Terms};
use crate::admission::Admitted;
use crate::domain::Caller;
use crate::error::{Error, MoneyMoved, Reason};
use crate::failpoint::{Point, reach};
use crate::idempotency::{
    Claim, ClaimAnswer, Fence, Fingerprint, KeyDigest, OwnerId, Record, Release, Scope, Stamped,
    Subject, Waiter, Work,
};
use crate::mutants::{self, Mutant};
use crate::telemetry::audit::Promised;
use crate::telemetry::trace::current_traceparent;

impl Engine {
    /// Makes the payment, or finds what became of it.
    ///
    /// The work goes on to its end whatever becomes of the caller; a caller that hangs up drops
    /// only the waiting. `terms` hold unless a record says otherwise: an existing payment beats
    /// every refusal and every limit. `admitted` is the call's place, held until the work has
    /// ended.
    ///
    /// # Errors
    /// The table in docs/ERRORS.md.
    pub async fn execute<P: Payment>(
        &self,
        caller: &Caller,
        answer_by: Instant,
        payment: P,
        terms: Terms,
        admitted: Admitted,
    ) -> Result<Executed<P::Value>, Error> {
        let reference = payment.reference().cloned();
        let named = |error: Error| match &reference {
            Some(reference) => error.reference(reference.as_str()),
            None => error,
        };
        let progress = Progress::of(admitted);
        let asked = payment.asked();
        let call = PaymentCall::new(self, caller, answer_by, payment, terms, progress.clone());
        let telemetry = self.telemetry().clone();
        let digest = call.subject.digest;
        let untold = Untold::new(telemetry, caller.clone(), digest, asked, progress.clone());
        // It takes the caller's trace along, and outlives the caller.
        let context = untold.context();
        let work = async move {
            let result = call.run().await;
            untold.tell::<P>(&result);
            result
        };
        // The work's, at its end.
        Promised::promise();
        let task = self.shared.work.spawn(work.with_context(context));
        match timeout_at(answer_by, task).await {
            Ok(Ok(result)) => result.map_err(|error| named(error).audited()),
            Ok(Err(_)) => Err(named(progress.broken_off().0).audited()),
            // The work goes on, and tells the audit log what it came to.
            Err(_) => Err(named(progress.late()).audited()),
        }
    }
}

/// Of a key without a record: where the store remembers, it never made a payment.
fn unless_lost(look_ups_first: bool) -> MoneyMoved {
    if look_ups_first { MoneyMoved::Unknown } else { MoneyMoved::No }
}

/// Why a call that was refused nothing has no payment all the same.
fn nothing_begun(has_waited: bool) -> Error {
    match has_waited {
        true => Error::new(Reason::IdempotencyInProgress)
            .operator_text("the call that was waited for ended without a payment"),
        // No other call has been seen: it is the store that has not served this one.
        false => Error::new(Reason::IdempotencyStoreUnavailable)
            .operator_text("the claim's answer was lost, and its repeat began nothing"),
    }
}

/// How an owner begins.
pub(super) struct Start {
    /// Nothing is sent before a look-up.
    pub(super) look_up_first: bool,
    /// Nothing is sent at all, as the caller would be refused.
    pub(super) look_up_only: bool,
    /// An attempt may have arrived.
    pub(super) ambiguous: bool,
    /// It was another owner's, and may be on its way still.
    pub(super) is_takeover: bool,
    /// The store has lost its memory: what is found must be the same in every respect.
    pub(super) strictly: bool,
    /// How long ago the payment was first claimed.
    pub(super) age: Duration,
    /// POSTs of earlier owners.
    pub(super) posts: u32,
}

/// One call, as its own task.
pub(super) struct PaymentCall<P> {
    pub(super) engine: Engine,
    pub(super) payment: P,
    pub(super) subject: Subject,
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) answer_by: Instant,
    pub(super) progress: Progress,
    pub(super) terms: Terms,
}

impl<P: Payment> PaymentCall<P> {
    fn new(
        engine: &Engine,
        caller: &Caller,
        answer_by: Instant,
        payment: P,
        terms: Terms,
        progress: Progress,
    ) -> Self {
        let shared = &engine.shared;
        let operation = payment.operation();
        let scope =
            Scope { account: &shared.account, environment: shared.environment, caller, operation };
        let subject = Subject {
            digest: KeyDigest::new(scope, payment.idempotency_key()),
            caller: caller.clone(),
            operation,
            reference: payment.reference().cloned(),
            command: payment.kept(),
            trace_context: current_traceparent(),
        };
        let fingerprints = shared.keys.fingerprints(&payment.canonical());
        let engine = engine.clone();
        Self { engine, payment, subject, fingerprints, answer_by, progress, terms }
    }

    async fn run(self) -> Result<Executed<P::Value>, Error> {
        let mut waiter: Option<Waiter> = None;
        // Once it has waited for another call, this one never begins the payment anew: where the
        // record is gone, the other was refused and its caller has heard so.
        let mut has_waited = false;
        loop {
            let owner = OwnerId::new(rand::random());
            reach(Point::BeforeClaim).await;
            // Before the claim leaves: the lease must be over here before it is over there.
            let claimed_at = Instant::now();
            let Stamped { now_ms, answer } = self.claim(owner, has_waited).await?;
            let held = |epoch| (Fence { owner, epoch }, claimed_at);
            match answer {
                ClaimAnswer::Run { epoch, look_up_first, first_sent_ms, over } => {
                    self.tell_over(&over);
                    let look_up_first = look_up_first && !mutants::is_on(Mutant::NoCanary);
                    let start = Start {
                        look_up_first,
                        look_up_only: false,
                        ambiguous: look_up_first,
                        is_takeover: false,
                        strictly: look_up_first,
                        age: Duration::from_millis(now_ms.saturating_sub(first_sent_ms)),
                        posts: 0,
                    };
                    let subject = self.subject.clone();
                    return self.session(held(epoch), first_sent_ms, subject).run(start).await;
                }
                ClaimAnswer::Recover { epoch, record, is_stopped, .. } => {
                    // Not its own, of which a lost answer has told nothing.
                    if epoch > 1 {
                        self.links_to(&record, "recovery");
                        self.was_begun(&record);
                    }
                    // It has the payment, and may not be refused any more.
                    if self.progress.admitted().works().is_err() {
                        let place = self.progress.admitted().works_when_it_can();
                        let _ = timeout_at(self.answer_by, place).await;
                    }
                    let start = Start {
                        look_up_first: true,
                        look_up_only: is_stopped || self.terms.refusal.is_some(),
                        ambiguous: true,
                        is_takeover: true,
                        strictly: record.born_ambiguous,
                        age: Duration::from_millis(now_ms.saturating_sub(record.first_sent_ms)),
                        posts: record.posts,
                    };
                    // As it was begun: a store that has lost the record gets it back so.
                    let Record { subject, first_sent_ms, .. } = *record;
                    return self.session(held(epoch), first_sent_ms, subject).run(start).await;
                }
                ClaimAnswer::Busy { lease_left_ms } => {
                    if !has_waited {
                        let measures = self.engine.telemetry().measures();
                        measures.waited(self.subject.operation);
                    }
                    self.progress.waiting();
                    has_waited = true;
                    self.wait(&mut waiter, lease_left_ms).await?;
                }
                ClaimAnswer::Refused { .. } if self.terms.refusal.is_none() => {
                    return Err(nothing_begun(has_waited));
                }
                settled => return self.told(settled),
            }
        }
    }

    /// Leads from this call's trace to the one that began the payment.
    fn links_to(&self, record: &Record, why: &'static str) {
        self.engine.telemetry().tracer().link_current(&record.subject.trace_context, why);
    }

    /// The payment was begun by the call that its record keeps, which need not have been this one.
    pub(super) fn was_begun(&self, record: &Record) {
        let kept = record.subject.command.as_deref();
        self.progress.was_begun(kept.map(P::beginning).unwrap_or_default());
    }

    /// The answers that need no work.
    fn told(&self, answer: ClaimAnswer) -> Result<Executed<P::Value>, Error> {
        match answer {
            ClaimAnswer::Replay { record } => {
                self.links_to(&record, "replay");
                self.was_begun(&record);
                self.engine.shared.replay(&self.payment, &record)
            }
            ClaimAnswer::KeyReused { record } => {
                self.was_begun(&record);
                Err(key_reused(&record))
            }
            // This key has no record: where the store remembers, it never made a payment.
            ClaimAnswer::ReferenceTaken { outcome, look_ups_first, .. } => {
                Err(reference_taken(outcome.as_ref(), unless_lost(look_ups_first)))
            }
            ClaimAnswer::Refused { look_ups_first } => {
                let lost = look_ups_first && !mutants::is_on(Mutant::NoCanary);
                let refusal = self.terms.refusal.clone();
                let refusal = refusal.unwrap_or_else(|| unknown(false, "refused"));
                Err(refusal.money_moved(unless_lost(lost)))
            }
            ClaimAnswer::Stopped { stop, look_ups_first } => {
                Err(stopped(&stop).money_moved(unless_lost(look_ups_first)))
            }
            ClaimAnswer::Full { full, look_ups_first } => {
                Err(limit_full(&full).money_moved(unless_lost(look_ups_first)))
            }
            ClaimAnswer::Conflict { record } => {
                self.was_begun(&record);
                Err(Error::new(Reason::OutcomeConflict))
            }
            ClaimAnswer::TooNew { version } => Err(Error::new(Reason::RecordTooNew)
                .operator_text(format!("the record's format is {version}"))),
            ClaimAnswer::FingerprintKeyUnknown => {
                Err(Error::new(Reason::IdempotencyStoreUnavailable).operator_text(
                    "the record was signed with a fingerprint key that this process does not have",
                ))
            }
            ClaimAnswer::Run { .. } | ClaimAnswer::Recover { .. } | ClaimAnswer::Busy { .. } => {
                Err(unknown(false, "a claim's answer was not acted on"))
            }
        }
    }

    async fn claim(&self, owner: OwnerId, has_waited: bool) -> Result<Stamped<ClaimAnswer>, Error> {
        let shared = &self.engine.shared;
        let mut claim = Claim {
            subject: self.subject.clone(),
            fingerprints: self.fingerprints.clone(),
            owner,
            refused: self.terms.refusal.is_some() || has_waited,
            takes: self.terms.takes.clone(),
            currency: self.payment.currency(),
            after_loss: shared.settings.after_loss,
            periods: shared.settings.periods,
        };
        let mut result = shared.store.claim(&claim).await;
        if matches!(&result, Err(fault) if fault.may_be_applied()) {
            // The lost answer may have been that another call is at it: from here on this call
            // takes what there is, and begins nothing anew.
            claim.refused = true;
            result = repeated(|| shared.store.claim(&claim)).await;
        }
        if let Err(fault) = &result
            && fault.may_be_applied()
        {
            // The claim may stand, and would keep the caller's retry waiting for a whole lease.
            // It was this call's first, so that nothing can have been sent under it.
            let release = Release {
                digest: self.subject.digest,
                fence: Fence { owner, epoch: 1 },
                look_up_first_ms: shared.settings.periods.look_up_first_ms,
            };
            let _ = shared.store.release(&release).await;
        }
        result.map_err(|fault| store_failed(&fault))
    }

    fn session(
        &self,
        (fence, claimed_at): (Fence, Instant),
        first_sent_ms: u64,
        subject: Subject,
    ) -> Session<'_, P> {
        let work = Work { subject, fingerprints: self.fingerprints.clone(), fence, first_sent_ms };
        Session::new(self, work, claimed_at)
    }

    /// Waits until the payment may have ended. The first time it only begins to listen, so that
    /// no wake-up falls between the claim and the waiting.
    async fn wait(&self, waiter: &mut Option<Waiter>, lease_left_ms: u64) -> Result<(), Error> {
        let shared = &self.engine.shared;
        if Instant::now() >= self.answer_by {
            return Err(Error::new(Reason::IdempotencyInProgress));
        }
        if shared.draining.is_waiting_over() {
            // Whoever serves the caller next finds the same payment.
            return Err(Error::new(Reason::ShuttingDown));
        }
        let check = shared.settings.waiting_check.min(Duration::from_millis(lease_left_ms.max(1)));
        let until = (Instant::now() + check).min(self.answer_by);
        match waiter {
            Some(waiter) => tokio::select! {
                biased;
                () = waiter.woken() => {}
                () = sleep_until(until) => {}
                () = shared.draining.waiting_is_over() => {}
            },
            None => match shared.store.subscribe(&self.subject.digest).await {
                Ok(listening) => *waiter = Some(listening),
                // The slow check does without.
                Err(_) => sleep_until(until).await,
            },
        }
        Ok(())
    }
}
