//! The table at the end: medians over the rounds, and ratios to the floor.

use std::time::Duration;

use super::Round;
use super::contestants::Contestant;

/// Gathers lines of the table.
pub(crate) struct Report {
    lines: Vec<[String; 4]>,
    /// The sidecar's calls per second of its processor time, at 32 in flight.
    firsts: f64,
}

impl Report {
    pub(crate) fn new(contestants: &[Contestant], program: &str) -> Self {
        let mut report = Self { lines: Vec::new(), firsts: 0.0 };
        let binary = std::fs::metadata(program).unwrap().len();
        report.lines.push([
            "binary".into(),
            String::new(),
            format!("{:.1} MB", binary as f64 / 1e6),
            String::new(),
        ]);
        let started: Vec<f64> =
            contestants.iter().map(|it| it.started_in.as_secs_f64() * 1e3).collect();
        report.line("start to serving", &started, "ms");
        report
    }

    pub(crate) fn idle(&mut self, contestants: &[Contestant]) {
        let memory: Vec<f64> = contestants.iter().map(|it| it.memory_kib() as f64 / 1e3).collect();
        self.line("memory, idle", &memory, "MB");
    }

    pub(crate) fn shape(&mut self, name: &str, all: &[Vec<Round>]) {
        let over = |figure: fn(&Round) -> f64| -> Vec<f64> {
            all.iter().map(|rounds| median(rounds, figure)).collect()
        };
        self.line(&format!("{name}: processor time a call"), &over(cost_us), "µs");
        self.line(
            &format!("{name}: p50"),
            &over(|round| millis(round.measured.per_mille(500))),
            "ms",
        );
        self.line(
            &format!("{name}: p99"),
            &over(|round| millis(round.measured.per_mille(990))),
            "ms",
        );
        self.line(
            &format!("{name}: memory"),
            &over(|round| round.usage.memory_kib as f64 / 1e3),
            "MB",
        );
        let store =
            median(&all[1], |round| micros(round.usage.store) / round.measured.calls() as f64);
        self.lines.push([
            format!("{name}: the store's processor time a call"),
            String::new(),
            format!("{store:.1} µs"),
            String::new(),
        ]);
        if name == "32 in flight" {
            self.firsts = 1e6 / median(&all[1], cost_us);
        }
    }

    pub(crate) fn replays(&mut self, rounds: &[Round]) {
        let replays = 1e6 / median(rounds, cost_us);
        self.lines.push([
            "replays a processor second, to first calls".into(),
            String::new(),
            format!("{replays:.0} to {:.0}", self.firsts),
            format!("{:.2}", replays / self.firsts),
        ]);
    }

    fn line(&mut self, name: &str, figures: &[f64], unit: &str) {
        let shown = |figure: f64| format!("{figure:.2} {unit}");
        let ratio = figures[1] / figures[0];
        self.lines.push([name.into(), shown(figures[0]), shown(figures[1]), format!("{ratio:.2}")]);
    }

    pub(crate) fn print(&self) {
        println!("| figure | floor | sidecar | ratio |\n|---|---|---|---|");
        for line in &self.lines {
            println!("| {} |", line.join(" | "));
        }
    }
}

pub(crate) fn cost_us(round: &Round) -> f64 {
    micros(round.usage.own) / round.measured.calls() as f64
}

pub(crate) fn median(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
