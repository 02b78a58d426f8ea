//! A secret in each sink, put there by that sink's own way, and the same search that finds it.

use std::io::Write as _;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::paths::{self, At};
use super::records::{ACCOUNT, CONTRARY};
use super::scanner::{self, Scanner, Sinks};
use super::sinks::Watched;
use super::{beginnings, cards};
use crate::fault_matrix::lab::KEY;
use crate::support::process::get;

/// A secret that is put into each sink on purpose.
const PLANTED: usize = 99_999;

const SINKS: [&str; 11] = [
    "answers",
    "headers",
    "metrics",
    "operators",
    "operators' audit",
    "otlp metrics",
    "pages",
    "spans",
    "stderr",
    "stdout",
    "store",
];

/// The search finds what somebody puts into each sink, and each kind of what it looks for.
pub(super) async fn planted(watched: Watched) {
    let number = cards::number(PLANTED);
    let code = cards::security_code(PLANTED);
    let sinks = watched.planted(&number, &code).await;
    let scanner = Scanner::new([number.clone()], [number]);
    let mut found: Vec<&str> = scanner.hits(&sinks).into_iter().map(|(sink, _)| sink).collect();
    found.dedup();
    assert_eq!(found, SINKS);
    assert_eq!(scanner::holding_code(&sinks, |it| it == code.as_bytes()), SINKS);
    assert_eq!(scanner::holding_code(&sinks, cards::is_security_code), SINKS);

    let scanner = super::scanner(1);
    for secret in beginnings() {
        watched.plant_in_lines(&secret);
        let stderr = std::fs::read(&watched.lines[1]).unwrap();
        // The card's number is there too.
        let hits = scanner.hits(&Sinks::from([("stderr", stderr)]));
        assert!(hits.iter().any(|(_, form)| *form == secret), "{secret} is not looked for");
    }
}

impl Watched {
    async fn planted(&self, number: &str, code: &str) -> Sinks {
        for secret in [number, code] {
            self.plant_in_lines(secret);
            self.plant_in_headers(secret).await;
            let name = format!("planted-{}", secret.len());
            self.lab.redis().ask::<()>(&["SET", &name, secret]).await;
        }
        let note = format!("{number} \"{code}\"");
        self.plant_in_operators_output(&note).await;
        self.plant_in_pages(&note, number).await;
        let noted =
            [KeyValue::new("note", number.to_owned()), KeyValue::new("code", code.to_owned())];
        self.plant_in_spans(&noted).await;
        self.plant_in_otlp_metrics(&noted).await;

        let mut sinks = self.sinks().await;
        let telemetry = zentra_sidecar::telemetry::Telemetry::quiet();
        telemetry.meter().u64_gauge("planted").build().record(1, &noted);
        sinks.insert("metrics", telemetry.prometheus_text().into_bytes());
        let answers = [paths::answer_with(number), paths::answer_with(code)];
        sinks.insert("answers", format!("{answers:?}").into_bytes());
        sinks
    }

    /// Writes into each file what a process might have written.
    fn plant_in_lines(&self, secret: &str) {
        for file in &self.lines {
            let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
            writeln!(file, "{{\"note\":\"{secret}\"}}").unwrap();
        }
    }

    /// Tells Zentra in a header what a sidecar might have told it.
    async fn plant_in_headers(&self, secret: &str) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/api/v1/payments/charges/planted", self.lab.zentra.url());
        client.get(url).bearer_auth(KEY).header("tracestate", secret).send().await.unwrap();
    }

    /// Shows an operator a record that holds it.
    async fn plant_in_operators_output(&self, note: &str) {
        let record = self.contrary().await;
        self.lab.redis().ask::<()>(&["HSET", &record, "settled_by", note]).await;
        let contrary = format!("--reference={CONTRARY}");
        self.operate(0, &["records", "show", &contrary]).await;
    }

    /// Lets the store be signed with a key of that name, so that no sidecar may use it.
    async fn plant_in_pages(&self, note: &str, number: &str) {
        let keys = format!("{ACCOUNT}fingerprint-keys");
        let redis = self.lab.redis();
        redis.ask::<()>(&["HSET", &keys, "signer", note]).await;
        let admin = self.sidecars[&At::Accepting].admin.trim_start_matches("http://");
        let is_shown = async || get(admin, "/readyz").await.1.contains(number);
        redis.until("is seen to be another's", is_shown).await;
    }

    async fn plant_in_spans(&self, noted: &[KeyValue]) {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{}", self.rotel.grpc))
            .with_timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
        let mut span = provider.tracer("planted").start("planted");
        span.set_attributes(noted.iter().cloned());
        span.end();
        tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap();
        self.rotel.printed("planted").await;
    }

    async fn plant_in_otlp_metrics(&self, noted: &[KeyValue]) {
        let exporter = opentelemetry_otlp::MetricExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{}", self.metrics.grpc))
            .with_timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).build();
        provider.meter("planted").u64_gauge("planted").build().record(1, noted);
        tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap();
        self.metrics.printed("planted").await;
    }
}
