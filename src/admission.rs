//! How many calls the sidecar takes at once. What is above that is refused at the door, before
//! it costs anything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Overload, Retry};

/// The least and the most that a refused call is asked to wait; between them chance decides, so
/// that those who were refused together do not come back together.
const WAIT_MS: std::ops::Range<u64> = 100..300;

/// How many calls may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionSettings {
    /// Calls at work.
    pub in_flight: usize,
    /// Calls that only wait: for another call's answer, or for a payment to become final.
    pub waiting: usize,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self { in_flight: 512, waiting: 4096 }
    }
}

/// The door. Clones share it.
#[derive(Clone, Debug)]
pub struct Admission {
    in_flight: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// A call's place. It is given back with the last clone, which the work on a payment holds to its
/// end, whatever has become of the caller.
#[derive(Clone, Debug, Default)]
pub struct Admitted(Option<Arc<Place>>);

#[derive(Debug)]
struct Place {
    permit: Mutex<OwnedSemaphorePermit>,
    in_flight: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Admission {
    /// A door with nobody inside.
    #[must_use]
    pub fn new(settings: AdmissionSettings) -> Self {
        Self {
            in_flight: Arc::new(Semaphore::new(settings.in_flight)),
            waiting: Arc::new(Semaphore::new(settings.waiting)),
        }
    }

    /// Takes a call in.
    ///
    /// # Errors
    /// `OVERLOADED` where all places are taken.
    pub fn enter(&self) -> Result<Admitted, Error> {
        match self.in_flight.clone().try_acquire_owned() {
            Ok(permit) => {
                let (in_flight, waiting) = (self.in_flight.clone(), self.waiting.clone());
                let permit = Mutex::new(permit);
                Ok(Admitted(Some(Arc::new(Place { permit, in_flight, waiting }))))
            }
            Err(_) => Err(overloaded(Overload::Door)),
        }
    }

    /// Places that are free for calls at work.
    #[must_use]
    pub fn free(&self) -> usize {
        self.in_flight.available_permits()
    }
}

fn overloaded(at: Overload) -> Error {
    let wait = Duration::from_millis(rand::random_range(WAIT_MS));
    Error::overloaded(at).retry(Retry::After(wait))
}

impl Admitted {
    /// The call only waits from now on, and leaves its place to one that works. Where as many wait
    /// as may, it keeps its place.
    pub fn waits(&self) {
        let Some(place) = &self.0 else { return };
        if !place.only_waits()
            && let Ok(waiting) = place.waiting.clone().try_acquire_owned()
        {
            place.take(waiting);
        }
    }

    /// The call goes on to work, and takes a place again where it had left its own.
    ///
    /// # Errors
    /// `OVERLOADED` where all places are taken.
    pub fn works(&self) -> Result<(), Error> {
        let Some(place) = self.0.as_ref().filter(|place| place.only_waits()) else { return Ok(()) };
        let working = place.in_flight.clone().try_acquire_owned();
        let working = working.map_err(|_| overloaded(Overload::Wait))?;
        place.take(working);
        Ok(())
    }

    /// The same for a call that may not be refused any more: it waits for a place, before all who
    /// come anew.
    pub async fn works_when_it_can(&self) {
        let Some(place) = self.0.as_ref().filter(|place| place.only_waits()) else { return };
        // The door is never closed; were it, there would be no limit to keep.
        if let Ok(working) = place.in_flight.clone().acquire_owned().await {
            place.take(working);
        }
    }
}

impl Place {
    fn only_waits(&self) -> bool {
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        std::ptr::eq(Arc::as_ptr(permit.semaphore()), Arc::as_ptr(&self.waiting))
    }

    fn take(&self, other: OwnedSemaphorePermit) {
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    fn door(in_flight: usize, waiting: usize) -> Admission {
        Admission::new(AdmissionSettings { in_flight, waiting })
    }

    #[test]
    fn a_full_house_refuses_with_a_wait() {
        let door = door(1, 1);
        let inside = door.enter().unwrap();
        let error = door.enter().unwrap_err();
        assert_eq!((error.reason(), error.overload()), (Reason::Overloaded, Some(Overload::Door)));
        let Retry::After(wait) = error.retry_advice() else { panic!("a wait") };
        assert!(WAIT_MS.contains(&u64::try_from(wait.as_millis()).unwrap()));
        drop(inside);
        assert!(door.enter().is_ok());
    }

    #[tokio::test]
    async fn who_has_waited_works_in_a_place_again() {
        let door = door(1, 2);
        let verify = door.enter().unwrap();
        verify.waits();
        let other = door.enter().unwrap();
        assert_eq!(verify.works().unwrap_err().overload(), Some(Overload::Wait));
        let takes_over = tokio::spawn({
            let verify = verify.clone();
            async move { verify.works_when_it_can().await }
        });
        tokio::task::yield_now().await;
        assert!(!takes_over.is_finished(), "the house is full");
        drop(other);
        takes_over.await.unwrap();
        assert!(door.enter().is_err(), "it has the place");
        verify.works().unwrap();
        drop(verify);
        assert_eq!(door.free(), 1);
    }

    #[test]
    fn the_last_clone_gives_the_place_back() {
        let door = door(1, 1);
        let caller = door.enter().unwrap();
        let work = caller.clone();
        drop(caller);
        assert!(door.enter().is_err());
        drop(work);
        assert!(door.enter().is_ok());
    }

    #[test]
    fn who_waits_makes_place_as_long_as_there_is_room_to_wait() {
        let door = door(1, 1);
        let first = door.enter().unwrap();
        first.waits();
        first.waits();
        let second = door.enter().unwrap();
        second.waits();
        assert!(door.enter().is_err(), "nobody else may wait");
        drop(first);
        second.waits();
        assert!(door.enter().is_ok());
    }
}
