//! An OTLP receiver that nobody here wrote: rotel, as a process, which prints the spans it gets.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::redis::{free_port, on_path};

/// Only a broken test waits for so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A receiver that runs until it is dropped.
pub(crate) struct Rotel {
    pub(crate) grpc: String,
    pub(crate) http: String,
    printed: Arc<Mutex<String>>,
    lines: watch::Receiver<usize>,
    _process: Child,
}

/// A span as the receiver printed it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    pub(crate) trace_id: String,
    pub(crate) parent_id: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    /// The trace and the span of each link, and why.
    pub(crate) links: Vec<(String, String, String)>,
}

impl Rotel {
    /// One that prints spans.
    pub(crate) async fn start() -> Self {
        Self::printing("traces").await
    }

    /// One that prints what it gets of a signal: `traces` or `metrics`.
    pub(crate) async fn printing(signal: &str) -> Self {
        let [grpc, http] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let mut command = Command::new(on_path("rotel-agent"));
        command.args(["start", "--exporter", "blackhole", "--debug-log", signal]);
        command.args(["--debug-log-verbosity", "detailed"]);
        command.args(["--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &http]);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let printed = Arc::new(Mutex::new(String::new()));
        let (count, seen) = watch::channel(0);
        let text = printed.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut text = text.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
                count.send_modify(|count| *count += 1);
            }
        });
        let rotel = Self { grpc, http, printed, lines: seen, _process: process };
        rotel.until("it listens", |text, _| text.contains("Starting Rotel")).await;
        rotel
    }

    /// Waits for so many spans of this name, and gives all that have come.
    pub(crate) async fn spans(&self, name: &str, count: usize) -> Vec<Span> {
        let is_it = |span: &&Span| span.name == name;
        self.until(name, |_, spans| spans.iter().filter(is_it).count() >= count).await
    }

    async fn until(&self, what: &str, holds: impl Fn(&str, &[Span]) -> bool) -> Vec<Span> {
        let mut lines = self.lines.clone();
        let held = async {
            loop {
                let text = self.printed.lock().unwrap().clone();
                let spans = parse(&text);
                if holds(&text, &spans) {
                    return spans;
                }
                lines.changed().await.unwrap();
            }
        };
        let held = timeout(PATIENCE, held).await;
        held.unwrap_or_else(|_| panic!("never: {what}\n{}", self.printed.lock().unwrap()))
    }

    /// Waits for a text, without reading all that came before it again and again.
    pub(crate) async fn printed(&self, what: &str) {
        let mut lines = self.lines.clone();
        let mut looked_at = 0;
        let printed = async {
            loop {
                {
                    let text = self.printed.lock().unwrap();
                    if text[looked_at..].contains(what) {
                        return;
                    }
                    // Lines come whole.
                    looked_at = text.len();
                }
                lines.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, printed).await.unwrap_or_else(|_| panic!("never printed: {what}"));
    }

    /// Waits until a text was printed so many times more.
    pub(crate) async fn printed_again(&self, what: &str, times: usize) {
        let seen = self.text().matches(what).count();
        let mut lines = self.lines.clone();
        let printed = async {
            while self.text().matches(what).count() < seen + times {
                lines.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, printed).await.unwrap_or_else(|_| panic!("not again: {what}"));
    }

    /// Everything it printed.
    pub(crate) fn text(&self) -> String {
        self.printed.lock().unwrap().clone()
    }
}

impl Span {
    fn note(&mut self, name: &str, value: &str) {
        match name {
            "Trace ID" => value.clone_into(&mut self.trace_id),
            "Parent ID" => value.clone_into(&mut self.parent_id),
            "ID" => value.clone_into(&mut self.id),
            "Name" => value.clone_into(&mut self.name),
            "Kind" => value.clone_into(&mut self.kind),
            "Status code" => value.clone_into(&mut self.status),
            "Start time" => self.start = value.parse().unwrap_or(0),
            "End time" => self.end = value.parse().unwrap_or(0),
            _ => {}
        }
    }
}

/// A value without its type: `Str(grpc)` is `grpc`.
fn bare(value: &str) -> &str {
    value.split_once('(').map_or(value, |(_, value)| value.trim_end_matches(')'))
}

/// Reads what was printed. The last span may be there in part only.
fn parse(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let (mut in_link, mut in_span) = (false, false);
    for line in text.lines() {
        let line = line.trim();
        // What comes before the spans of the next batch.
        in_span &= !line.starts_with("Resource");
        if line.starts_with("Span #") {
            spans.push(Span::default());
            (in_link, in_span) = (false, true);
            continue;
        }
        let Some(span) = spans.last_mut().filter(|_| in_span) else { continue };
        if line.starts_with("SpanLink #") {
            span.links.push(<(String, String, String)>::default());
            in_link = true;
            continue;
        }
        let attribute = line.strip_prefix("-> ");
        let Some((name, value)) = attribute.unwrap_or(line).split_once(':') else { continue };
        let (name, value) = (name.trim(), value.trim());
        match span.links.last_mut().filter(|_| in_link) {
            Some(link) => match name {
                "Trace ID" => value.clone_into(&mut link.0),
                "ID" => value.clone_into(&mut link.1),
                "zentra_sidecar.link" => bare(value).clone_into(&mut link.2),
                _ => {}
            },
            None if attribute.is_some() => {
                span.attributes.insert(name.to_owned(), bare(value).to_owned());
            }
            None => span.note(name, value),
        }
    }
    spans
}
