//! Which idempotency keys are running, and which have a result.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::later;

/// Which kind of object a key creates: each kind has its own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Charge,
    Refund,
    Token,
}

/// A key within its kind.
pub(crate) type KeyId = (Kind, String);
/// Stands for a body: a keyed digest, so that nothing of a card is kept.
pub(crate) type Print = [u8; 32];

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    New,
    /// The first request has not finished.
    Running,
    /// The first request made this row.
    Done(u64),
    /// The first request had another body.
    Mismatch,
}

#[derive(Clone, Debug)]
struct Entry {
    print: Print,
    row: Option<u64>,
    since: Timestamp,
}

/// All keys; the oldest are forgotten beyond the capacity.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    entries: HashMap<KeyId, Entry>,
    order: VecDeque<(Timestamp, KeyId)>,
    capacity: usize,
}

impl Keys {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), capacity: capacity.max(1) }
    }

    /// Looks a key up, with the body that came with it.
    pub(crate) fn look(
        &mut self,
        now: Timestamp,
        keep: Duration,
        key: &KeyId,
        print: &Print,
    ) -> Known {
        self.expire(now, keep);
        match self.entries.get(key) {
            None => Known::New,
            Some(entry) if entry.print != *print => Known::Mismatch,
            Some(Entry { row: Some(row), .. }) => Known::Done(*row),
            Some(_) => Known::Running,
        }
    }

    /// Locks a key for a request that has begun.
    pub(crate) fn start(&mut self, now: Timestamp, key: KeyId, print: Print) {
        self.order.push_back((now, key.clone()));
        self.entries.insert(key, Entry { print, row: None, since: now });
    }

    /// Remembers the result.
    pub(crate) fn finish(&mut self, key: &KeyId, row: u64) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.row = Some(row);
        }
    }

    /// Unlocks a key whose request had no effect: only effects are remembered.
    pub(crate) fn forget(&mut self, key: &KeyId) {
        self.entries.remove(key);
    }

    fn expire(&mut self, now: Timestamp, keep: Duration) {
        while let Some((since, _)) = self.order.front() {
            if later(*since, keep) > now && self.order.len() <= self.capacity {
                break;
            }
            let Some((since, key)) = self.order.pop_front() else {
                break;
            };
            // The key may have been forgotten and taken again since: that is another entry.
            if self.entries.get(&key).is_some_and(|entry| entry.since == since) {
                self.entries.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn key() -> KeyId {
        (Kind::Charge, "k".to_owned())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_key_runs_then_is_done_until_its_retention_is_over() {
        let mut keys = Keys::new(10);
        assert_eq!(keys.look(at(0), DAY, &key(), &[1; 32]), Known::New);
        keys.start(at(0), key(), [1; 32]);
        assert_eq!(keys.look(at(0), DAY, &key(), &[1; 32]), Known::Running);
        keys.finish(&key(), 7);
        assert_eq!(keys.look(at(86_399), DAY, &key(), &[1; 32]), Known::Done(7));
        assert_eq!(keys.look(at(86_399), DAY, &key(), &[2; 32]), Known::Mismatch);
        assert_eq!(keys.look(at(86_400), DAY, &key(), &[1; 32]), Known::New);
    }

    #[test]
    fn a_key_without_an_effect_is_new_again() {
        let mut keys = Keys::new(10);
        keys.start(at(0), key(), [1; 32]);
        keys.forget(&key());
        assert_eq!(keys.look(at(1), DAY, &key(), &[2; 32]), Known::New);
        keys.start(at(1), key(), [2; 32]);
        keys.finish(&key(), 1);
        // The forgotten life of the key ends; the present one stays.
        assert_eq!(keys.look(at(86_400), DAY, &key(), &[2; 32]), Known::Done(1));
    }
}
