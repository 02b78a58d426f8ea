//! The states that decide whether calls go through, as instruments that are read when somebody
//! looks. Their labels hold nothing that a caller chose.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::admission::Admission;
use crate::domain::{Account, Environment};
use crate::listen::Connections;
use crate::listen::tls::Terms;
use crate::readiness::Readiness;
use crate::telemetry::Telemetry;
use crate::telemetry::names::{label, metric};
use crate::upstream::{CircuitState, RateLimit, StackState};
use crate::zentra::KeyRing;

/// Who holds them.
#[derive(Clone)]
pub struct States {
    /// Whether calls are taken.
    pub readiness: Readiness,
    /// The way to Zentra.
    pub upstream: StackState,
    /// Zentra's key in use.
    pub key: Arc<KeyRing>,
    /// Whom the process serves.
    pub account: (Account, Environment),
}

/// What calls come in by, where they do.
#[derive(Clone)]
pub struct Doors {
    /// The door for calls.
    pub admission: Admission,
    /// The door for connections.
    pub connections: Connections,
    /// The terms of mutual TLS, where a listener has it.
    pub tls: Option<Arc<Terms>>,
}

impl Doors {
    /// Shows them among the instruments of `telemetry`.
    pub fn show(self, telemetry: &Telemetry) {
        let Self { admission, connections, tls } = self;
        let meter = telemetry.meter();
        gauge(meter, metric::CALL_PLACES_FREE, "Free places for calls.", move || {
            Some(count(admission.free()))
        });
        show_connections(meter, connections, tls);
    }
}

impl States {
    /// Shows them among the instruments of `telemetry`.
    pub fn show(self, telemetry: &Telemetry) {
        let Self { readiness, upstream, key, account } = self;
        let meter = telemetry.meter();
        show_account(meter, account);
        let ready = readiness.clone();
        gauge(meter, metric::READY, "Whether calls are taken (1) or not (0).", move || {
            Some(u64::from(ready.fault().is_none()))
        });
        gauge(meter, metric::STORE_REACHABLE, "Whether the store answers (1) or not.", move || {
            Some(u64::from(readiness.store_answers()))
        });
        let _gauge = meter
            .u64_observable_gauge(metric::KEY_INFO)
            .with_description("Zentra's key in use: always 1, the label tells which.")
            .with_callback(move |observer| {
                observer.observe(1, &[KeyValue::new(label::KEY_ID, key.id())]);
            })
            .build();
        show_upstream(meter, upstream);
    }
}

/// Alerts speak of accounts, and this alone says whose the process's other instruments are.
fn show_account(meter: &Meter, (account, environment): (Account, Environment)) {
    let labels = [
        KeyValue::new(label::ACCOUNT, account.as_str().to_owned()),
        KeyValue::new(label::ENVIRONMENT, environment.as_str()),
    ];
    let _gauge = meter
        .u64_observable_gauge(metric::ACCOUNT_INFO)
        .with_description("The account that the process serves: always 1, the labels tell which.")
        .with_callback(move |observer| observer.observe(1, &labels))
        .build();
}

fn show_connections(meter: &Meter, connections: Connections, tls: Option<Arc<Terms>>) {
    let (open, refused) = (connections.clone(), connections.clone());
    gauge(meter, metric::CONNECTIONS_OPEN, "Connections that there are.", move || {
        Some(count(open.open()))
    });
    let text = "Connections closed at once, as there was no place.";
    counter(meter, metric::CONNECTIONS_REFUSED, text, move || refused.refused());
    let text = "TLS handshakes that came to nothing.";
    counter(meter, metric::HANDSHAKES_FAILED, text, move || connections.refused_handshakes());
    let text = "When the certificate in force ends, in seconds of Unix time.";
    gauge(meter, metric::CERTIFICATE_END, text, move || {
        tls.as_ref().and_then(|terms| terms.not_after().try_into().ok())
    });
}

fn show_upstream(meter: &Meter, upstream: StackState) {
    let StackState { circuit, budget, rate_limit, places } = upstream;
    let state = circuit.clone();
    let _gauge = meter
        .u64_observable_gauge(metric::CIRCUIT_STATE)
        .with_description("Which state the circuit to Zentra is in.")
        .with_callback(move |observer| {
            let now = state.state();
            for (state, name) in [
                (CircuitState::Closed, "closed"),
                (CircuitState::Open, "open"),
                (CircuitState::HalfOpen, "half_open"),
            ] {
                observer.observe(u64::from(state == now), &[KeyValue::new(label::STATE, name)]);
            }
        })
        .build();
    counter(meter, metric::CIRCUIT_OPENED, "Times that the circuit to Zentra opened.", move || {
        circuit.times_opened()
    });
    let (paid, unpaid) = (budget.clone(), budget.clone());
    counter(meter, metric::RETRIES, "Repeats towards Zentra.", move || paid.repeats());
    counter(meter, metric::RETRIES_UNPAID, "Repeats that the budget had nothing for.", move || {
        unpaid.refused()
    });
    let _gauge = meter
        .f64_observable_gauge(metric::RETRY_BUDGET_LEFT)
        .with_description("Repeats that the retry budget has left.")
        .with_callback(move |observer| {
            // At most ten thousand thousandths: exact in a float.
            observer
                .observe(f64::from(u32::try_from(budget.left_milli()).unwrap_or(0)) / 1000.0, &[]);
        })
        .build();
    gauge(meter, metric::ZENTRA_PLACES_FREE, "Free places for requests at Zentra.", move || {
        Some(count(places.available_permits()))
    });
    show_rate_limit(meter, &rate_limit);
}

/// Zentra may have said nothing yet: nothing is better than a made-up number.
fn show_rate_limit(meter: &Meter, rate_limit: &Arc<RateLimit>) {
    type Read = fn(&RateLimit) -> Option<i64>;
    let gauges: [(&'static str, &'static str, Read); 3] = [
        (metric::RATE_LIMIT, "Requests that Zentra's present window allows.", RateLimit::limit),
        (metric::RATE_LIMIT_REMAINING, "What is left of them.", RateLimit::remaining),
        (
            metric::RATE_LIMIT_RESET,
            "When the window ends, in seconds of Unix time.",
            RateLimit::reset_unix_seconds,
        ),
    ];
    for (name, text, read) in gauges {
        let limit = rate_limit.clone();
        gauge(meter, name, text, move || read(&limit).and_then(|it| u64::try_from(it).ok()));
    }
}

fn gauge(
    meter: &Meter,
    name: &'static str,
    text: &'static str,
    read: impl Fn() -> Option<u64> + Send + Sync + 'static,
) {
    let _gauge = meter
        .u64_observable_gauge(name)
        .with_description(text)
        .with_callback(move |observer| {
            if let Some(value) = read() {
                observer.observe(value, &[]);
            }
        })
        .build();
}

fn counter(
    meter: &Meter,
    name: &'static str,
    text: &'static str,
    read: impl Fn() -> u64 + Send + Sync + 'static,
) {
    let _counter = meter
        .u64_observable_counter(name)
        .with_description(text)
        .with_callback(move |observer| observer.observe(read(), &[]))
        .build();
}

fn count(places: usize) -> u64 {
    u64::try_from(places).unwrap_or(u64::MAX)
}
