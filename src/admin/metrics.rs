//! `/metrics`, in Prometheus' text form: the states that decide whether calls go through. Its
//! labels hold nothing that a caller chose.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::admission::Admission;
use crate::listen::Connections;
use crate::listen::tls::Terms;
use crate::upstream::{CircuitState, StackState};
use crate::zentra::KeyRing;

/// What is shown.
#[derive(Clone)]
pub struct Shown {
    /// The door for calls.
    pub admission: Admission,
    /// The way to Zentra.
    pub upstream: StackState,
    /// Zentra's key in use.
    pub key: Arc<KeyRing>,
    /// The door for connections.
    pub connections: Connections,
    /// The terms of mutual TLS, where a listener has it.
    pub tls: Option<Arc<Terms>>,
}

impl Shown {
    /// All of it, as of now.
    pub(super) fn text(&self, is_ready: bool) -> String {
        let mut text = String::with_capacity(2048);
        let StackState { circuit, budget, rate_limit, places } = &self.upstream;
        gauge(&mut text, "ready", "Whether calls are taken (1) or not (0).", u64::from(is_ready));
        let key = format!("{{key_id=\"{}\"}}", self.key.id());
        let help = "Zentra's key in use: always 1, the label tells which.";
        one(&mut text, ("zentra_key_info", "gauge", help), &key, 1);
        head(&mut text, "circuit_state", "gauge", "Which state the circuit to Zentra is in.");
        let now = circuit.state();
        for (state, name) in [
            (CircuitState::Closed, "closed"),
            (CircuitState::Open, "open"),
            (CircuitState::HalfOpen, "half_open"),
        ] {
            let label = format!("{{state=\"{name}\"}}");
            sample(&mut text, "circuit_state", &label, u64::from(state == now));
        }
        let help = "How often the circuit to Zentra has opened.";
        one(&mut text, ("circuit_opened_total", "counter", help), "", circuit.times_opened());
        let help = "Repeats that the retry budget has left, in thousandths.";
        gauge(&mut text, "retry_budget_left_milli", help, budget.left_milli());
        let help = "Free places among the requests that are at Zentra at once.";
        gauge(&mut text, "zentra_places_free", help, count(places.available_permits()));
        let help = "Free places among the calls that are taken at once.";
        gauge(&mut text, "call_places_free", help, count(self.admission.free()));
        let help = "Calls that were refused with OVERLOADED at the door.";
        one(&mut text, ("calls_refused_total", "counter", help), "", self.admission.refused());
        self.connections_text(&mut text);
        for (name, help, value) in [
            (
                "zentra_rate_limit",
                "Requests that Zentra's present window allows.",
                rate_limit.limit(),
            ),
            ("zentra_rate_limit_remaining", "What is left of them.", rate_limit.remaining()),
            (
                "zentra_rate_limit_reset_timestamp_seconds",
                "When the window ends, in Unix time.",
                rate_limit.reset_unix_seconds(),
            ),
        ] {
            // Zentra has said nothing yet: nothing is better than a made-up number.
            if let Some(value) = value.and_then(|value| u64::try_from(value).ok()) {
                gauge(&mut text, name, help, value);
            }
        }
        text
    }

    fn connections_text(&self, text: &mut String) {
        let help = "Connections that there are.";
        gauge(text, "connections_open", help, count(self.connections.open()));
        let help = "Connections that were closed at once, as there was no place.";
        let refused = self.connections.refused();
        one(text, ("connections_refused_total", "counter", help), "", refused);
        let help = "TLS handshakes that came to nothing.";
        let failed = self.connections.refused_handshakes();
        one(text, ("tls_handshakes_failed_total", "counter", help), "", failed);
        let not_after = self.tls.as_ref().and_then(|terms| terms.not_after().try_into().ok());
        if let Some(not_after) = not_after {
            let help = "When the certificate in force ends, in Unix time.";
            gauge(text, "tls_certificate_not_after_timestamp_seconds", help, not_after);
        }
    }
}

fn count(places: usize) -> u64 {
    u64::try_from(places).unwrap_or(u64::MAX)
}

fn gauge(text: &mut String, name: &str, help: &str, value: u64) {
    one(text, (name, "gauge", help), "", value);
}

fn one(text: &mut String, (name, kind, help): (&str, &str, &str), labels: &str, value: u64) {
    head(text, name, kind, help);
    sample(text, name, labels, value);
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing into a text cannot fail.
    let _ = writeln!(text, "# HELP zentra_sidecar_{name} {help}");
    let _ = writeln!(text, "# TYPE zentra_sidecar_{name} {kind}");
}

fn sample(text: &mut String, name: &str, labels: &str, value: u64) {
    let _ = writeln!(text, "zentra_sidecar_{name}{labels} {value}");
}
