//! How many connections there are, over all listeners.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use super::limits::{
    AGE_GRACE, AGE_JITTER, LATE_GREETING, LATE_STAY, MAX_HANDSHAKES, MAX_UNWELCOME, TELL_INTERVAL,
    UNWELCOME_STAY,
};
use super::vitals::Stay;
use super::waiting_room::{Seat, WaitingRoom};
use super::{ConnectionLimits, Peer};
use crate::domain::Caller;

/// The door for connections. Clones share it.
#[derive(Clone, Debug)]
pub struct Connections {
    shared: Arc<Shared>,
    age: Duration,
    is_late: bool,
}

#[derive(Debug)]
struct Shared {
    limits: ConnectionLimits,
    places: Arc<Semaphore>,
    /// Of those who may not call.
    unwelcome: Arc<Semaphore>,
    handshakes: WaitingRoom<IpAddr, ()>,
    /// Of those who have shown a certificate.
    by_caller: Mutex<HashMap<Caller, usize>>,
    refused: AtomicU64,
    refused_handshakes: AtomicU64,
    /// When a failed handshake was last written down.
    told_at: Mutex<Option<Instant>>,
}

/// A connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    caller: Option<Caller>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// A door with nobody inside.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Self {
        let shared = Shared {
            limits,
            places: Arc::new(Semaphore::new(limits.connections)),
            unwelcome: Arc::new(Semaphore::new(MAX_UNWELCOME)),
            handshakes: WaitingRoom::new(MAX_HANDSHAKES),
            by_caller: Mutex::default(),
            refused: AtomicU64::new(0),
            refused_handshakes: AtomicU64::new(0),
            told_at: Mutex::default(),
        };
        Self { shared: Arc::new(shared), age: limits.age, is_late: false }
    }

    /// A place for somebody whom only the machine's own boundaries keep in check; none where all
    /// are taken.
    pub(super) async fn enter(&self, peer: &Peer) -> Option<Place> {
        let place = match peer.is_allowed() {
            true => self.place(None),
            false => self.unwelcome(),
        }?;
        self.greet().await;
        Some(place)
    }

    /// A place for a caller of the network, who may have at most half of all: one that opens
    /// connections without end keeps no other out.
    pub(super) fn enter_as(&self, peer: &Peer) -> Option<Place> {
        if !peer.is_allowed() {
            return self.unwelcome();
        }
        let most = self.shared.limits.connections.div_ceil(2);
        let mut by_caller = self.shared.lock();
        let count = by_caller.entry(peer.caller().clone()).or_default();
        if *count < most {
            *count += 1;
            drop(by_caller);
            // Gives the count back where there is no place.
            return self.place(Some(peer.caller().clone()));
        }
        drop(by_caller);
        self.refuse();
        None
    }

    /// A place for a handshake with this address, for which another may have to give way.
    pub(super) async fn shake_hands(&self, from: IpAddr) -> Seat<IpAddr, ()> {
        let seat = self.shared.handshakes.enter(network(from), ());
        self.greet().await;
        seat
    }

    /// Waits until it is time to greet.
    async fn greet(&self) {
        if self.is_late {
            sleep(LATE_GREETING).await;
        }
    }

    /// A handshake came to nothing. Strangers can make many, so that not each is written down.
    pub(super) fn refuse_handshake(&self, fault: &str) {
        let failed = self.shared.refused_handshakes.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told_at = self.shared.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        if told_at.is_none_or(|at| at.elapsed() >= TELL_INTERVAL) {
            *told_at = Some(Instant::now());
            tracing::warn!(fault, failed, "a TLS handshake failed");
        }
    }

    /// The same door, for those who come when the process is about to end.
    pub(super) fn late(&self) -> Self {
        Self { shared: self.shared.clone(), age: LATE_STAY, is_late: true }
    }

    /// How long a connection of this peer's, accepted now, may stay.
    pub(super) fn stay(&self, peer: &Peer, accepted: Instant) -> Stay {
        let (age, grace) = match peer.is_allowed() {
            true => (self.age, AGE_GRACE),
            false => (self.age.min(UNWELCOME_STAY.0), UNWELCOME_STAY.1),
        };
        Stay { accepted, age: age.mul_f64(rand::random_range(AGE_JITTER)), grace }
    }

    /// Connections that there are.
    #[must_use]
    pub fn open(&self) -> usize {
        let taken =
            |most: usize, places: &Semaphore| most.saturating_sub(places.available_permits());
        taken(self.shared.limits.connections, &self.shared.places)
            + taken(MAX_UNWELCOME, &self.shared.unwelcome)
    }

    /// Connections that were closed at once, because there was no place.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Handshakes that came to nothing.
    #[must_use]
    pub fn refused_handshakes(&self) -> u64 {
        self.shared.refused_handshakes.load(Ordering::Relaxed)
    }

    fn unwelcome(&self) -> Option<Place> {
        let permit = self.shared.unwelcome.clone().try_acquire_owned().ok();
        if permit.is_none() {
            self.refuse();
        }
        Some(Place { shared: self.shared.clone(), caller: None, _permit: permit? })
    }

    fn place(&self, caller: Option<Caller>) -> Option<Place> {
        match self.shared.places.clone().try_acquire_owned() {
            Ok(permit) => Some(Place { shared: self.shared.clone(), caller, _permit: permit }),
            Err(_) => {
                self.shared.leave(caller.as_ref());
                self.refuse();
                None
            }
        }
    }

    fn refuse(&self) {
        // The first one and then ever fewer: a flood of connections is no flood of log lines.
        let refused = self.shared.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if refused.is_power_of_two() {
            tracing::warn!(refused, "a connection was refused: there is no place left");
        }
    }
}

