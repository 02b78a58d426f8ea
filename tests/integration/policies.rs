//! The worked policies: each passes its scenarios, and each of their rules and limits is missed by
//! one where it is gone.

use std::path::{Path, PathBuf};

use zentra_sidecar::domain::{Account, Environment};
use zentra_sidecar::policy::scenarios::{self, Scenario};
use zentra_sidecar::policy::{Files, Policy, read_scenarios};

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/policies");
    let mut folders: Vec<_> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn failed(files: &Files, scenarios: &[Scenario]) -> usize {
    let reports = scenarios::play(files, scenarios).unwrap();
    reports.iter().filter(|report| !report.failures.is_empty()).count()
}

/// The file without the rule or limit that begins in a line; what a comment before it says stays.
fn without(text: &str, line: usize, next: Option<usize>) -> String {
    let end = next.map_or(usize::MAX, |next| next - 1);
    let kept = text.lines().enumerate().filter(|(at, _)| *at < line - 1 || *at >= end);
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

#[test]
fn every_worked_policy_passes_and_each_rule_removed_makes_a_scenario_fail() {
    let (mut rules, mut limits) = (0, 0);
    for folder in folders() {
        let files = Files::read(&folder).unwrap();
        let stories = scenarios::read(&read_scenarios(&folder).unwrap()).unwrap();
        let place = (Account::new("default").unwrap(), Environment::Live);
        let policy = Policy::new(&files, place).unwrap();
        assert_eq!(failed(&files, &stories), 0, "{}", folder.display());
        for (number, rule) in policy.rules().iter().enumerate() {
            let mut fewer = files.clone();
            let file = fewer.rules.iter_mut().find(|(name, _)| *name == rule.file).unwrap();
            let next = policy.rules().get(number + 1).filter(|next| next.file == rule.file);
            file.1 = without(&file.1, rule.line, next.map(|next| next.line));
            assert!(failed(&fewer, &stories) > 0, "{} without {}", folder.display(), rule.id);
            rules += 1;
        }
        for (number, limit) in policy.limits().iter().enumerate() {
            let mut fewer = files.clone();
            let next = policy.limits().get(number + 1).map(|next| next.line);
            fewer.limits = fewer.limits.map(|text| without(&text, limit.line, next));
            assert!(failed(&fewer, &stories) > 0, "{} without {}", folder.display(), limit.name);
            limits += 1;
        }
    }
    assert_eq!((rules, limits), (11, 4));
}
