//! Reads the variables one by one, and gathers what is wrong with them.

use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use opentelemetry_sdk::metrics::Temporality;
use url::Url;

use super::{Destination, OtelSettings, Protocol, PushSettings};
use crate::telemetry::export::QueueSettings;
use crate::telemetry::headers::Headers;
use crate::telemetry::resource;

/// The longest time that a collector is waited for, unless the variables say another.
const USUAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The address on this machine that a collector listens at where the variables name none.
const USUAL_GRPC: &str = "http://localhost:4317";
const USUAL_HTTP: &str = "http://localhost:4318";

/// Variables that nothing here can obey: better refused than passed over.
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

/// Limits of spans, which the SDK reads by itself.
const LIMITS: [&str; 3] = [
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
];

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// A signal, as its variables have it and as OTLP over HTTP does.
#[derive(Clone, Copy)]
struct Signal {
    name: &'static str,
    path: &'static str,
}

const TRACES: Signal = Signal { name: "TRACES", path: "/v1/traces" };
const METRICS: Signal = Signal { name: "METRICS", path: "/v1/metrics" };

pub(super) struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, faults: Vec::new() }
    }

    pub(super) fn faults(self) -> Vec<String> {
        self.faults
    }

    pub(super) fn all(&mut self) -> OtelSettings {
        let disabled = self.word("OTEL_SDK_DISABLED", &["true", "false"]);
        let (traces, metrics) = (self.signal(TRACES), self.signal(METRICS));
        let has_headers = self.headers();
        self.sampler();
        self.propagators();
        self.attributes();
        for name in CERTIFICATES {
            if self.get(name).is_some() {
                self.fault(name, "is not supported; the system's root certificates are used");
            }
        }
        for name in LIMITS {
            self.number(name, 1, 1_000);
        }
        let (queue, push) = (self.queue(), self.push());
        match disabled.as_deref() {
            Some("true") => OtelSettings::default(),
            _ => OtelSettings { traces, metrics, queue, push, has_headers },
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

    fn queue(&mut self) -> QueueSettings {
        let usual = QueueSettings::default();
        let queue = QueueSettings {
            spans: self.number("OTEL_BSP_MAX_QUEUE_SIZE", 1, 1_000_000).unwrap_or(usual.spans),
            batch: self.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1, 100_000).unwrap_or(usual.batch),
            delay: self.millis("OTEL_BSP_SCHEDULE_DELAY").unwrap_or(usual.delay),
            export_timeout: self.millis("OTEL_BSP_EXPORT_TIMEOUT").unwrap_or(usual.export_timeout),
        };
        QueueSettings { batch: queue.batch.min(queue.spans), ..queue }
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
    fn signal(&mut self, signal: Signal) -> Option<Destination> {
        let [own, common] = both(signal, "ENDPOINT");
        let [own_address, address] = [&own, &common].map(|name| self.address(name));
        let gzip = self.either(signal, "COMPRESSION", |reader, name| {
            reader.one_of(name, &["gzip", "none"]).map(|word| word == "gzip")
        });
        let protocol = self.either(signal, "PROTOCOL", |reader, name| {
            let word = reader.one_of(name, &["grpc", "http/protobuf"])?;
            Some(if word == "grpc" { Protocol::Grpc } else { Protocol::Http })
        });
        let timeout = self.either(signal, "TIMEOUT", Reader::millis);
        let headers = both(signal, "HEADERS").iter().find_map(|name| self.get(name));
        let protocol = protocol.unwrap_or(Protocol::Http);
        let wanted = self.is_wanted(signal, own_address.is_some() || address.is_some());
        wanted.then(|| Destination {
            protocol,
            endpoint: endpoint(protocol, signal, own_address, address),
            gzip: gzip.unwrap_or(false),
            timeout: timeout.unwrap_or(USUAL_TIMEOUT),
            headers: headers.and_then(|text| Headers::parse(&text).ok()).unwrap_or_default(),
        })
    }

    fn is_wanted(&mut self, signal: Signal, has_address: bool) -> bool {
        let exporter = format!("OTEL_{}_EXPORTER", signal.name);
        let Some(names) = self.get(&exporter) else { return has_address };
        let known = |name: &str| {
            matches!(name, "otlp" | "none") || (signal.name == "METRICS" && name == "prometheus")
        };
        if !names.split(',').all(|name| known(name.trim())) {
            self.fault(&exporter, "must be otlp or none");
        }
        names.split(',').any(|name| name.trim() == "otlp")
    }

    /// What a signal's own variable says, or else the common one. Both are looked at, for their
    /// faults.
    fn either<T>(
        &mut self,
        signal: Signal,
        what: &str,
        read: impl Fn(&mut Self, &str) -> Option<T>,
    ) -> Option<T> {
        let [own, common] = both(signal, what).map(|name| read(self, &name));
        own.or(common)
    }

    /// An endpoint, where it is given; empty where it is faulty.
    fn address(&mut self, name: &str) -> Option<String> {
        let text = self.get(name)?;
        match Url::parse(&text) {
            Ok(url)
                if matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    // Stricter, and what the exporters go by.
                    && text.parse::<Uri>().is_ok() =>
            {
                Some(text)
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

    fn attributes(&mut self) {
        let text = self.get(resource::ATTRIBUTES);
        if let Some(Err(fault)) = text.map(|text| resource::attributes(&text)) {
            self.fault(resource::ATTRIBUTES, fault);
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

/// A signal's own variable, and the one that both share.
fn both(signal: Signal, what: &str) -> [String; 2] {
    let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name);
    [own, format!("OTEL_EXPORTER_OTLP_{what}")]
}

/// Over HTTP a signal's own address is whole, and what both share is where the paths begin.
fn endpoint(
    protocol: Protocol,
    signal: Signal,
    own: Option<String>,
    common: Option<String>,
) -> String {
    match (protocol, own, common) {
        (_, Some(own), _) => own,
        (Protocol::Grpc, None, common) => common.unwrap_or_else(|| USUAL_GRPC.to_owned()),
        (Protocol::Http, None, common) => {
            let base = common.unwrap_or_else(|| USUAL_HTTP.to_owned());
            format!("{}{}", base.trim_end_matches('/'), signal.path)
        }
    }
}
