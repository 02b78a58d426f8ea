//! The policies of the process, among its instruments.

use std::sync::Arc;

use opentelemetry::KeyValue;

use crate::policy::{Action, Policies, Verdict};
use crate::telemetry::Telemetry;
use crate::telemetry::names::{label, metric};

/// Shows the policies among the instruments of `telemetry`; nothing where there are none.
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
