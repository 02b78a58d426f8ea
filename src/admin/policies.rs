//! The policies of the process, among its instruments.

use std::sync::Arc;

use opentelemetry::KeyValue;

use crate::policy::{Action, Policies, Role, Verdict};
use crate::telemetry::Telemetry;
use crate::telemetry::names::{label, metric};

/// What stands for the mode and the content of a policy where there is none: a sidecar that allows
/// all differs most from those of its account that have one.
const NONE: &str = "none";

/// Shows the policies among the instruments of `telemetry`, and where there is none that there is none.
pub fn show_policies(telemetry: &Telemetry, policies: &Arc<Policies>) {
    if policies.active().is_some() {
        let actions = Action::ALL.map(Action::as_str);
        telemetry.measures().expect_decisions(actions, Verdict::Failed.as_str());
    }
    let meter = telemetry.meter();
    let shown = policies.clone();
    let _info = meter
        .u64_observable_gauge(metric::POLICY_INFO)
        .with_description("The policies in use: always 1, the labels tell which.")
        .with_callback(move |observer| {
            if shown.active().is_none() {
                let role = KeyValue::new(label::ROLE, Role::Active.as_str());
                let none = [label::MODE, label::HASH].map(|name| KeyValue::new(name, NONE));
                let [mode, hash] = none;
                observer.observe(1, &[role, mode, hash]);
            }
            for watched in shown.watched() {
                let labels = [
                    KeyValue::new(label::ROLE, watched.role().as_str()),
                    KeyValue::new(label::MODE, shown.mode().as_str()),
                    KeyValue::new(label::HASH, watched.policy().hash().to_string()),
                ];
                observer.observe(1, &labels);
            }
        })
        .build();
    let shown = policies.clone();
    let _stale = meter
        .u64_observable_gauge(metric::POLICY_STALE)
        .with_description("Whether a policy's folder holds what is no policy (1) or not (0).")
        .with_callback(move |observer| {
            for watched in shown.watched() {
                let labels = [KeyValue::new(label::ROLE, watched.role().as_str())];
                observer.observe(u64::from(watched.is_stale()), &labels);
            }
        })
        .build();
    let shown = policies.clone();
    let _reloads = meter
        .u64_observable_counter(metric::POLICY_RELOADS)
        .with_description("Changed folders of policies, taken or refused.")
        .with_callback(move |observer| {
            for watched in shown.watched() {
                let (taken, refused) = watched.reloads();
                for (result, count) in [("taken", taken), ("refused", refused)] {
                    let labels = [
                        KeyValue::new(label::ROLE, watched.role().as_str()),
                        KeyValue::new(label::RESULT, result),
                    ];
                    observer.observe(count, &labels);
                }
            }
        })
        .build();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Account, Environment};
    use crate::policy::{Mode, Watched};

    fn shown(policies: Policies) -> Vec<String> {
        let telemetry = Telemetry::quiet();
        show_policies(&telemetry, &Arc::new(policies));
        let is_info = |line: &&str| line.starts_with("zentra_sidecar_policy_info");
        telemetry.prometheus_text().lines().filter(is_info).map(str::to_owned).collect()
    }

    #[test]
    fn a_policy_is_told_by_its_content_and_so_is_that_there_is_none() {
        let named = |mode: &str, hash: &str| {
            let labels = format!(r#"hash="{hash}",mode="{mode}",role="active""#);
            [format!("zentra_sidecar_policy_info{{{labels}}} 1")]
        };
        assert_eq!(shown(Policies::none()), named("none", "none"));

        let folder = tempfile::tempdir().unwrap();
        let rules = "permit(principal, action, resource);";
        std::fs::write(folder.path().join("a.cedar"), rules).unwrap();
        let place = (Account::new("default").unwrap(), Environment::Simulated);
        let watched = Watched::load(Role::Active, folder.path(), place).unwrap();
        let hash = watched.policy().hash().to_owned();
        let policies = Policies::new(Some(watched), None, Mode::Observe);
        assert_eq!(shown(policies), named("observe", &hash));
    }
}
