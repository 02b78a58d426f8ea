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
    let reports = scenarios::play(files, scenarios, &Account::new("default").unwrap()).unwrap();
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
            // Without its only limit, the file is to be taken away.
            fewer.limits = fewer.limits.filter(|text| text.contains("[[limit]]"));
            assert!(failed(&fewer, &stories) > 0, "{} without {}", folder.display(), limit.name);
            limits += 1;
        }
    }
    assert_eq!((rules, limits), (11, 4));
}

#[cfg(feature = "simulator")]
mod commands {
    use crate::support::process::{command, run};

    fn folder(name: &str) -> String {
        format!("{}/examples/policies/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    #[tokio::test]
    async fn a_policy_is_checked_tested_and_explained() {
        let schema = run(command(&["policy", "schema"])).await;
        assert!(schema.code == Some(0) && schema.stdout.contains("entity Service"), "{schema:?}");
        let checked = run(command(&["policy", "check", &folder("refund-window")])).await;
        assert_eq!(checked.code, Some(0), "{checked:?}");
        insta::assert_snapshot!("check", checked.stdout);
        let tested = run(command(&["policy", "test", &folder("checkout-ngn")])).await;
        assert_eq!(tested.code, Some(0), "{tested:?}");
        insta::assert_snapshot!("test", tested.stdout);
        let refunds = folder("refund-window");
        let mut explain = command(&["policy", "explain", &refunds, "--caller=support/desk"]);
        explain.args(["--action=Refund", "--amount=20000000", "--currency=NGN"]);
        explain.args(["--charge-amount=30000000", "--charge-age-seconds=60"]);
        let explained = run(explain).await;
        assert_eq!(explained.code, Some(1), "{explained:?}");
        insta::assert_snapshot!("explain", explained.stdout);
        let mut explain = command(&["policy", "explain", &refunds, "--caller=support/desk"]);
        explain.args(["--action=Refund", "--amount=100", "--currency=NGN"]);
        let ageless = run(explain).await;
        assert_eq!(ageless.code, Some(1), "{ageless:?}");
        insta::assert_snapshot!("explain_without_age", ageless.stdout);
    }

    /// A rule may speak of one account among several that share the policy.
    #[tokio::test]
    async fn a_policy_is_asked_as_the_sidecars_of_an_account_would_be() {
        let folder = tempfile::tempdir().unwrap();
        let rules = "permit(principal, action, resource);\n\
                     @id(\"not-eu\") forbid(principal, action, resource == Account::\"eu\");\n";
        std::fs::write(folder.path().join("rules.cedar"), rules).unwrap();
        let folder = folder.path().display().to_string();
        for (account, code, said) in [
            ("--account=eu", Some(1), "not-eu"),
            ("--account=us", Some(0), "permitted"),
            ("--account=e u", Some(2), "--account must be"),
        ] {
            let call = ["--caller=shop/checkout", "--action=Verify", account];
            let ended = run(command(&[&["policy", "explain", &folder], &call[..]].concat())).await;
            assert_eq!(ended.code, code, "{ended:?}");
            let all = ended.stdout + &ended.stderr;
            assert!(all.contains(said), "{said}: {all}");
        }
    }

    /// What rules permit may be more than a limit ever has room for.
    #[tokio::test]
    async fn a_call_that_no_window_has_room_for_is_told_to_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name, text| std::fs::write(folder.path().join(name), text).unwrap();
        write("rules.cedar", "permit(principal, action, resource);");
        let limit = "[[limit]]\nname = \"small\"\nmeasure = \"amount\"\nmost = 100\nwindow = \"1h\"\n\
                     actions = [\"Charge\"]\ncurrencies = [\"NGN\"]\n";
        write("limits.toml", limit);
        let folder = folder.path().display().to_string();
        for (amount, code, never_fits) in [("100", Some(0), false), ("101", Some(1), true)] {
            let mut explain = command(&["policy", "explain", &folder, "--caller=shop/checkout"]);
            explain.args(["--action=Charge", "--currency=NGN", "--amount", amount]);
            let ended = run(explain).await;
            let said = ended.stdout.contains("never fits: small has room for 100");
            assert_eq!((ended.code, said), (code, never_fits), "{ended:?}");
        }
    }

    #[tokio::test]
    async fn a_failing_scenario_ends_with_1_and_a_wrong_policy_with_2() {
        let copy = tempfile::tempdir().unwrap();
        let (rules, tests) = (copy.path().join("a.cedar"), copy.path().join("tests"));
        std::fs::write(&rules, "permit(principal, action, resource);").unwrap();
        std::fs::create_dir(&tests).unwrap();
        let story = "[[scenario]]\nname = \"nobody lists\"\n[[scenario.call]]\ncaller = \"a\"\n\
                     action = \"ListCharges\"\nexpect = \"no_rule\"\n";
        std::fs::write(tests.join("a.toml"), story).unwrap();
        let path = copy.path().display().to_string();
        let failed = run(command(&["policy", "test", &path])).await;
        assert_eq!(failed.code, Some(1), "{failed:?}");
        let told = "tests/a.toml:3:1: expected no_rule, was permitted by a#1";
        assert!(failed.stdout.contains(told), "{}", failed.stdout);
        std::fs::write(tests.join("a.toml"), story.replace("\"a\"", "5")).unwrap();
        let wrong = run(command(&["policy", "test", &path])).await;
        assert_eq!(wrong.code, Some(2), "{wrong:?}");
        assert!(wrong.stderr.contains("tests/a.toml:4:10: caller: must be a text"), "{wrong:?}");
        std::fs::write(&rules, "permit(principal, action").unwrap();
        for act in ["check", "test"] {
            let wrong = run(command(&["policy", act, &path])).await;
            assert_eq!(wrong.code, Some(2), "{wrong:?}");
            assert!(wrong.stderr.contains("a.cedar:1:"), "{wrong:?}");
        }
    }
}
