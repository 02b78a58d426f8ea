//! Keeps a line that every call could write from filling the log.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The least time between two lines about the same.
const PAUSE: Duration = Duration::from_secs(1);
/// How many things are told apart; where there are more, all may be told once more.
const MOST: usize = 1024;

/// Says when the next line may be written, of each thing that there are lines about.
#[derive(Debug, Default)]
pub struct Seldom {
    hasher: RandomState,
    /// When each was told last, and how often it was not since, by its hash.
    told: Mutex<HashMap<u64, (Instant, u64)>>,
}

impl Seldom {
    /// How many lines about this were left out before this one; none where this one is to be left
    /// out too.
    pub fn now(&self, about: impl Hash) -> Option<u64> {
        let about = self.hasher.hash_one(about);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if told.len() >= MOST && !told.contains_key(&about) {
            told.clear();
        }
        match told.get_mut(&about) {
            Some((last, unsaid)) if now.duration_since(*last) < PAUSE => {
                *unsaid += 1;
                None
            }
            Some((last, unsaid)) => {
                *last = now;
                Some(std::mem::take(unsaid))
            }
            None => {
                told.insert(about, (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_a_second_about_each_thing_tells_how_many_were_left_out() {
        let seldom = Seldom::default();
        assert_eq!([(); 3].map(|()| seldom.now("one")), [Some(0), None, None]);
        assert_eq!([(); 2].map(|()| seldom.now("other")), [Some(0), None]);
        tokio::time::advance(PAUSE).await;
        assert_eq!([(); 2].map(|()| seldom.now("one")), [Some(2), None]);
        assert_eq!(seldom.now("other"), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn no_number_of_things_takes_more_memory() {
        let seldom = Seldom::default();
        for thing in 0..10 * MOST {
            assert_eq!(seldom.now(thing), Some(0));
        }
        assert!(seldom.told.lock().unwrap().len() <= MOST);
    }
}
