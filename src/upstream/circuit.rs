//! The circuit breaker's state: a pure machine over the moments that it is told.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Jitter;

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitSettings {
    /// Failures in a row, without any answer below 500 between them, that open it.
    pub failures_to_open: u32,
    /// The silence that is a failure, where a caller does not wait for the answer. A shorter one
    /// is that part of a failure: callers in a hurry say less of Zentra than patient ones.
    pub silence_of_a_failure: Duration,
    /// How long it stays open at first; doubled each time that a probe fails.
    pub first_wait: Duration,
    /// What doubling ends at.
    pub longest_wait: Duration,
}

impl Default for CircuitSettings {
    fn default() -> Self {
        Self {
            failures_to_open: 10,
            silence_of_a_failure: Duration::from_secs(1),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(10),
        }
    }
}

/// A failure, in thousandths of one.
const FAILURE_MILLI: u64 = 1000;

/// What the circuit lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Everything.
    Closed,
    /// Nothing, until its wait is over.
    Open,
    /// A single probe, whose answer decides.
    HalfOpen,
}

/// What an exchange says about Zentra.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It answers, whatever the answer.
    Works,
    /// A 5xx, no answer in time, a broken or refused connection.
    Fails,
    /// No answer for so long, and then nobody waited for one any more.
    Silent(Duration),
    /// Nothing: the exchange did not come to that.
    Untold,
}

/// Whose result counts: one that was let through before the circuit last changed does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    generation: u64,
}

/// A circuit breaker over consecutive failures.
pub struct Circuit {
    settings: CircuitSettings,
    jitter: Jitter,
    inner: Mutex<Inner>,
}

struct Inner {
    generation: u64,
    state: State,
    /// Times it was opened.
    opened: u64,
}

#[derive(Clone, Copy)]
enum State {
    /// Failures in a row, in thousandths.
    Closed {
        failures_milli: u64,
    },
    Open {
        until: Instant,
        wait: Duration,
    },
    HalfOpen {
        wait: Duration,
    },
}

impl Circuit {
    /// A closed circuit.
    #[must_use]
    pub fn new(settings: CircuitSettings, jitter: Jitter) -> Self {
        let inner = Inner { generation: 0, state: State::Closed { failures_milli: 0 }, opened: 0 };
        Self { settings, jitter, inner: Mutex::new(inner) }
    }

    /// The present state.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        match self.lock().state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// How often it has opened.
    #[must_use]
    pub fn times_opened(&self) -> u64 {
        self.lock().opened
    }

    /// How long nothing more is let through; none where something is.
    #[must_use]
    pub fn refuses_for(&self, now: Instant) -> Option<Duration> {
        match self.lock().state {
            State::Closed { .. } => None,
            State::Open { until, .. } => Some(until - now).filter(|left| !left.is_zero()),
            State::HalfOpen { .. } => Some(self.settings.first_wait),
        }
    }

    /// Lets an exchange through, or says when the next probe is.
    pub(super) fn enter(&self, now: Instant) -> Result<Pass, Duration> {
        let mut inner = self.lock();
        match inner.state {
            State::Closed { .. } => {}
            State::Open { until, .. } if now < until => return Err(until - now),
            State::Open { wait, .. } => inner.change(State::HalfOpen { wait }),
            State::HalfOpen { .. } => return Err(self.settings.first_wait),
        }
        Ok(Pass { generation: inner.generation })
    }

    /// Notes what an exchange that was let through has shown.
    pub(super) fn leave(&self, pass: Pass, health: Health, now: Instant) {
        let mut inner = self.lock();
        if pass.generation != inner.generation {
            return;
        }
        let failed_milli = self.failed_milli(health);
        match (inner.state, health) {
            (State::Closed { .. }, Health::Works) => {
                inner.state = State::Closed { failures_milli: 0 };
            }
            (State::Closed { failures_milli }, _) => {
                let failures_milli = failures_milli + failed_milli;
                inner.state = State::Closed { failures_milli };
                if failures_milli >= u64::from(self.settings.failures_to_open) * FAILURE_MILLI {
                    self.open(&mut inner, self.settings.first_wait, now);
                }
            }
            (State::HalfOpen { .. }, Health::Works) => {
                inner.change(State::Closed { failures_milli: 0 });
                tracing::info!("the circuit to Zentra is closed again");
            }
            (State::HalfOpen { wait }, _) if failed_milli >= FAILURE_MILLI => {
                self.open(&mut inner, (wait * 2).min(self.settings.longest_wait), now);
            }
            // A probe that does not show enough leaves its place to the next exchange.
            (State::HalfOpen { wait }, _) => inner.change(State::Open { until: now, wait }),
            (State::Open { .. }, _) => {}
        }
    }

    /// How much of a failure an exchange was, in thousandths.
    fn failed_milli(&self, health: Health) -> u64 {
        match health {
            Health::Works | Health::Untold => 0,
            Health::Fails => FAILURE_MILLI,
            Health::Silent(time) => {
                let whole = self.settings.silence_of_a_failure.as_millis().max(1);
                let part = time.as_millis() * u128::from(FAILURE_MILLI) / whole;
                u64::try_from(part).unwrap_or(u64::MAX).min(FAILURE_MILLI)
            }
        }
    }

