//! Many seeds on all cores.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::judge::Violation;
use super::mode::Mode;
use super::scenario::{self, Report};
use super::world::Keep;

/// What came of many seeds of one mode.
pub(crate) struct Tally {
    mode: Mode,
    pub(crate) runs: u64,
    /// The first violations, by seed.
    pub(crate) violations: BTreeMap<u64, Violation>,
    counts: BTreeMap<&'static str, u64>,
    seconds: f64,
}

/// Violations after which a series ends.
pub(crate) const ENOUGH: usize = 3;

/// Runs seeds until `enough` of them have shown a violation.
pub(crate) fn many(
    seeds: Range<u64>,
    mode: Mode,
    enough: usize,
    run: &(dyn Fn(u64) -> Report + Sync),
) -> Tally {
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Tally {
        mode,
        runs: 0,
        violations: BTreeMap::new(),
        counts: BTreeMap::new(),
        seconds: 0.0,
    });
    let began = tokio::time::Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || tally.lock().unwrap().violations.len() >= enough {
                        return;
                    }
                    let report = run(seed);
                    let mut tally = tally.lock().unwrap();
                    tally.runs += 1;
                    for (what, count) in report.counts {
                        *tally.counts.entry(what).or_default() += count;
                    }
                    if let Some(violation) = report.violation {
                        tally.violations.insert(seed, violation);
                    }
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap();
    tally.seconds = began.elapsed().as_secs_f64();
    tally
}

impl Tally {
    /// The counts, and the trace of the first failing seed.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(crate) fn print(&self) {
        let rate = self.runs as f64 / self.seconds.max(0.001);
        println!(
            "{}: {} seeds, {:.1} s, {rate:.0} seeds/s",
            self.mode.name(),
            self.runs,
            self.seconds
        );
        for (what, count) in &self.counts {
            println!("    {count:>9}  {what}");
        }
        for (seed, violation) in &self.violations {
            println!("  seed {seed} BROKE: {}: {}", violation.rule, violation.detail);
        }
        if let Some(seed) = self.violations.keys().next() {
            println!("  trace of seed {seed} of mode {}:", self.mode.name());
            let keep = Keep { trace: true, history: false };
            for line in scenario::run(*seed, self.mode, keep).trace {
                println!("  {line}");
            }
        }
    }
}
