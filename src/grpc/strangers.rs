//! Refusals of those who may not call. They may come without end, so that not each is written down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::domain::Caller;
use crate::error::Reason;
use crate::telemetry::Telemetry;

/// The least time between two lines about one caller's writes, or about its other calls.
const INTERVAL: Duration = Duration::from_secs(1);
/// Callers that are told apart, each with its writes and its other calls; all further ones are
/// told of together.
const MOST: usize = 256;

/// Says which refusals are written down, and tells of the others together. Clones share it.
#[derive(Clone)]
pub(super) struct Strangers(Arc<Inner>);

struct Inner {
    telemetry: Telemetry,
    told: Mutex<HashMap<Whose, Told>>,
}

/// Whose refusals are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Whose {
    /// None for those beyond [`MOST`].
    caller: Option<Caller>,
    is_write: bool,
}

/// What is known of them.
struct Told {
    /// When the last line about them was written.
    at: Instant,
    /// How many were left out since.
    unsaid: u64,
}

impl Strangers {
    pub(super) fn new(telemetry: Telemetry) -> Self {
        Self(Arc::new(Inner { telemetry, told: Mutex::default() }))
    }

    /// Whether the refusal of a call is written down by itself. Where it is not, it is told of with
    /// others within [`INTERVAL`].
    pub(super) fn is_told(&self, caller: &Caller, is_write: bool) -> bool {
        let now = Instant::now();
        let mut all = self.0.lock();
        let mut whose = Whose { caller: Some(caller.clone()), is_write };
        if !all.contains_key(&whose) {
            all.retain(|_, told| told.unsaid > 0 || now < told.at + INTERVAL);
            if all.len() >= MOST {
                whose.caller = None;
            }
        }
        let Some(told) = all.get_mut(&whose) else {
            all.insert(whose, Told { at: now, unsaid: 0 });
            return true;
        };
        if told.unsaid == 0 && now >= told.at + INTERVAL {
            told.at = now;
            return true;
        }
        told.unsaid += 1;
        if told.unsaid == 1 {
            tokio::spawn(later(Arc::downgrade(&self.0), whose, told.at + INTERVAL));
        }
        false
    }
}

/// Whoever is gone by then has told of them.
async fn later(strangers: Weak<Inner>, whose: Whose, at: Instant) {
    sleep_until(at).await;
    let Some(strangers) = strangers.upgrade() else { return };
    let unsaid = strangers.lock().get_mut(&whose).map_or(0, |told| {
        told.at = Instant::now();
        std::mem::take(&mut told.unsaid)
    });
    strangers.tell(&whose, unsaid);
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<Whose, Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, whose: &Whose, unsaid: u64) {
        let caller = whose.caller.as_ref();
        let (caller_text, outcome) =
            (caller.map(Caller::as_str), Reason::CallerNotAllowed.as_str());
        tracing::info!(
            caller = caller_text,
            outcome,
            unsaid,
            "more calls of a caller who may not call were refused"
        );
        if whose.is_write {
            self.telemetry.audit().refused_unsaid(caller, Reason::CallerNotAllowed, unsaid);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // At the end of the process none is left uncounted.
        for (whose, told) in std::mem::take(&mut *self.lock()) {
            if told.unsaid > 0 {
                self.tell(&whose, told.unsaid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn caller(number: usize) -> Caller {
        Caller::new(&format!("shop/s{number}")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_told_and_those_that_follow_together() {
        let strangers = Strangers::new(Telemetry::quiet());
        let told: Vec<_> = (0..4).map(|_| strangers.is_told(&caller(1), true)).collect();
        assert_eq!(told, [true, false, false, false]);
        assert!(strangers.is_told(&caller(1), false), "writes are told of apart");
        assert!(strangers.is_told(&caller(2), true), "and so are callers");
        // The others are told of together after a second, and that is a line too.
        advance(INTERVAL).await;
        tokio::task::yield_now().await;
        assert!(!strangers.is_told(&caller(1), true));
        advance(INTERVAL * 2).await;
        tokio::task::yield_now().await;
        advance(INTERVAL).await;
        assert!(strangers.is_told(&caller(1), true), "who is quiet for a while is new");
    }

    #[tokio::test(start_paused = true)]
    async fn no_number_of_callers_takes_more_memory() {
        let strangers = Strangers::new(Telemetry::quiet());
        let told = (0..MOST * 4).filter(|number| strangers.is_told(&caller(*number), true)).count();
        assert_eq!(told, MOST + 1);
        assert_eq!(strangers.0.lock().len(), MOST + 1);
        advance(INTERVAL).await;
        tokio::task::yield_now().await;
        assert!(strangers.is_told(&caller(MOST * 4), true), "there is room again");
        assert!(strangers.0.lock().len() <= 3);
    }
}
