//! Card data goes to Zentra and nowhere else: ten thousand calls over every success and error
//! path, and then a search of everything that they left behind.

mod cards;
mod paths;
mod routes;
mod scanner;
mod sinks;

use std::sync::Mutex;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use self::paths::{Path, Told, paths};
use self::scanner::Scanner;
use self::sinks::Watched;
use super::lab::KEY;

const CALLS: usize = 10_000;
const AT_ONCE: usize = 48;

/// A secret that is put into each sink on purpose.
const PLANTED: usize = 99_999;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_leave_no_card_data_anywhere() {
    let watched = Watched::start("info,zentra_sidecar=trace").await;
    let calls_each = CALLS.div_ceil(paths().len());
    leave_nothing(&watched, calls_each, AT_ONCE).await;
    assert!(watched.has_every_line().await, "lines were lost that were to be looked at");
    planted(watched).await;
}

/// The libraries below say at this level what goes over their sockets, and how.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_calls_whose_every_trace_line_is_written() {
    let watched = Watched::start("trace").await;
    leave_nothing(&watched, 4, 1).await;
    assert!(watched.has_every_line().await, "lines were lost that were to be looked at");
    let stderr = String::from_utf8(watched.sinks().await.remove("stderr").unwrap()).unwrap();
    for library in ["h2::", "hyper", "tonic"] {
        let told = stderr.contains(&format!("\"target\":\"{library}"));
        assert!(told, "{library} says nothing at this level, and is not looked at");
    }
}

/// Makes calls over every path, and looks through everything that they left behind.
async fn leave_nothing(watched: &Watched, calls_each: usize, at_once: usize) {
    let paths = paths();
    let answers = Mutex::new(Vec::new());
    for (number, path) in paths.iter().enumerate() {
        let indices = number * calls_each..(number + 1) * calls_each;
        let told = drive(watched, path, indices, at_once, &answers).await;
        let some = told.iter().any(|answer| answer.contains(path.told));
        // What fails now and then need not do so in a few calls.
        let few = &told[..told.len().min(3)];
        assert!(some || at_once == 1, "{} never told {}: {few:#?}", path.name, path.told);
    }
    let secrets = (0..calls_each * paths.len())
        .flat_map(cards::secrets)
        // What Zentra's own answers echo, and the key.
        .chain(cards::secrets(paths::ECHOED))
        .chain([KEY.to_owned()]);
    let beginnings = [cards::NUMBERS, cards::ACCOUNTS, cards::HOLDERS, KEY].map(str::to_owned);
    let fingerprint_key = crate::support::payment::key_line(1);
    let scanner = Scanner::new(beginnings.into_iter().chain([fingerprint_key]), secrets);
    watched.until_all_has_left().await;
    let mut sinks = watched.sinks().await;
    sinks.insert("answers", answers.into_inner().unwrap());
    for (sink, text) in &sinks {
        assert!(text.len() > 1000, "{sink} was looked at, and is all but empty");
    }
    let hits = scanner.hits(&sinks);
    assert!(hits.is_empty(), "{} hits, such as {:?}", hits.len(), &hits[..hits.len().min(10)]);
    let holding = scanner::holding_code(&sinks, cards::is_security_code);
    assert!(holding.is_empty(), "a security code stands in {holding:?}");
}

/// Runs a path's calls, keeps all that callers get to see, and gives it.
async fn drive(
    watched: &Watched,
    path: &Path,
    indices: std::ops::Range<usize>,
    at_once: usize,
    answers: &Mutex<Vec<u8>>,
) -> Vec<String> {
    (path.prepare)(&watched.lab);
    let sidecar = watched.sidecar_for(path);
    let calls: Vec<Told> = match path.bytes {
        None => indices.map(|index| (path.call)(sidecar.client.clone(), index)).collect(),
        Some(bytes) => {
            let channel = sidecar.channel().await;
            indices.map(|index| paths::send_bytes(channel.clone(), bytes(index))).collect()
        }
    };
    let told: Vec<String> = stream::iter(calls).buffer_unordered(at_once).collect().await;
    watched.lab.zentra.clear_faults();
    let mut answers = answers.lock().unwrap();
    for text in &told {
        answers.extend_from_slice(text.as_bytes());
        answers.push(b'\n');
    }
    told
}

/// The same search finds what somebody puts into each sink, by that sink's own way.
async fn planted(watched: Watched) {
    let number = cards::number(PLANTED);
    let code = cards::security_code(PLANTED);
    let code = code.as_str();
    watched.plant_in_lines(&number);
    watched.plant_in_lines(code);
    watched.plant_in_headers(&number).await;
    watched.plant_in_headers(code).await;
    watched.lab.redis().ask::<()>(&["SET", "planted", &number]).await;
    watched.lab.redis().ask::<()>(&["SET", "planted-code", code]).await;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{}", watched.rotel.grpc))
        .with_timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    let mut span = provider.tracer("planted").start("planted");
    span.set_attribute(KeyValue::new("note", number.clone()));
    span.set_attribute(KeyValue::new("code", code.to_owned()));
    span.end();
    let flushed = provider.clone();
    tokio::task::spawn_blocking(move || flushed.force_flush()).await.unwrap().unwrap();
    watched.rotel.printed("planted").await;
    plant_in_otlp_metrics(&watched, &number, code).await;

    let mut sinks = watched.sinks().await;
    let telemetry = zentra_sidecar::telemetry::Telemetry::quiet();
    let gauge = telemetry.meter().u64_gauge("planted").build();
    gauge.record(
        1,
        &[KeyValue::new("note", number.clone()), KeyValue::new("code", code.to_owned())],
    );
    sinks.insert("metrics", telemetry.prometheus_text().into_bytes());
    let answers = [paths::answer_with(&number), paths::answer_with(code)];
    sinks.insert("answers", format!("{answers:?}").into_bytes());
    let scanner = Scanner::new([number.clone()], [number]);
    let mut found: Vec<&str> = scanner.hits(&sinks).into_iter().map(|(sink, _)| sink).collect();
    found.dedup();
    let all =
        ["answers", "headers", "metrics", "otlp metrics", "spans", "stderr", "stdout", "store"];
    assert_eq!(found, all);
    assert_eq!(scanner::holding_code(&sinks, |it| it == code.as_bytes()), all);
    assert_eq!(scanner::holding_code(&sinks, cards::is_security_code), all);
}

async fn plant_in_otlp_metrics(watched: &Watched, number: &str, code: &str) {
    let exporter = opentelemetry_otlp::MetricExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{}", watched.metrics.grpc))
        .with_timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).build();
    let gauge = provider.meter("planted").u64_gauge("planted").build();
    gauge.record(
        1,
        &[KeyValue::new("note", number.to_owned()), KeyValue::new("code", code.to_owned())],
    );
    tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap();
    watched.metrics.printed("planted").await;
}
