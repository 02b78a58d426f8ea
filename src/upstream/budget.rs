//! The retry budget: what keeps repeats a small share of the traffic, so that a Zentra in trouble
//! is not buried under them.
//!
//! Not tower's `TpsBudget`: that truncates one over the share, so that 0.6 means 100 %, and by
//! default allows a hundred repeats without any traffic.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// What a repeat costs, in thousandths of a token.
const PRICE_MILLI: u64 = 1000;

/// How a budget fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSettings {
    /// What each call brings in, in thousandths of a repeat.
    pub per_call_milli: u64,
    /// What each second brings in, so that a lone call may be repeated too.
    pub per_second_milli: u64,
    /// The most that is kept.
    pub capacity_milli: u64,
}

impl Default for BudgetSettings {
    /// Repeats are at most 8 % of the calls, and 1 in 5 s more; ten may come at once.
    fn default() -> Self {
        Self { per_call_milli: 80, per_second_milli: 200, capacity_milli: 10_000 }
    }
}

/// A token bucket that calls fill and repeats empty. It begins full.
#[derive(Debug)]
pub struct Budget {
    settings: BudgetSettings,
    filled: Mutex<Filled>,
}

#[derive(Debug)]
struct Filled {
    repeats: u64,
    refused: u64,
    milli: u64,
    /// Up to when the seconds are paid in.
    since: Instant,
}

impl Budget {
    /// A full budget.
    #[must_use]
    pub fn new(settings: BudgetSettings) -> Self {
        let milli = settings.capacity_milli;
        let filled = Filled { repeats: 0, refused: 0, milli, since: Instant::now() };
        Self { settings, filled: Mutex::new(filled) }
    }

    /// A call's share.
    pub(super) fn deposit(&self) {
        let mut filled = self.lock();
        let milli = filled.milli + self.settings.per_call_milli;
        filled.milli = milli.min(self.settings.capacity_milli);
    }

    /// Pays for a repeat; false where there is not enough.
    pub(crate) fn withdraw(&self) -> bool {
        let mut filled = self.lock();
        self.pay_in_time(&mut filled);
        match filled.milli.checked_sub(PRICE_MILLI) {
            Some(left) => {
                filled.milli = left;
                filled.repeats += 1;
                true
            }
            None => {
                filled.refused += 1;
                false
            }
        }
    }

    /// Repeats that were paid for.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.lock().repeats
    }

    /// Repeats that there was not enough for.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.lock().refused
    }

    /// What is left, in thousandths of a repeat.
    #[must_use]
    pub fn left_milli(&self) -> u64 {
        let mut filled = self.lock();
        self.pay_in_time(&mut filled);
        filled.milli
    }

    fn pay_in_time(&self, filled: &mut Filled) {
        let elapsed_ms = u64::try_from(filled.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let earned = elapsed_ms.saturating_mul(self.settings.per_second_milli) / 1000;
        if earned > 0 {
            filled.milli = filled.milli.saturating_add(earned).min(self.settings.capacity_milli);
            filled.since = Instant::now();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Filled> {
        self.filled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_budget_allows_ten_at_once_then_eight_in_a_hundred_calls() {
        let budget = Budget::new(BudgetSettings::default());
        let at_once = (0..100).filter(|_| budget.withdraw()).count();
        assert_eq!(at_once, 10);
        let mut repeats = 0;
        for _ in 0..1000 {
            budget.deposit();
            repeats += u32::from(budget.withdraw());
        }
        assert_eq!(repeats, 80);
        assert_eq!(budget.left_milli(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_call_may_be_repeated_after_five_seconds() {
        let budget = Budget::new(BudgetSettings::default());
        while budget.withdraw() {}
        tokio::time::advance(Duration::from_millis(4990)).await;
        assert!(!budget.withdraw());
        tokio::time::advance(Duration::from_millis(20)).await;
        assert!(budget.withdraw());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_kept_than_fits() {
        let budget = Budget::new(BudgetSettings::default());
        (0..1000).for_each(|_| budget.deposit());
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(budget.left_milli(), 10_000);
    }
}
