//! What operators see, in this process: spans in memory, the audit log in a buffer.

mod audit;
mod calls;
mod collector_answers;
mod collector_down;
mod collector_end;
mod collector_headers;
mod collector_tls;
mod door;
mod lead;
mod moves;
mod overload;
mod reconciler;
mod strangers;
mod unwritable;

use std::io;
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::metrics::ManualReader;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use serde_json::Value;
use zentra_sidecar::domain::{Account, Environment};
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::telemetry::audit::{Audit, Target};
use zentra_sidecar::telemetry::trace::Tracer;

use crate::support::sidecar::StandingClock;

/// Lines that a test reads.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub(crate) fn all(&self) -> Vec<Value> {
        let text = self.0.lock().unwrap().clone();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}

/// Everything is kept: spans, and the lines of the audit log.
pub(crate) fn kept() -> (Telemetry, InMemorySpanExporter, Lines) {
    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let lines = Lines::default();
    let target = Target::Direct(Mutex::new(Box::new(lines.clone())));
    let account = Account::new("default").unwrap();
    let audit = Audit::new(target, Arc::new(StandingClock), account, Environment::Simulated);
    let telemetry = Telemetry::new(Tracer::of(&provider), audit, Vec::<ManualReader>::new());
    (telemetry, spans, lines)
}