/// What one side of the network has many addresses of counts as one.
pub(crate) fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

impl Shared {
    fn leave(&self, caller: Option<&Caller>) {
        let Some(caller) = caller else { return };
        let mut by_caller = self.lock();
        if let Some(count) = by_caller.get_mut(caller) {
            *count -= 1;
            if *count == 0 {
                by_caller.remove(caller);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Caller, usize>> {
        self.by_caller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.leave(self.caller.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(connections: usize) -> Connections {
        Connections::new(ConnectionLimits { connections, age: Duration::from_secs(100) })
    }

    fn peer(name: &str) -> Peer {
        Peer::new(Caller::new(name).unwrap(), true)
    }

    #[tokio::test]
    async fn a_full_house_refuses() {
        let (door, peer) = (door(1), peer("local"));
        let place = door.enter(&peer).await.unwrap();
        assert!(door.enter(&peer).await.is_none());
        assert_eq!((door.open(), door.refused()), (1, 1));
        drop(place);
        assert!(door.enter(&peer).await.is_some());
    }

    #[test]
    fn one_caller_has_at_most_half_of_the_places() {
        let door = door(4);
        let (greedy, other) = (peer("a/greedy"), peer("b/other"));
        let mut places: Vec<_> = (0..3).filter_map(|_| door.enter_as(&greedy)).collect();
        assert_eq!((places.len(), door.refused()), (2, 1));
        let others: Vec<_> = (0..3).filter_map(|_| door.enter_as(&other)).collect();
        assert_eq!(others.len(), 2);
        places.pop();
        assert!(door.enter_as(&greedy).is_some());
        drop((places, others));
        assert_eq!(door.open(), 0);
        assert!(door.shared.lock().is_empty(), "nothing is left of those who went");
    }

    #[tokio::test]
    async fn those_who_may_not_call_take_no_place_of_those_who_may_and_stay_briefly() {
        let door = door(2);
        let stranger = Peer::new(Caller::new("local").unwrap(), false);
        let mut strangers = Vec::new();
        for _ in 0..MAX_UNWELCOME {
            strangers.push(door.enter(&stranger).await.unwrap());
        }
        assert!(door.enter(&stranger).await.is_none() && door.enter_as(&stranger).is_none());
        assert_eq!(door.open(), MAX_UNWELCOME);
        let caller = peer("local");
        assert!(door.enter(&caller).await.is_some() && door.enter_as(&caller).is_some());
        strangers.pop();
        assert!(door.enter_as(&stranger).is_some());
        let stay = door.stay(&stranger, Instant::now());
        assert!(stay.age <= UNWELCOME_STAY.0.mul_f64(AGE_JITTER.end), "{stay:?}");
        assert_eq!(stay.grace, UNWELCOME_STAY.1);
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.2"), of("10.0.0.1"));
    }

    #[test]
    fn ages_differ_by_a_tenth() {
        let (door, peer) = (door(1), peer("local"));
        let ages: Vec<_> = (0..100).map(|_| door.stay(&peer, Instant::now()).age).collect();
        let bounds = Duration::from_secs(90)..Duration::from_secs(110);
        assert!(ages.iter().all(|age| bounds.contains(age)));
        assert!(ages.iter().any(|age| *age != ages[0]));
    }
}
