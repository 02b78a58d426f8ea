//! What a refund needs to know of its charge, remembered while it cannot change.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use lru::LruCache;

use crate::domain::{Charge, ChargeStatus, Money, Reference};

/// The most charges remembered; each takes about 200 bytes. Checked when this is compiled.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Facts of a charge. Its amount, its age and that it was paid never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChargeFacts {
    /// What it was for.
    pub(super) amount: Money,
    /// Money came in, whatever became of it later.
    pub(super) was_paid: bool,
    /// Nothing was given back yet, as of a read just now.
    pub(super) is_untouched: bool,
    /// When Zentra made it, where it tells.
    pub(super) create_time: Option<Timestamp>,
}

impl ChargeFacts {
    pub(super) fn of(charge: &Charge) -> Self {
        Self {
            amount: charge.amount,
            was_paid: charge.status.was_paid(),
            is_untouched: charge.status == ChargeStatus::Succeeded,
            create_time: charge.create_time,
        }
    }
}

/// What each was for, and when it was made.
type Remembered = LruCache<Reference, (Money, Option<Timestamp>)>;

/// The facts of paid charges.
pub(super) struct PaidCharges(Mutex<Remembered>);

impl Default for PaidCharges {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl PaidCharges {
    /// What is remembered. Whether something was given back since is not.
    pub(super) fn get(&self, reference: &Reference) -> Option<ChargeFacts> {
        let (amount, create_time) = *self.lock().get(reference)?;
        Some(ChargeFacts { amount, was_paid: true, is_untouched: false, create_time })
    }

    /// Remembers a paid charge; any other may still change.
    pub(super) fn note(&self, reference: &Reference, facts: ChargeFacts) {
        if facts.was_paid {
            self.lock().put(reference.clone(), (facts.amount, facts.create_time));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
