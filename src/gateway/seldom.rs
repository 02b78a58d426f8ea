//! Keeps a line that every call could write from filling the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The least time between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Says when the next line may be written.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    /// How many lines were left out before this one; none where this one is to be left out too.
    pub(super) fn now(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, unsaid) = &mut *state;
        let now = Instant::now();
        if last.is_some_and(|last| now.duration_since(last) < PAUSE) {
            *unsaid += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_a_second_tells_how_many_were_left_out() {
        let seldom = Seldom::default();
        assert_eq!([seldom.now(), seldom.now(), seldom.now()], [Some(0), None, None]);
        tokio::time::advance(PAUSE).await;
        assert_eq!([seldom.now(), seldom.now()], [Some(2), None]);
    }
}
