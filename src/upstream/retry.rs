//! The layer of repeats: whether, and when, an exchange is repeated.
//!
//! Not tower's `Retry`: that drops an answer before it waits, so that the end of the process could
//! not end the wait with what Zentra has said. Nor is tower's backoff used, as its clones share one
//! random number and so would repeat in step; nor its budget, see [`super::Budget`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::around::{Answer, Around, Boxed, Exchange, pass_on};
use super::classify::{Verdict, classify};
use super::{Budget, Effect, Jitter, Repeated, Terms, TransportError};
use crate::clock::Clock;
use crate::shutdown::Draining;

/// How exchanges are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// Tries of one exchange, the first included.
    pub tries: u32,
    /// The longest pause before the first repeat; doubled before each further one. The pause is
    /// drawn evenly from zero to this.
    pub first_pause: Duration,
    /// What doubling ends at.
    pub longest_pause: Duration,
    /// The least time that must be left after the pause, as an answer takes some too.
    pub time_for_answer: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            tries: 3,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(2),
            time_for_answer: Duration::from_millis(50),
        }
    }
}

/// How long a pause goes on, at most, once the process is about to end: long enough for what
/// passes by itself, and no longer.
const PAUSE_AT_THE_END: Duration = Duration::from_secs(1);

/// Repeats what provably was not processed, and reads.
pub(super) struct Repeats {
    pub(super) settings: RetrySettings,
    pub(super) budget: Arc<Budget>,
    pub(super) jitter: Jitter,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) draining: Draining,
}

impl Around for Repeats {
    async fn around<S: Exchange>(&self, request: Boxed, rest: &S) -> Answer {
        let terms = Terms::of(&request);
        if terms.is_repeat && self.draining.is_waiting_over() {
            // It takes as long as a try may, which may be more than is left.
            return Err(TransportError::Ending);
        }
        let mut tried = 0;
        loop {
            let answer = pass_on(request.clone(), rest).await;
            tried += 1;
            if tried == 1 && is_traffic(&terms) {
                self.budget.deposit();
            }
            let Some(pause) = self.pause(tried, &terms, &answer) else { return answer };
            tracing::debug!(tried, ?pause, "an exchange with Zentra is repeated");
            tokio::select! {
                biased;
                () = sleep(pause) => {}
                () = self.no_time_to_pause() => return answer,
            }
            terms.tries.note(Repeated::of(&answer));
        }
    }
}

/// Whether repeats may be a share of it. What an open circuit or the end of the time kept back is
/// no traffic, nor is what asks for the fate of a payment because a request failed, nor a repeat.
fn is_traffic(terms: &Terms) -> bool {
    terms.effect != Effect::LookUp && !terms.is_repeat && terms.tries.count() > 0
}

impl Repeats {
    /// The pause before the next try; none where there is to be no next one.
    fn pause(&self, tried: u32, terms: &Terms, answer: &Answer) -> Option<Duration> {
        let settings = &self.settings;
        let least = match classify(terms.effect, answer, self.clock.now()) {
            Verdict::Stands => return None,
            Verdict::Repeat => Duration::ZERO,
            Verdict::RepeatAfter(wait) => wait,
        };
        let may_be_tried = terms.most_tries.is_none_or(|most| terms.tries.count() < most);
        if tried >= settings.tries || !may_be_tried || self.draining.is_waiting_over() {
            return None;
        }
        // What is asked for is a minimum; the jitter on top keeps those who were told the same
        // from coming back together.
        let pause = least + self.backoff(tried);
        let in_time = terms
            .deadline
            .is_none_or(|deadline| Instant::now() + pause + settings.time_for_answer < deadline);
        // Paid for last, so that nothing is paid for a repeat that does not come.
        (in_time && self.budget.withdraw()).then_some(pause)
    }

    fn backoff(&self, tried: u32) -> Duration {
        let doublings = tried.saturating_sub(1).min(16);
        let settings = &self.settings;
        let most = settings.first_pause.saturating_mul(1 << doublings).min(settings.longest_pause);
        most.mul_f64((self.jitter)())
    }

    async fn no_time_to_pause(&self) {
        self.draining.begun().await;
        sleep(PAUSE_AT_THE_END).await;
    }
}
