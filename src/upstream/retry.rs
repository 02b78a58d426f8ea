//! The retry layer's policy: whether, and when, an exchange is repeated.
//!
//! The layer is tower's. Its backoff is not used, as its clones share one random number and so
//! would repeat in step; nor is its budget, see [`super::Budget`].

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::{Instant, Sleep, sleep};
use tower::retry::Policy;

use super::around::Answer;
use super::classify::{Verdict, classify};
use super::{Budget, Jitter, Repeated, Terms, TransportError};
use crate::clock::Clock;

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

/// Decides on repeats. A clone stands for one exchange and counts its tries.
#[derive(Clone)]
pub(super) struct RetryPolicy {
    shared: Arc<Shared>,
    tried: u32,
}

struct Shared {
    settings: RetrySettings,
    budget: Arc<Budget>,
    jitter: Jitter,
    clock: Arc<dyn Clock>,
}

impl RetryPolicy {
    pub(super) fn new(
        settings: RetrySettings,
        budget: Arc<Budget>,
        jitter: Jitter,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let shared = Shared { settings, budget, jitter, clock };
        Self { shared: Arc::new(shared), tried: 0 }
    }

    /// The pause before the next try; none where there is to be no next one.
    fn pause(&self, terms: &Terms, answer: &Answer) -> Option<Duration> {
        let Shared { settings, budget, clock, .. } = &*self.shared;
        let least = match classify(terms.effect, answer, clock.now()) {
            Verdict::Stands => return None,
            Verdict::Repeat => Duration::ZERO,
            Verdict::RepeatAfter(wait) => wait,
        };
        let may_be_tried = terms.most_tries.is_none_or(|most| terms.tries.count() < most);
        if self.tried >= settings.tries || !may_be_tried {
            return None;
        }
        // What is asked for is a minimum; the jitter on top keeps those who were told the same
        // from coming back together.
        let pause = least + self.backoff();
        let in_time = terms
            .deadline
            .is_none_or(|deadline| Instant::now() + pause + settings.time_for_answer < deadline);
        // Paid for last, so that nothing is paid for a repeat that does not come.
        (in_time && budget.withdraw()).then_some(pause)
    }

    fn backoff(&self) -> Duration {
        let settings = &self.shared.settings;
        let doublings = self.tried.saturating_sub(1).min(16);
        let most = settings.first_pause.saturating_mul(1 << doublings).min(settings.longest_pause);
        most.mul_f64((self.shared.jitter)())
    }
}

impl Policy<Request<Bytes>, Response<Bytes>, TransportError> for RetryPolicy {
    type Future = Pin<Box<Sleep>>;

    fn retry(
        &mut self,
        request: &mut Request<Bytes>,
        answer: &mut Result<Response<Bytes>, TransportError>,
    ) -> Option<Self::Future> {
        if self.tried == 0 {
            self.shared.budget.deposit();
        }
        self.tried += 1;
        let terms = Terms::of(request);
        let pause = self.pause(&terms, answer)?;
        terms.tries.note(Repeated::of(answer));
        tracing::debug!(tried = self.tried, ?pause, "an exchange with Zentra is repeated");
        Some(Box::pin(sleep(pause)))
    }

    fn clone_request(&mut self, request: &Request<Bytes>) -> Option<Request<Bytes>> {
        Some(request.clone())
    }
}
