//! What is counted: at the store, and by the test itself.

use std::collections::{BTreeMap, BTreeSet};

use zentra_sidecar::domain::Reference;
use zentra_sidecar::idempotency::CounterId;

use super::super::lab::Lab;

/// Length of the windows that no round sees the end of.
pub(super) const DAYS_31: &str = "2678400";

/// All counters and the records of a round, at one moment between two steps of the store's.
const SNAPSHOT: &str = r"
local time, records, counters = redis.call('TIME'), {}, {}
for _, key in ipairs(redis.call('KEYS', '*:r:*')) do
  local it = redis.call('HMGET', key, 'reference', 'state', 'first_sent', 'held', 'reservations')
  if string.find(it[1] or '', ARGV[1], 1, true) then
    records[#records + 1] = { it[1], it[2], it[3], it[4] and it[5] or '' }
  end
end
for _, key in ipairs(redis.call('KEYS', '*:l:*')) do
  local it = redis.call('HMGET', key, 'window', 'sum')
  counters[#counters + 1] = { string.match(key, '%x+$'), it[1], it[2] }
end
return { time[1], records, counters }
";

/// Forgets what was counted: a round has limits of its own.
const FORGET: &str = "for _, k in ipairs(redis.call('KEYS', '*:l:*')) do redis.call('DEL', k) end";

pub(super) async fn forget_counters(lab: &Lab) {
    lab.redis().ask::<()>(&["EVAL", FORGET, "0"]).await;
}

/// What a payment takes from one count of a limit.
pub(super) struct Take {
    /// The limit and whose count it is, for people.
    pub(super) name: String,
    pub(super) counter: String,
    pub(super) amount: i64,
    pub(super) most: i64,
}

impl Take {
    /// From a limit's count of `key`; `definition` is what the limit counts, as sidecars name it.
    pub(super) fn of(limit: &str, definition: &str, key: &str, amount: i64, most: i64) -> Self {
        let counter = CounterId::new(["limit", limit, definition, key]).to_string();
        Self { name: format!("{limit} of {key}"), counter, amount, most }
    }

    /// From what is left of a charge.
    pub(super) fn of_charge(reference: &str, amount: i64, most: i64) -> Self {
        let counter = CounterId::refunded(&Reference::new(reference).unwrap()).to_string();
        Self { name: reference.to_owned(), counter, amount, most }
    }
}

/// Sums by counter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums(BTreeMap<String, i64>);

impl Sums {
    pub(super) fn add(&mut self, counter: &str, amount: i64) {
        *self.0.entry(counter.to_owned()).or_default() += amount;
    }

    pub(super) fn add_all(&mut self, takes: &[Take]) {
        takes.iter().for_each(|take| self.add(&take.counter, take.amount));
    }

    pub(super) fn add_sums(&mut self, other: &Self) {
        other.0.iter().for_each(|(counter, amount)| self.add(counter, *amount));
    }

    pub(super) fn of(&self, counter: &str) -> i64 {
        self.0.get(counter).copied().unwrap_or_default()
    }

    /// Whether there is room for all of it.
    pub(super) fn have_room_for(&self, takes: &[Take]) -> bool {
        takes.iter().all(|take| self.of(&take.counter) + take.amount <= take.most)
    }

    /// No count of these is exceeded.
    #[track_caller]
    pub(super) fn are_within(&self, takes: &[Take], seed: u64) {
        for Take { name, counter, most, .. } in takes {
            assert!(self.of(counter) <= *most, "seed {seed}: {name}: {}", self.of(counter));
        }
    }
}

/// A payment as the store has it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) reference: String,
    /// `SENT`, `UNKNOWN`, `DONE` or `CONFLICT`.
    pub(super) state: String,
    /// When it was claimed; milliseconds on the store's clock.
    pub(super) claimed_ms: u64,
    /// What it has taken, where that counts.
    pub(super) holds: Vec<Held>,
}

impl Kept {
    pub(super) fn is_done(&self) -> bool {
        self.state == "DONE"
    }
}

/// So much of one window of a counter.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) counter: String,
    pub(super) window: u64,
    pub(super) amount: i64,
}

