//! Places for peers that have begun something and not ended it. Where there are too many, one of
//! whoever has most gives way: a flood from one side costs that side, and a newcomer who just does
//! what he came for is let in, however many wait before him.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The places. Clones share them. `G` is whose a place is, an address or a caller; `P` tells that
/// one's parts apart, such as connections.
#[derive(Debug)]
pub struct WaitingRoom<G: Key, P: Key>(Arc<Room<G, P>>);

/// What tells those who wait apart.
pub trait Key: Clone + Eq + Hash {}

impl<K: Clone + Eq + Hash> Key for K {}

#[derive(Debug)]
struct Room<G, P> {
    most: usize,
    queue: Mutex<Queue<G, P>>,
}

#[derive(Debug)]
struct Queue<G, P> {
    next: u64,
    /// In the order in which they came.
    waiting: BTreeMap<u64, Waiting<G, P>>,
}

#[derive(Debug)]
struct Waiting<G, P> {
    whose: (G, P),
    given_up: CancellationToken,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Seat<G: Key, P: Key> {
    number: u64,
    given_up: CancellationToken,
    room: WaitingRoom<G, P>,
}

impl<G: Key, P: Key> Clone for WaitingRoom<G, P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<G: Key, P: Key> WaitingRoom<G, P> {
    /// A room for `most` at once.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let queue = Queue { next: 0, waiting: BTreeMap::new() };
        Self(Arc::new(Room { most, queue: Mutex::new(queue) }))
    }

    /// A place for one more, for which another may have to give way.
    #[must_use]
    pub fn enter(&self, group: G, part: P) -> Seat<G, P> {
        let given_up = CancellationToken::new();
        let mut queue = self.lock();
        let number = queue.next;
        queue.next += 1;
        let waiting = Waiting { whose: (group, part), given_up: given_up.clone() };
        queue.waiting.insert(number, waiting);
        if queue.waiting.len() > self.0.most {
            let goes = queue.goes().and_then(|number| queue.waiting.remove(&number));
            drop(queue);
            if let Some(goes) = goes {
                goes.given_up.cancel();
            }
        }
        Seat { number, given_up, room: self.clone() }
    }

    /// How many there are.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, Queue<G, P>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<G: Key, P: Key> Queue<G, P> {
    /// Of those whose group has most, and of them those whose part has most, the one that has
    /// waited longest.
    fn goes(&self) -> Option<u64> {
        let (mut groups, mut parts) = (HashMap::new(), HashMap::new());
        for waiting in self.waiting.values() {
            *groups.entry(&waiting.whose.0).or_insert(0_usize) += 1;
            *parts.entry(&waiting.whose).or_insert(0_usize) += 1;
        }
        let size = |waiting: &Waiting<G, P>| {
            let of_group = groups.get(&waiting.whose.0).copied();
            (of_group, parts.get(&waiting.whose).copied())
        };
        let most = self.waiting.values().map(size).max()?;
        self.waiting.iter().find(|(_, waiting)| size(waiting) == most).map(|(number, _)| *number)
    }
}

impl<G: Key, P: Key> Seat<G, P> {
    /// Cancelled where this one has to give way.
    #[must_use]
    pub fn given_up(&self) -> &CancellationToken {
        &self.given_up
    }
}

impl<G: Key, P: Key> Drop for Seat<G, P> {
    fn drop(&mut self) {
        self.room.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone<G: Key, P: Key>(seats: &[Seat<G, P>]) -> Vec<usize> {
        let gone = seats.iter().enumerate().filter(|(_, seat)| seat.given_up().is_cancelled());
        gone.map(|(at, _)| at).collect()
    }

    #[test]
    fn among_equals_the_one_that_has_waited_longest_goes() {
        let room = WaitingRoom::new(4);
        let mut seats: Vec<_> = (0..4).map(|_| room.enter("a", 1)).collect();
        drop(seats.remove(0));
        seats.push(room.enter("a", 1));
        assert_eq!(gone(&seats), [0; 0], "there was room");
        seats.push(room.enter("a", 1));
        assert_eq!((gone(&seats), room.taken()), (vec![0], 4));
        drop(seats);
        assert_eq!(room.taken(), 0, "nothing is left of those who went");
    }

    #[test]
    fn whoever_has_few_is_not_driven_out_by_whoever_has_many() {
        let room = WaitingRoom::new(4);
        let honest = room.enter("honest", 1);
        let flood: Vec<_> = (0..100).map(|number| room.enter("flood", number)).collect();
        assert!(!honest.given_up().is_cancelled());
        assert_eq!(gone(&flood), (0..97).collect::<Vec<_>>());
    }

    #[test]
    fn within_one_group_the_part_with_most_pays() {
        let room = WaitingRoom::new(4);
        let honest = room.enter("shared", 1);
        let flood: Vec<_> = (0..100).map(|_| room.enter("shared", 2)).collect();
        assert!(!honest.given_up().is_cancelled());
        assert_eq!(gone(&flood).len(), 97);
    }
}
