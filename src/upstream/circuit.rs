//! The circuit breaker's state: a pure machine over the moments that it is told.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Effect, Jitter};

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitSettings {
    /// Failures in a row that open it, those of writes and those of reads each by themselves: an
    /// answer below 500 to a write ends both rows, one to a read only that of reads, as a Zentra
    /// that reads may still not write.
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
    writes: bool,
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
    Closed(Row),
    Open { until: Instant, wait: Duration, writes_failed: bool },
    HalfOpen { wait: Duration, writes_failed: bool },
}

/// Failures in a row, in thousandths, and how long the circuit is to stay open after the last one.
#[derive(Clone, Copy)]
struct Row {
    writes_milli: u64,
    reads_milli: u64,
    wait: Duration,
}

impl Circuit {
    /// A closed circuit.
    #[must_use]
    pub fn new(settings: CircuitSettings, jitter: Jitter) -> Self {
        let state = State::Closed(Row::none(&settings));
        let inner = Inner { generation: 0, state, opened: 0 };
        Self { settings, jitter, inner: Mutex::new(inner) }
    }

    /// The present state.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        match self.lock().state {
            State::Closed(_) => CircuitState::Closed,
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
            State::Closed(_) => None,
            State::Open { until, .. } => Some(until - now).filter(|left| !left.is_zero()),
            State::HalfOpen { .. } => Some(self.while_probed()),
        }
    }

    /// Lets an exchange through, or says when the next probe is.
    pub(super) fn enter(&self, effect: Effect, now: Instant) -> Result<Pass, Duration> {
        let mut inner = self.lock();
        match inner.state {
            State::Closed(_) => {}
            State::Open { until, .. } if now < until => return Err(until - now),
            State::Open { wait, writes_failed, .. } => {
                inner.change(State::HalfOpen { wait, writes_failed });
            }
            State::HalfOpen { .. } => return Err(self.while_probed()),
        }
        Ok(Pass { generation: inner.generation, writes: effect == Effect::Write })
    }

    /// The wait until the next probe, where an exchange that was let through has waited since, and
    /// the circuit has opened meanwhile.
    pub(super) fn refuses_now(&self, pass: Pass, now: Instant) -> Option<Duration> {
        let inner = self.lock();
        match inner.state {
            _ if pass.generation == inner.generation => None,
            State::Closed(_) => None,
            State::Open { until, .. } => Some(until.saturating_duration_since(now)),
            State::HalfOpen { .. } => Some(self.while_probed()),
        }
    }

    /// Notes what an exchange that was let through has shown.
    pub(super) fn leave(&self, pass: Pass, health: Health, now: Instant) {
        let mut inner = self.lock();
        if pass.generation != inner.generation {
            return;
        }
        let failed_milli = self.failed_milli(health);
        match (inner.state, health) {
            (State::Closed(row), Health::Works) => {
                let none = Row::none(&self.settings);
                let left = if pass.writes { none } else { Row { reads_milli: 0, ..row } };
                inner.state = State::Closed(left);
            }
            (State::Closed(row), _) => {
                let row = row.and(pass.writes, failed_milli);
                inner.state = State::Closed(row);
                if row.writes_milli.max(row.reads_milli) >= self.enough_milli() {
                    self.open(&mut inner, row.wait, pass.writes, now);
                }
            }
            (State::HalfOpen { wait, writes_failed }, Health::Works) => {
                let row = if writes_failed && !pass.writes {
                    self.on_trust(wait)
                } else {
                    Row::none(&self.settings)
                };
                inner.change(State::Closed(row));
                tracing::info!("the circuit to Zentra is closed again");
            }
            (State::HalfOpen { wait, writes_failed }, _) if failed_milli >= FAILURE_MILLI => {
                self.open(&mut inner, self.longer(wait), writes_failed || pass.writes, now);
            }
            // A probe that does not show enough leaves its place to the next exchange.
            (State::HalfOpen { wait, writes_failed }, _) => {
                inner.change(State::Open { until: now, wait, writes_failed });
            }
            (State::Open { .. }, _) => {}
        }
    }

    /// Writes have failed, and a read was answered: the next write shows whether they work again.
    /// Where it fails, the wait is as long as if it had been the probe.
    fn on_trust(&self, wait: Duration) -> Row {
        let writes_milli = self.enough_milli().saturating_sub(FAILURE_MILLI);
        Row { writes_milli, reads_milli: 0, wait: self.longer(wait) }
    }

    /// How long those wait who come while a probe is under way, of which nobody knows how long it
    /// takes. Not all the same, as all of them may come once it is answered.
    fn while_probed(&self) -> Duration {
        self.jittered(self.settings.first_wait)
    }

    /// Within a tenth of the wait to either side.
    fn jittered(&self, wait: Duration) -> Duration {
        wait.mul_f64(0.9 + 0.2 * (self.jitter)())
    }

    fn longer(&self, wait: Duration) -> Duration {
        (wait * 2).min(self.settings.longest_wait)
    }

    fn enough_milli(&self) -> u64 {
        u64::from(self.settings.failures_to_open) * FAILURE_MILLI
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

    fn open(&self, inner: &mut Inner, wait: Duration, writes_failed: bool, now: Instant) {
        // So that sidecars do not probe in step.
        let jittered = self.jittered(wait);
        inner.change(State::Open { until: now + jittered, wait, writes_failed });
        inner.opened += 1;
        tracing::error!(wait = ?jittered, "the circuit to Zentra is open: nothing is sent");
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn none(settings: &CircuitSettings) -> Self {
        Self { writes_milli: 0, reads_milli: 0, wait: settings.first_wait }
    }

    fn and(mut self, writes: bool, failed_milli: u64) -> Self {
        let row = if writes { &mut self.writes_milli } else { &mut self.reads_milli };
        *row = row.saturating_add(failed_milli);
        self
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
            let pass = circuit.enter(Effect::Write, now).unwrap();
            circuit.leave(pass, Health::Fails, now);
        }
    }

    #[test]
    fn ten_failures_in_a_row_open_it() {
        let (circuit, now) = (circuit(), Instant::now());
        fail(&circuit, 9, now);
        let pass = circuit.enter(Effect::Write, now).unwrap();
        circuit.leave(pass, Health::Works, now);
        fail(&circuit, 9, now);
        assert_eq!(circuit.state(), CircuitState::Closed);
        fail(&circuit, 1, now);
        assert_eq!(circuit.state(), CircuitState::Open);
        assert_eq!(circuit.enter(Effect::Write, now), Err(SECOND));
        assert_eq!(circuit.refuses_for(now), Some(SECOND));
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let (circuit, now) = (circuit(), Instant::now());
        fail(&circuit, 10, now);
        let later = now + SECOND;
        assert_eq!(circuit.refuses_for(later), None);
        let probe = circuit.enter(Effect::Write, later).unwrap();
        assert_eq!(circuit.state(), CircuitState::HalfOpen);
        assert!(
            circuit.enter(Effect::Write, later).is_err() && circuit.refuses_for(later).is_some()
        );
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
            assert_eq!(circuit.enter(Effect::Write, now), Err(SECOND * seconds));
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
        let probe = circuit.enter(Effect::Write, later).unwrap();
        circuit.leave(probe, Health::Untold, later);
        assert!(circuit.enter(Effect::Write, later).is_ok());
    }

    fn silence(circuit: &Circuit, times: u32, milliseconds: u64, now: Instant) {
        for _ in 0..times {
            let pass = circuit.enter(Effect::Write, now).unwrap();
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
        let (slow, slower) = (
            circuit.enter(Effect::Write, now).unwrap(),
            circuit.enter(Effect::Write, now).unwrap(),
        );
        fail(&circuit, 10, now);
        circuit.leave(slow, Health::Works, now);
        assert_eq!(circuit.state(), CircuitState::Open);
        let later = now + SECOND;
        let probe = circuit.enter(Effect::Write, later).unwrap();
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
            assert_eq!(circuit.enter(Effect::Write, now).unwrap_err().as_millis(), wait_ms);
            // Those who come during the probe are not told the same either.
            let later = now + 2 * SECOND;
            circuit.enter(Effect::Write, later).unwrap();
            assert_eq!(circuit.enter(Effect::Write, later).unwrap_err().as_millis(), wait_ms);
            assert_eq!(circuit.refuses_for(later).unwrap().as_millis(), wait_ms);
        }
    }

    fn read(circuit: &Circuit, health: Health, now: Instant) {
        let pass = circuit.enter(Effect::Read, now).unwrap();
        circuit.leave(pass, health, now);
    }

    #[test]
    fn reads_that_work_do_not_hide_that_writes_fail() {
        let (circuit, now) = (circuit(), Instant::now());
        for _ in 0..9 {
            fail(&circuit, 1, now);
            read(&circuit, Health::Works, now);
        }
        assert_eq!(circuit.state(), CircuitState::Closed);
        fail(&circuit, 1, now);
        assert_eq!(circuit.state(), CircuitState::Open);
    }

    #[test]
    fn writes_that_work_say_that_zentra_works() {
        let (circuit, now) = (circuit(), Instant::now());
        for _ in 0..9 {
            read(&circuit, Health::Fails, now);
        }
        let pass = circuit.enter(Effect::Write, now).unwrap();
        circuit.leave(pass, Health::Works, now);
        read(&circuit, Health::Fails, now);
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    /// A read may be the probe, as there may be nothing but reads; a write still has to show it.
    #[test]
    fn after_a_read_as_the_probe_one_write_that_fails_opens_it_again() {
        let (circuit, now) = (circuit(), Instant::now());
        fail(&circuit, 10, now);
        read(&circuit, Health::Works, now + SECOND);
        assert_eq!(circuit.state(), CircuitState::Closed);
        fail(&circuit, 1, now + SECOND);
        assert_eq!(circuit.refuses_for(now + SECOND), Some(2 * SECOND), "as after a failed probe");
        read(&circuit, Health::Works, now + 3 * SECOND);
        let pass = circuit.enter(Effect::Write, now + 3 * SECOND).unwrap();
        circuit.leave(pass, Health::Works, now + 3 * SECOND);
        fail(&circuit, 9, now + 3 * SECOND);
        assert_eq!(circuit.state(), CircuitState::Closed, "a write that works forgives all");
        fail(&circuit, 1, now + 3 * SECOND);
        assert_eq!(circuit.refuses_for(now + 3 * SECOND), Some(SECOND));
    }

    #[test]
    fn what_waited_while_it_opened_is_not_sent() {
        let (circuit, now) = (circuit(), Instant::now());
        let waits = circuit.enter(Effect::Write, now).unwrap();
        assert_eq!(circuit.refuses_now(waits, now), None);
        fail(&circuit, 10, now);
        assert_eq!(circuit.refuses_now(waits, now), Some(SECOND));
        let probe = circuit.enter(Effect::Write, now + SECOND).unwrap();
        assert_eq!(circuit.refuses_now(waits, now + SECOND), Some(SECOND), "one at a time");
        assert_eq!(circuit.refuses_now(probe, now + SECOND), None);
        circuit.leave(probe, Health::Works, now + SECOND);
        assert_eq!(circuit.refuses_now(waits, now + SECOND), None);
    }
}