/// What the store has at one moment.
pub(super) struct Snapshot {
    pub(super) now_s: u64,
    pub(super) records: Vec<Kept>,
    /// Window and sum of each counter.
    pub(super) counters: BTreeMap<String, (u64, i64)>,
}

impl Snapshot {
    /// Of the payments with this text in their reference, and of all counters.
    pub(super) async fn of(lab: &Lab, text: &str) -> Self {
        type Answer = (u64, Vec<(String, String, u64, String)>, Vec<(String, u64, i64)>);
        let (now_s, records, counters) =
            lab.redis().ask::<Answer>(&["EVAL", SNAPSHOT, "0", text]).await;
        let kept = |(reference, state, claimed_ms, lines): (String, String, u64, String)| Kept {
            reference,
            state,
            claimed_ms,
            holds: lines.lines().map(held).collect(),
        };
        let counters = counters.into_iter().map(|(id, window, sum)| (id, (window, sum)));
        let records = records.into_iter().map(kept).collect();
        Self { now_s, records, counters: counters.collect() }
    }

    pub(super) fn record(&self, reference: &str) -> Option<&Kept> {
        self.records.iter().find(|it| it.reference == reference)
    }

    /// Each counter is the sum of what records hold of its window: nothing counts twice, and what a
    /// record has given back does not count. So it is at each moment, whatever is under way or lost.
    /// Where windows end, counters are gone with them.
    #[track_caller]
    pub(super) fn agrees(&self, seed: u64, is_over: impl Fn(u64) -> bool) {
        let mut held = BTreeMap::<(&str, u64), i64>::new();
        for it in self.records.iter().flat_map(|record| &record.holds) {
            *held.entry((&it.counter, it.window)).or_default() += it.amount;
        }
        for (id, (window, sum)) in &self.counters {
            let records = held.remove(&(id.as_str(), *window)).unwrap_or_default();
            assert_eq!(*sum, records, "seed {seed}: counter {id} and what records hold of it");
        }
        for ((id, window), amount) in held {
            let is_newer = self.counters.get(id).is_some_and(|(newer, _)| *newer > window);
            assert!(
                amount == 0 || is_newer || is_over(window),
                "seed {seed}: {amount} of {id} in {window} is counted nowhere"
            );
        }
    }

    /// What is held for payments whose outcome the store does not know: nobody may take it, as they
    /// may have been made.
    pub(super) fn doubt(&self) -> (Sums, BTreeSet<&str>) {
        let (mut sums, mut references) = (Sums::default(), BTreeSet::new());
        for record in self.records.iter().filter(|record| !record.is_done()) {
            references.insert(record.reference.as_str());
            record.holds.iter().for_each(|it| sums.add(&it.counter, it.amount));
        }
        (sums, references)
    }

    /// The counters are these sums, and nothing else.
    #[track_caller]
    pub(super) fn counts(&self, mut sums: Sums, seed: u64) {
        let counted = self.counters.iter().map(|(id, (_, sum))| (id.clone(), *sum));
        let counted: BTreeMap<_, _> = counted.filter(|(_, sum)| *sum != 0).collect();
        sums.0.retain(|_, sum| *sum != 0);
        assert_eq!(
            Sums(counted),
            sums,
            "seed {seed}: counters, and what was made or may have been"
        );
    }
}

fn held(line: &str) -> Held {
    let words: Vec<&str> = line.split(' ').collect();
    let [counter, window, _, amount] = words[..] else { panic!("{line}") };
    Held {
        counter: counter.to_owned(),
        window: window.parse().unwrap(),
        amount: amount.parse().unwrap(),
    }
}