    fn open(&self, inner: &mut Inner, wait: Duration, now: Instant) {
        // Within a tenth of the wait to either side, so that sidecars do not probe in step.
        let jittered = wait.mul_f64(0.9 + 0.2 * (self.jitter)());
        inner.change(State::Open { until: now + jittered, wait });
        inner.opened += 1;
        tracing::error!(wait = ?jittered, "the circuit to Zentra is open: nothing is sent");
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn change(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Without jitter: half of the span is the wait itself.
    fn circuit() -> Circuit {
        Circuit::new(CircuitSettings::default(), Arc::new(|| 0.5))
    }

    fn fail(circuit: &Circuit, times: u32, now: Instant) {
        for _ in 0..times {
            let pass = circuit.enter(now).unwrap();
            circuit.leave(pass, Health::Fails, now);
        }
    }

    #[test]
    fn ten_failures_in_a_row_open_it() {
        let (circuit, now) = (circuit(), Instant::now());
        fail(&circuit, 9, now);
        let pass = circuit.enter(now).unwrap();
        circuit.leave(pass, Health::Works, now);
        fail(&circuit, 9, now);
        assert_eq!(circuit.state(), CircuitState::Closed);
        fail(&circuit, 1, now);
        assert_eq!(circuit.state(), CircuitState::Open);
        assert_eq!(circuit.enter(now), Err(SECOND));
        assert_eq!(circuit.refuses_for(now), Some(SECOND));
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let (circuit, now) = (circuit(), Instant::now());
        fail(&circuit, 10, now);
        let later = now + SECOND;
        assert_eq!(circuit.refuses_for(later), None);
        let probe = circuit.enter(later).unwrap();
        assert_eq!(circuit.state(), CircuitState::HalfOpen);
        assert!(circuit.enter(later).is_err() && circuit.refuses_for(later).is_some());
        circuit.leave(probe, Health::Works, later);
        assert_eq!(circuit.state(), CircuitState::Closed);
        // It takes ten failures again.
        fail(&circuit, 9, later);
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let (circuit, mut now) = (circuit(), Instant::now());
        fail(&circuit, 10, now);
        for seconds in [1, 2, 4, 8, 10, 10] {
            assert_eq!(circuit.enter(now), Err(SECOND * seconds));
            now += SECOND * seconds;
            fail(&circuit, 1, now);
        }
        assert_eq!(circuit.times_opened(), 7);
    }

    #[test]
    fn a_probe_that_shows_nothing_makes_way_for_the_next() {
        let (circuit, now) = (circuit(), Instant::now());
        fail(&circuit, 10, now);
        let later = now + SECOND;
        let probe = circuit.enter(later).unwrap();
        circuit.leave(probe, Health::Untold, later);
        assert!(circuit.enter(later).is_ok());
    }

    fn silence(circuit: &Circuit, times: u32, milliseconds: u64, now: Instant) {
        for _ in 0..times {
            let pass = circuit.enter(now).unwrap();
            circuit.leave(pass, Health::Silent(Duration::from_millis(milliseconds)), now);
        }
    }

    #[test]
    fn silence_counts_by_its_length_and_never_more_than_a_failure() {
        for (milliseconds, times) in [(1000, 10), (9000, 10), (500, 20), (100, 100)] {
            let (circuit, now) = (circuit(), Instant::now());
            silence(&circuit, times - 1, milliseconds, now);
            assert_eq!(circuit.state(), CircuitState::Closed, "{milliseconds} ms");
            silence(&circuit, 1, milliseconds, now);
            assert_eq!(circuit.state(), CircuitState::Open, "{milliseconds} ms");
        }
        let (circuit, now) = (circuit(), Instant::now());
        silence(&circuit, 1000, 0, now);
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[test]
    fn a_probe_that_is_cut_off_fails_only_after_a_whole_silence() {
        let (circuit, now) = (circuit(), Instant::now());
        fail(&circuit, 10, now);
        let later = now + SECOND;
        silence(&circuit, 3, 999, later);
        assert_eq!(circuit.refuses_for(later), None, "the next exchange is a probe again");
        silence(&circuit, 1, 1000, later);
        assert_eq!(circuit.refuses_for(later), Some(2 * SECOND));
    }

    #[test]
    fn late_answers_of_before_do_not_count() {
        let (circuit, now) = (circuit(), Instant::now());
        let (slow, slower) = (circuit.enter(now).unwrap(), circuit.enter(now).unwrap());
        fail(&circuit, 10, now);
        circuit.leave(slow, Health::Works, now);
        assert_eq!(circuit.state(), CircuitState::Open);
        let later = now + SECOND;
        let probe = circuit.enter(later).unwrap();
        circuit.leave(slower, Health::Fails, later);
        assert_eq!(circuit.state(), CircuitState::HalfOpen);
        circuit.leave(probe, Health::Works, later);
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[test]
    fn the_wait_is_jittered_by_a_tenth() {
        for (draw, wait_ms) in [(0.0, 900), (0.999_999, 1099)] {
            let circuit = Circuit::new(CircuitSettings::default(), Arc::new(move || draw));
            let now = Instant::now();
            fail(&circuit, 10, now);
            assert_eq!(circuit.enter(now).unwrap_err().as_millis(), wait_ms);
        }
    }
}
