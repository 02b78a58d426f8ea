//! OpenTelemetry's own variables, `OTEL_*`, read and checked with all other settings.
//!
//! Some are read here, and some by the SDK and the exporter (resource attributes, endpoints,
//! headers). Those are checked here all the same, as the libraries pass over what they cannot read.

use std::str::FromStr;
use std::time::Duration;

use opentelemetry_sdk::metrics::Temporality;

use super::export::QueueSettings;
use super::headers::Headers;

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`
    Grpc {
        /// Whether over TLS, as the endpoint says.
        tls: bool,
    },
    /// `http/protobuf`
    Http,
}

/// What is exported, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtelSettings {
    /// Spans over OTLP.
    pub traces: Option<Protocol>,
    /// Metrics over OTLP; `/metrics` is served in any case.
    pub metrics: Option<Protocol>,
    /// How spans wait and leave.
    pub queue: QueueSettings,
    /// How metrics leave.
    pub push: PushSettings,
    /// How long one sending may take, whatever `queue` and `push` allow.
    pub sending: SendingTimeouts,
    /// Whether a variable holds headers for the collectors, which the exporters read by themselves.
    pub has_headers: bool,
}

/// How metrics leave; OpenTelemetry's `OTEL_METRIC_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushSettings {
    /// The time between two sendings.
    pub interval: Duration,
    /// How long one sending may take.
    pub timeout: Duration,
    /// Whether sums are since the start, or since the last sending.
    pub temporality: Temporality,
}

impl Default for PushSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(30),
            temporality: Temporality::Cumulative,
        }
    }
}

/// `OTEL_EXPORTER_OTLP_TIMEOUT`, by signal. The exporters read it too, but keep it only over clients
/// that they have made by themselves, and there not while a connection comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendingTimeouts {
    /// Of spans.
    pub traces: Duration,
    /// Of metrics.
    pub metrics: Duration,
}

impl Default for SendingTimeouts {
    fn default() -> Self {
        let usual = Duration::from_secs(10);
        Self { traces: usual, metrics: usual }
    }
}

/// Variables that the libraries below do not know: better refused than passed over.
const CERTIFICATES: [&str; 9] = [
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
];

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

impl OtelSettings {
    /// Reads the variables through `variable`; empty ones are as if they were not set.
    ///
    /// # Errors
    /// Every fault there is, each naming its variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut reader = Reader { variable: &variable, faults: Vec::new() };
        let settings = reader.all();
        if reader.faults.is_empty() { Ok(settings) } else { Err(reader.faults) }
    }

    /// Reads the process's own variables.
    ///
    /// # Errors
    /// As [`OtelSettings::read`].
    pub fn of_process() -> Result<Self, Vec<String>> {
        Self::read(|name| std::env::var(name).ok())
    }
}

struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn all(&mut self) -> OtelSettings {
        let disabled = self.word("OTEL_SDK_DISABLED", &["true", "false"]);
        let (traces, metrics) = (self.signal("TRACES"), self.signal("METRICS"));
        let has_headers = self.headers();
        self.sampler();
        self.propagators();
        for name in CERTIFICATES {
            if self.get(name).is_some() {
                self.fault(name, "is not supported; the system's root certificates are used");
            }
        }
        let usual = QueueSettings::default();
        let queue = QueueSettings {
            spans: self.number("OTEL_BSP_MAX_QUEUE_SIZE", 1, 1_000_000).unwrap_or(usual.spans),
            batch: self.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1, 100_000).unwrap_or(usual.batch),
            delay: self.millis("OTEL_BSP_SCHEDULE_DELAY").unwrap_or(usual.delay),
            export_timeout: self.millis("OTEL_BSP_EXPORT_TIMEOUT").unwrap_or(usual.export_timeout),
        };
        let queue = QueueSettings { batch: queue.batch.min(queue.spans), ..queue };
        let push = self.push();
        let usual = SendingTimeouts::default();
        let sending = SendingTimeouts {
            traces: self.timeout("TRACES").unwrap_or(usual.traces),
            metrics: self.timeout("METRICS").unwrap_or(usual.metrics),
        };
        match disabled.as_deref() {
            Some("true") => OtelSettings::default(),
            _ => OtelSettings { traces, metrics, queue, push, sending, has_headers },
        }
    }

    fn headers(&mut self) -> bool {
        let mut has_headers = false;
        for signal in ["", "TRACES_", "METRICS_"] {
            let name = format!("OTEL_EXPORTER_OTLP_{signal}HEADERS");
            if let Some(text) = self.get(&name) {
                has_headers = true;
                if let Err(fault) = Headers::parse(&text) {
                    self.fault(&name, fault);
                }
            }
        }
        has_headers
    }

    fn push(&mut self) -> PushSettings {
        let usual = PushSettings::default();
        let temporality = self.word(
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            &["cumulative", "delta", "lowmemory"],
        );
        // The instruments have bounds of their own, by the conventions.
        self.word(
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            &["explicit_bucket_histogram"],
        );
        PushSettings {
            interval: self.millis("OTEL_METRIC_EXPORT_INTERVAL").unwrap_or(usual.interval),
            timeout: self.millis("OTEL_METRIC_EXPORT_TIMEOUT").unwrap_or(usual.timeout),
            temporality: match temporality.as_deref() {
                Some("delta") => Temporality::Delta,
                Some("lowmemory") => Temporality::LowMemory,
                _ => usual.temporality,
            },
        }
    }

    /// A signal is exported where its exporter says `otlp`, or, without an exporter's name, where
    /// an endpoint is given: a sidecar does not talk to a collector that nobody named.
    fn signal(&mut self, signal: &str) -> Option<Protocol> {
        let own = |what: &str| format!("OTEL_EXPORTER_OTLP_{signal}_{what}");
        let endpoints = [own("ENDPOINT"), "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned()];
        // Both are looked at, for their faults; the first one that is there is the one in use.
        let schemes = endpoints.map(|name| self.scheme(&name));
        let scheme = schemes.into_iter().flatten().next();
        for name in [own("COMPRESSION"), "OTEL_EXPORTER_OTLP_COMPRESSION".to_owned()] {
            self.one_of(&name, &["gzip", "none"]);
        }
        let protocols = ["grpc", "http/protobuf"];
        let protocol = self
            .one_of(&own("PROTOCOL"), &protocols)
            .or_else(|| self.one_of("OTEL_EXPORTER_OTLP_PROTOCOL", &protocols));
        let exporter = format!("OTEL_{signal}_EXPORTER");
        let wanted = match self.get(&exporter) {
            None => scheme.is_some(),
            Some(names) => {
                let known = |name: &str| {
                    matches!(name, "otlp" | "none") || (signal == "METRICS" && name == "prometheus")
                };
                if !names.split(',').all(|name| known(name.trim())) {
                    self.fault(&exporter, "must be otlp or none");
                }
                names.split(',').any(|name| name.trim() == "otlp")
            }
        };
        let tls = scheme.as_deref() == Some("https");
        let is_grpc = protocol.as_deref() == Some("grpc");
        let protocol = if is_grpc { Protocol::Grpc { tls } } else { Protocol::Http };
        wanted.then_some(protocol)
    }

    /// How long one sending of a signal may take, where that is given.
    fn timeout(&mut self, signal: &str) -> Option<Duration> {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_TIMEOUT");
        // Both are looked at, for their faults; the first one that is there is the one in use.
        let times = [own.as_str(), "OTEL_EXPORTER_OTLP_TIMEOUT"].map(|name| self.millis(name));
        times.into_iter().flatten().next()
    }

    /// How an endpoint is spoken to, where it is given; empty where it is faulty.
    fn scheme(&mut self, name: &str) -> Option<String> {
        let text = self.get(name)?;
        match url::Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Some(url.scheme().to_owned())
            }
            _ => {
                self.fault(name, "must be an address with http or https");
                Some(String::new())
            }
        }
    }

    fn sampler(&mut self) {
        let sampler = self.one_of("OTEL_TRACES_SAMPLER", &SAMPLERS);
        let needs_ratio = sampler.is_some_and(|name| name.ends_with("traceidratio"));
        let ratio = self.get("OTEL_TRACES_SAMPLER_ARG");
        let good = match &ratio {
            Some(text) => f64::from_str(text).is_ok_and(|ratio| (0.0..=1.0).contains(&ratio)),
            None => !needs_ratio,
        };
        if !good {
            self.fault("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1");
        }
    }

    fn propagators(&mut self) {
        let Some(names) = self.get("OTEL_PROPAGATORS") else { return };
        if !names.split(',').any(|name| name.trim() == "tracecontext") {
            let fault = "must have tracecontext in it: traces are passed on in that form only";
            self.fault("OTEL_PROPAGATORS", fault);
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|text| !text.is_empty())
    }

    fn fault(&mut self, name: &str, fault: &str) {
        let text = format!("{name} {fault}");
        // The two signals share variables, whose faults are told once.
        if !self.faults.contains(&text) {
            self.faults.push(text);
        }
    }

    /// One of these words, in whatever case, as the standard has it for switches.
    fn word(&mut self, name: &str, words: &[&str]) -> Option<String> {
        self.check(name, self.get(name)?.to_ascii_lowercase(), words)
    }

    fn one_of(&mut self, name: &str, words: &[&str]) -> Option<String> {
        self.check(name, self.get(name)?, words)
    }

    fn check(&mut self, name: &str, text: String, words: &[&str]) -> Option<String> {
        if words.contains(&text.as_str()) {
            return Some(text);
        }
        self.fault(name, &format!("must be one of {}", words.join(", ")));
        None
    }

    fn number(&mut self, name: &str, least: usize, most: usize) -> Option<usize> {
        let text = self.get(name)?;
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                self.fault(name, &format!("must be a whole number from {least} to {most}"));
                None
            }
        }
    }

    fn millis(&mut self, name: &str) -> Option<Duration> {
        self.number(name, 1, 3_600_000)
            .and_then(|millis| u64::try_from(millis).ok())
            .map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<OtelSettings, Vec<String>> {
        let get = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        OtelSettings::read(get)
    }

    #[test]
    fn nothing_is_exported_until_a_collector_is_named() {
        assert_eq!(read(&[]).unwrap(), OtelSettings::default());
        let named = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")]).unwrap();
        assert_eq!((named.traces, named.metrics), (Some(Protocol::Http), Some(Protocol::Http)));
        let asked = read(&[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap();
        assert_eq!((asked.traces, asked.metrics), (Some(Protocol::Http), None));
    }

    #[test]
    fn each_signal_may_go_its_own_way() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector:4318/v1/metrics"),
        ])
        .unwrap();
        assert_eq!(
            (settings.traces, settings.metrics),
            (Some(Protocol::Grpc { tls: false }), Some(Protocol::Http))
        );
    }

    #[test]
    fn each_signals_endpoint_says_whether_it_is_over_tls() {
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let settings = read(&[
            grpc,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "HTTPS://collector:4317"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector:4317"),
        ])
        .unwrap();
        assert_eq!(settings.traces, Some(Protocol::Grpc { tls: true }));
        assert_eq!(settings.metrics, Some(Protocol::Grpc { tls: false }));
        // The exporter's own default is on this machine, without TLS.
        let settings = read(&[grpc, ("OTEL_TRACES_EXPORTER", "otlp")]).unwrap();
        assert_eq!(settings.traces, Some(Protocol::Grpc { tls: false }));
    }

    #[test]
    fn the_standard_switch_ends_all_of_it() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for word in ["true", "True", "TRUE"] {
            let settings = read(&[endpoint, ("OTEL_SDK_DISABLED", word)]).unwrap();
            assert_eq!(settings, OtelSettings::default(), "{word}");
        }
        let none =
            [endpoint, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "prometheus")];
        let settings = read(&none).unwrap();
        assert_eq!((settings.traces, settings.metrics), (None, None));
    }

    #[test]
    fn the_queue_follows_its_variables() {
        let queue = read(&[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "20"),
            ("OTEL_BSP_SCHEDULE_DELAY", "30"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "40"),
        ])
        .unwrap()
        .queue;
        assert_eq!((queue.spans, queue.batch), (10, 10));
        let (delay, time) = (Duration::from_millis(30), Duration::from_millis(40));
        assert_eq!((queue.delay, queue.export_timeout), (delay, time));
    }

    #[test]
    fn metrics_follow_theirs() {
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        for (word, temporality) in [
            ("cumulative", Temporality::Cumulative),
            ("Delta", Temporality::Delta),
            ("LOWMEMORY", Temporality::LowMemory),
        ] {
            assert_eq!(read(&[(name, word)]).unwrap().push.temporality, temporality);
        }
        let times = [("OTEL_METRIC_EXPORT_INTERVAL", "10"), ("OTEL_METRIC_EXPORT_TIMEOUT", "20")];
        let push = read(&times).unwrap().push;
        let (interval, timeout) = (Duration::from_millis(10), Duration::from_millis(20));
        assert_eq!((push.interval, push.timeout), (interval, timeout));
    }

    #[test]
    fn each_signal_has_its_own_time_or_the_common_one() {
        let sending = |variables: &[(&str, &str)]| {
            let SendingTimeouts { traces, metrics } = read(variables).unwrap().sending;
            (traces.as_millis(), metrics.as_millis())
        };
        let common = ("OTEL_EXPORTER_OTLP_TIMEOUT", "30");
        assert_eq!(sending(&[]), (10_000, 10_000));
        assert_eq!(sending(&[common]), (30, 30));
        let own = ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "40");
        assert_eq!(sending(&[common, own]), (30, 40));
        assert_eq!(sending(&[own]), (10_000, 40));
    }

    #[test]
    fn every_fault_is_told_and_names_its_variable() {
        let wrong = [
            ("OTEL_SDK_DISABLED", "yes"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_TRACES_EXPORTER", "jaeger"),
            ("OTEL_METRICS_EXPORTER", "statsd"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "since lunch"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                "base2_exponential_bucket_histogram",
            ),
        ];
        let faults = read(&wrong).unwrap_err();
        assert_eq!(faults.len(), wrong.len(), "{faults:#?}");
        for (name, _) in wrong {
            assert!(faults.iter().any(|fault| fault.starts_with(name)), "{name}: {faults:#?}");
        }
    }

    #[test]
    fn a_ratio_needs_its_number() {
        let faults = read(&[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")]).unwrap_err();
        assert_eq!(faults, ["OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1"]);
        let good = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.01")];
        assert!(read(&good).is_ok());
    }
}
