//! The owner's work on a payment: look up where an attempt may have arrived, send, look up again
//! after doubt, and store what came of it.

mod ending;
mod stops;

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::answer::{self, unknown};
use super::execute::{PaymentCall, Start};
use super::lease::Lease;
use super::mutated;
use super::payment::{Found, Payment};
use super::{Executed, Shared};
use crate::domain::ExecutionPath;
use crate::error::{Error, MoneyMoved, Reason};
use crate::failpoint::{Point, reach};
use crate::idempotency::{Attempt as LoggedAttempt, DoubtAnswer, Work};
use crate::mutants::{self, Mutant};
use crate::upstream::{Repeated, Tries};
use crate::zentra::{Attempt, Reply, Trouble, TroubleKind, Zentra};

/// What is kept of the caller's time, at most, to store and tell that nothing was sent.
const TIME_TO_TELL: Duration = Duration::from_millis(50);
/// And at most this share of it.
const SHARE_TO_TELL: u32 = 4;

/// How long a pause goes on, at most, once the process is about to end.
const PAUSE_AT_THE_END: Duration = Duration::from_secs(1);

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
    /// Zentra for payments, while there is time for an answer.
    zentra: Zentra,
    /// Zentra for what became of them.
    looking_up: Zentra,
    key: String,
    began: Instant,
    ambiguous: bool,
    is_takeover: bool,
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
        let now = Instant::now();
        let time_left = call.answer_by.saturating_duration_since(now);
        let send_by = call.answer_by - (time_left / SHARE_TO_TELL).min(TIME_TO_TELL);
        let zentra = shared.zentra.by(send_by);
        let looking_up = zentra.looking_up();
        Self {
            call,
            shared,
            work,
            lease,
            zentra,
            looking_up,
            key: digest.to_string(),
            began: Instant::now(),
            ambiguous: false,
            is_takeover: false,
            strictly: false,
            age: Duration::ZERO,
            posts: 0,
            posts_here: 0,
            log: Vec::new(),
        }
    }

    /// Works until there is something to tell. An error says how many POSTs there were, and what
    /// Zentra said last.
    pub(super) async fn run(mut self, start: Start) -> Result<Executed<P::Value>, Error> {
        let result = self.work(start).await;
        result.map_err(|error| self.call.progress.note(error))
    }

    async fn work(&mut self, start: Start) -> Result<Executed<P::Value>, Error> {
        self.call.progress.at_zentra(start.posts);
        reach(Point::AfterClaim).await;
        self.ambiguous = start.ambiguous;
        self.is_takeover = start.is_takeover;
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
        // Before the refusal: that one passes, and this does not.
        if self.may_never_post_again() {
            return self.unresolved().await;
        }
        if start.look_up_only {
            return self
                .give_up(unknown(false, "nothing was found, and nothing may be sent"))
                .await;
        }
        let mut pause = self.shared.settings.look_up_pause;
        let mut is_claim_fresh = !start.look_up_first;
        loop {
            if self.may_post_no_more() {
                return self.out_of_time().await;
            }
            if !std::mem::take(&mut is_claim_fresh)
                && let Some(why) = self.stopped_meanwhile().await
            {
                return self.give_up(why).await;
            }
            // Waits may have taken it past the window.
            if self.may_never_post_again() {
                return self.unresolved().await;
            }
            if self.posts_here > 0
                && let Err(why) = self.pay_for_repeat()
            {
                return self.give_up(why).await;
            }
            if let Next::Answer(answer) = self.post(&mut pause).await {
                return answer;
            }
        }
    }

    /// How often the way to Zentra may try by itself what provably was not processed. After a
    /// doubtful POST, whoever's, each further one follows a look-up of its own.
    fn tries_without_a_look(&self) -> u32 {
        if self.ambiguous && (self.posts_here > 0 || self.is_takeover) {
            return 1;
        }
        self.shared.settings.posts_per_call.saturating_sub(self.posts_here)
    }

    /// Pays for one more POST, where it would leave.
    fn pay_for_repeat(&self) -> Result<(), Error> {
        if let Some(wait) = self.shared.zentra.refuses_for() {
            let error = unknown(true, "nothing is sent while the circuit is open");
            return Err(error.asked_to_wait(Some(wait)));
        }
        match self.shared.zentra.pays_for_repeat() {
            true => Ok(()),
            false => Err(unknown(true, "repeats have used up their share of the traffic")),
        }
    }

    /// Zentra may have forgotten the key: what may have arrived once might be paid twice.
    fn may_never_post_again(&self) -> bool {
        self.ambiguous && self.age + self.began.elapsed() > self.shared.settings.resend_window
    }

    async fn unresolved(&mut self) -> Result<Executed<P::Value>, Error> {
        let error = Error::new(Reason::OutcomeUnresolved).sent(self.posts_here > 0);
        self.give_up(error).await
    }

    /// The end of the process counts as the caller's: a POST that began late might be cut off.
    fn may_post_no_more(&self) -> bool {
        self.posts_here >= self.shared.settings.posts_per_call
            || Instant::now() >= self.call.answer_by
            || self.shared.draining.is_waiting_over()
    }

    /// Looks the payment up by its reference; `Send` where nothing was found.
    async fn look_up(&mut self) -> Next<P::Value> {
        let payment = &self.call.payment;
        // It takes as long as a try may, which may be more than is left.
        if self.shared.draining.is_waiting_over() {
            let why = "the process is about to end";
            return Next::Answer(self.give_up(unknown(self.posts_here > 0, why)).await);
        }
        if payment.reference().is_none() {
            // Only its caller can send it again, under the same key.
            return Next::Send;
        }
        let look = payment.look_up(&self.looking_up, self.strictly);
        match self.lease.while_held(look).await {
            Ok(Found::Same(reply)) => {
                self.note("look-up", "found", &reply.request_id, false);
                Next::Answer(self.complete(reply, ExecutionPath::Recovered).await)
            }
            Ok(Found::Other(reply)) => {
                self.note("look-up", "found another", &reply.request_id, false);
                Next::Answer(self.contradict(&reply).await)
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
                self.call.progress.tells(&trouble.provider);
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
        let tries = Tries::after(self.posts);
        self.call.progress.posting(&tries);
        let most_tries = self.tries_without_a_look();
        let is_repeat = self.posts_here > 0;
        let attempt = Attempt { idempotency_key, fence, tries: &tries, most_tries, is_repeat };
        let post = self.call.payment.send(&self.zentra, attempt);
        let result = self.lease.while_held(post).await;
        self.note_repeated(&tries);
        reach(Point::AfterAnswer).await;
        let trouble = match result {
            Ok(reply) => {
                self.posted("answered", &reply.request_id);
                return Next::Answer(self.complete(reply, ExecutionPath::Direct).await);
            }
            Err(trouble) => trouble,
        };
        self.call.progress.tells(&trouble.provider);
        match trouble.kind {
            kind if kind.was_kept_back() => self.note("POST", &trouble.detail, &None, false),
            _ => self.posted(&trouble.detail, &trouble.provider.request_id),
        }
        match trouble.kind {
            // Whatever came between, a look-up tells what became of it.
            TroubleKind::LeaseOver if self.lease.renew().await => {
                self.ambiguous = true;
                self.look_up().await
            }
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
            TroubleKind::NotSent
            | TroubleKind::NoTime
            | TroubleKind::Ending
            | TroubleKind::CircuitOpen(_)
            | TroubleKind::RateLimited
            | TroubleKind::Unauthorized => {
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
        let next_look = Instant::now() + (*pause).max(trouble.asked_wait.unwrap_or_default());
        *pause *= 2;
        if next_look >= self.call.answer_by {
            let error = unknown(true, trouble.detail.as_ref());
            return Next::Answer(self.give_up(answer::noted(error, trouble)).await);
        }
        if let Some(DoubtAnswer::Fenced { .. }) = self.doubt(false, false).await {
            // Another call has the payment, or its outcome: nothing more leaves from here.
            let error = unknown(true, "another call has taken the payment over");
            return Next::Answer(self.give_up(error).await);
        }
        let is_over = tokio::select! {
            biased;
            is_over = self.pause_until(next_look) => !is_over,
            // What Zentra asks for may be longer than there is any use in.
            () = self.no_time_to_pause() => true,
        };
        if is_over {
            let error = unknown(true, "the process is about to end");
            return Next::Answer(self.give_up(answer::noted(error, trouble)).await);
        }
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
            let next_look = Instant::now() + pause.max(trouble.asked_wait.unwrap_or_default());
            pause *= 2;
            if next_look >= self.call.answer_by || self.call.payment.reference().is_none() {
                let error = unknown(true, "Zentra is at work on the same key");
                let error = answer::noted(error, trouble);
                return Next::Answer(self.give_up(error).await);
            }
            let may_wait_on = self.pause_until(next_look).await;
            if let Next::Answer(answer) = self.look_up().await {
                return Next::Answer(answer);
            }
            if !may_wait_on {
                let error = unknown(true, "the process is about to end");
                return Next::Answer(self.give_up(error).await);
            }
        }
    }

    /// Returns a second after the end of the process has begun: what passes by itself does so sooner.
    async fn no_time_to_pause(&self) {
        self.shared.draining.begun().await;
        sleep(PAUSE_AT_THE_END).await;
    }

    /// Waits; false where the end of the process leaves no more time to.
    async fn pause_until(&self, moment: Instant) -> bool {
        let pause = async {
            tokio::select! {
                biased;
                () = sleep_until(moment) => true,
                () = self.shared.draining.waiting_is_over() => false,
            }
        };
        self.lease.while_held(pause).await
    }

    /// Nothing of this attempt happened. Where nothing of another can have happened either, the
    /// record goes and the caller may hear `no`; else only a look-up can tell.
    async fn refused(
        &mut self,
        trouble: &Trouble,
        after: AfterRefusal,
    ) -> Result<Executed<P::Value>, Error> {
        // A try before this one may have left, and been refused.
        let sent = self.posts_here > 0 || !trouble.kind.was_kept_back();
        let error = answer::refused(trouble).sent(sent);
        if !self.ambiguous || mutants::is_on(Mutant::ReleaseOfAmbiguous) {
            let may_be_ours = match trouble.kind {
                // Zentra has seen this key with another content, as after a loss of the store:
                // that payment of the key may have been made.
                TroubleKind::KeyReused => true,
                // The reference may be taken by a payment of this key, from before the record.
                TroubleKind::DuplicateReference => self.reference_may_be_ours().await,
                _ => false,
            };
            let released = self.release(error).await;
            return match may_be_ours {
                true => released.map_err(|error| error.money_moved(MoneyMoved::Unknown)),
                false => released,
            };
        }
        if !trouble.kind.was_kept_back()
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

    /// Whether what Zentra has under the reference is the same in every respect, or cannot be
    /// seen.
    async fn reference_may_be_ours(&mut self) -> bool {
        if self.shared.draining.is_waiting_over() {
            return true;
        }
        let look = self.call.payment.look_up(&self.looking_up, true);
        match self.lease.while_held(look).await {
            Ok(Found::Other(_)) => false,
            Ok(Found::Same(_) | Found::Nothing | Found::Untold) | Err(_) => true,
        }
    }

    /// The call's posts or its time are used up.
    async fn out_of_time(&mut self) -> Result<Executed<P::Value>, Error> {
        if self.ambiguous {
            return self.give_up(unknown(self.posts_here > 0, "no time for another try")).await;
        }
        let reason = match self.shared.draining.is_waiting_over() {
            true => Reason::ShuttingDown,
            false => Reason::DeadlineTooShort,
        };
        self.release(Error::new(reason).sent(self.posts_here > 0)).await
    }

    /// The tries before the last one, which the way to Zentra repeated by itself.
    fn note_repeated(&mut self, tries: &Tries) {
        for repeated in tries.repeated() {
            match repeated {
                Repeated::Answered(status) => {
                    self.posted(&format!("HTTP {}, tried again", status.as_u16()), &None);
                }
                Repeated::NotSent => self.note("POST", "not sent, tried again", &None, false),
                // A write without an answer is not repeated there. Were it, it may have arrived.
                Repeated::Unanswered => {
                    self.ambiguous = true;
                    self.posted("no answer, tried again", &None);
                }
            }
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
        self.call.progress.posts(self.posts);
        let number = self.log.len() + 1;
        let request_id = request_id.as_ref().map_or("-", |id| id.as_str());
        let line = format!("{now} {epoch}.{number} {what}: {result} ({request_id})");
        self.log.push(LoggedAttempt::new(&line, is_post));
    }
}
