//! The effective settings as a person reads them; secrets are masked.

use std::fmt::Write as _;

use super::Settings;
use crate::gateway::CardData;
use crate::policy::{Policies, Role};
use crate::telemetry::settings::{Destination, Protocol};

/// One line a setting, `name = value`.
#[must_use]
pub fn show(settings: &Settings) -> String {
    let card_data = match settings.card_data {
        CardData::Refuse => "refuse",
        CardData::Accept => "accept",
    };
    let policy = |role| shown_policy(&settings.policies, role);
    let limits = settings.upstream.limits;
    let proxy = settings.zentra_proxy.as_ref().map_or("none".to_owned(), ToString::to_string);
    let none = || "none".to_owned();
    let rules = settings.tls.as_ref().map(|terms| terms.rules());
    let trust_domain = rules.map_or_else(none, |rules| rules.trust_domain.to_string());
    let allowed_ids = rules.map_or_else(none, |rules| joined(&rules.allowed));
    let headers = settings.otlp_headers.as_ref().map_or_else(none, |headers| {
        let names = headers.names();
        names.iter().map(|name| format!("{name}=***")).collect::<Vec<_>>().join(",")
    });
    let uids = settings.unix_peer_uids.as_ref().map_or("anybody".to_owned(), |it| joined(it));
    let lines = [
        ("listen", joined(&settings.listen)),
        ("admin-listen", settings.admin_listen.to_string()),
        ("tls-trust-domain", trust_domain),
        ("tls-allowed-ids", allowed_ids),
        ("unix-peer-uids", uids),
        ("connections", settings.connections.connections.to_string()),
        ("connection-age-seconds", settings.connections.age.as_secs().to_string()),
        ("zentra-url", settings.zentra_url.as_str().to_owned()),
        ("zentra-key", format!("sk_{}_***", settings.environment())),
        ("environment", settings.environment().to_string()),
        ("store", settings.store.shown()),
        ("store-timeout-ms", settings.store.step_timeout.as_millis().to_string()),
        ("fingerprint-keys", settings.store.keys_shown()),
        ("lease-seconds", (settings.engine.periods.lease_ms / 1000).to_string()),
        ("retention-hours", (settings.engine.periods.retention_ms / 3_600_000).to_string()),
        ("resend-window-minutes", (settings.engine.resend_window.as_secs() / 60).to_string()),
        ("reconcile-seconds", settings.reconciler.interval.as_secs().to_string()),
        ("limits-after-loss", settings.engine.after_loss.as_str().to_owned()),
        ("account", settings.account.as_str().to_owned()),
        ("caller", settings.caller.to_string()),
        ("card-data", card_data.to_owned()),
        ("policy", policy(Role::Active)),
        ("policy-candidate", policy(Role::Candidate)),
        ("policy-mode", settings.policies.mode().as_str().to_owned()),
        ("minimum-deadline-ms", settings.deadlines.minimum.as_millis().to_string()),
        ("deadline-margin-ms", settings.deadlines.margin.as_millis().to_string()),
        ("default-deadline-seconds", settings.deadlines.default.as_secs().to_string()),
        ("calls-in-flight", settings.admission.in_flight.to_string()),
        ("calls-waiting", settings.admission.waiting.to_string()),
        ("zentra-proxy", proxy),
        ("zentra-requests-in-flight", settings.upstream.requests_in_flight.to_string()),
        ("connect-timeout-ms", limits.connect_timeout.as_millis().to_string()),
        ("attempt-timeout-seconds", limits.attempt_timeout.as_secs().to_string()),
        ("drain-seconds", settings.drain.as_secs().to_string()),
        ("audit-log", settings.audit.to_string()),
        ("otlp-headers", headers),
        ("otel-traces", exported(settings.otel.traces.as_ref())),
        ("otel-metrics", exported(settings.otel.metrics.as_ref())),
    ];
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{name:width$} = {value}");
        text
    })
}

fn shown_policy(policies: &Policies, role: Role) -> String {
    let Some(watched) = policies.watched().find(|it| it.role() == role) else {
        return "none".to_owned();
    };
    format!("{} ({})", watched.folder().display(), watched.policy().hash())
}

fn joined(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn exported(to: Option<&Destination>) -> String {
    match to.map(|to| to.protocol) {
        None => "none",
        Some(Protocol::Grpc) => "otlp, grpc",
        Some(Protocol::Http) => "otlp, http/protobuf",
    }
    .to_owned()
}
