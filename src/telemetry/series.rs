//! Instruments whose series are looked up by their labels once, and not with each event.
//!
//! An event names its series by a key, which is cheap to make and to compare. What the labels are is
//! asked for the first time only.

use arc_swap::ArcSwap;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};

/// The series of an instrument that are known by their keys at most; those that came last.
const MOST_KNOWN: usize = 64;

/// A counter whose series are named by keys. Equal keys must stand for equal labels.
pub(super) struct Counts<K> {
    counter: Counter<u64>,
    known: Known<K, BoundCounter<u64>>,
}

impl<K: Clone + PartialEq> Counts<K> {
    pub(super) fn new(counter: Counter<u64>) -> Self {
        Self { counter, known: Known::new() }
    }

    /// Adds to the series of `key`, which has these labels.
    pub(super) fn add<L: AsRef<[KeyValue]>>(
        &self,
        key: K,
        value: u64,
        labels: impl FnOnce(&K) -> L,
    ) {
        if self.known.with(&key, |series| series.add(value)) {
            return;
        }
        let labels = labels(&key);
        // A series is born with its first event, and not by being looked up.
        self.counter.add(value, labels.as_ref());
        self.known.learn(key, || self.counter.bind(labels.as_ref()));
    }

    /// Shows a series from the start on, as nothing.
    pub(super) fn expect(&self, labels: &[KeyValue]) {
        self.counter.add(0, labels);
    }
}

/// A histogram of times whose series are named by keys. Equal keys must stand for equal labels.
pub(super) struct Times<K> {
    histogram: Histogram<f64>,
    known: Known<K, BoundHistogram<f64>>,
}

impl<K: Clone + PartialEq> Times<K> {
    pub(super) fn new(histogram: Histogram<f64>) -> Self {
        Self { histogram, known: Known::new() }
    }

    /// Records in the series of `key`, which has these labels.
    pub(super) fn record<L: AsRef<[KeyValue]>>(
        &self,
        key: K,
        seconds: f64,
        labels: impl FnOnce(&K) -> L,
    ) {
        if self.known.with(&key, |series| series.record(seconds)) {
            return;
        }
        let labels = labels(&key);
        self.histogram.record(seconds, labels.as_ref());
        self.known.learn(key, || self.histogram.bind(labels.as_ref()));
    }

    /// Records in a series that seldom has an event.
    pub(super) fn record_seldom(&self, seconds: f64, labels: &[KeyValue]) {
        self.histogram.record(seconds, labels);
    }
}

/// Few are known, and seldom one more: they are gone through one by one.
struct Known<K, B>(ArcSwap<Vec<(K, B)>>);

impl<K: Clone + PartialEq, B: Clone> Known<K, B> {
    fn new() -> Self {
        Self(ArcSwap::default())
    }

    /// Does `event` to the series of `key`; false where that is not known.
    fn with(&self, key: &K, event: impl FnOnce(&B)) -> bool {
        let known = self.0.load();
        let found = known.iter().find(|(it, _)| it == key);
        found.map(|(_, series)| event(series)).is_some()
    }

    fn learn(&self, key: K, bind: impl FnOnce() -> B) {
        let series = (key, bind());
        self.0.rcu(|known| {
            let mut known = Vec::clone(known);
            // Another thread may have had the same event.
            if known.iter().all(|(it, _)| *it != series.0) {
                // The oldest is looked up again, should it have an event yet: servers come and go.
                if known.len() >= MOST_KNOWN {
                    known.remove(0);
                }
                known.push(series.clone());
            }
            known
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    fn shown(telemetry: &Telemetry, name: &str) -> Vec<String> {
        let text = telemetry.prometheus_text();
        let lines = text.lines().filter(|it| it.starts_with(name));
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    fn label(value: &impl ToString) -> [KeyValue; 1] {
        [KeyValue::new("kind", value.to_string())]
    }

    fn known(_: &&str) -> [KeyValue; 1] {
        panic!("the series is known")
    }

    #[test]
    fn a_counters_series_is_born_with_its_first_event_and_known_from_then_on() {
        let telemetry = Telemetry::quiet();
        let counts = Counts::new(telemetry.meter().u64_counter("events").build());
        assert!(shown(&telemetry, "events").is_empty());
        counts.add("one", 2, |_| label(&"one"));
        assert_eq!(shown(&telemetry, "events"), ["events_total{kind=\"one\"} 2"]);
        counts.add("two", 1, |_| label(&"two"));
        counts.add("one", 3, known);
        let both = ["events_total{kind=\"one\"} 5", "events_total{kind=\"two\"} 1"];
        assert_eq!(shown(&telemetry, "events"), both);
    }

    #[test]
    fn times_of_a_known_series_are_those_of_an_unknown_one() {
        let telemetry = Telemetry::quiet();
        let histogram = telemetry.meter().f64_histogram("time").with_boundaries(vec![1.0]).build();
        let times = Times::new(histogram);
        assert!(shown(&telemetry, "time").is_empty());
        times.record("one", 0.5, |_| label(&"one"));
        times.record("one", 2.0, known);
        times.record_seldom(4.0, &label(&"one"));
        let expected = [
            "time_bucket{kind=\"one\",le=\"+Inf\"} 3",
            "time_bucket{kind=\"one\",le=\"1\"} 1",
            "time_count{kind=\"one\"} 3",
            "time_sum{kind=\"one\"} 6.5",
        ];
        assert_eq!(shown(&telemetry, "time_"), expected);
    }

    #[test]
    fn what_is_beyond_those_that_are_known_is_counted_too() {
        let telemetry = Telemetry::quiet();
        let counts = Counts::new(telemetry.meter().u64_counter("events").build());
        for _ in 0..2 {
            (0..=MOST_KNOWN).for_each(|kind| counts.add(kind, 1, |_| label(&kind)));
        }
        let lines = shown(&telemetry, "events");
        assert_eq!(lines.len(), MOST_KNOWN + 1);
        assert!(lines.iter().all(|line| line.ends_with(" 2")), "{lines:?}");
    }
}
