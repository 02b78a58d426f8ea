//! Log lines: JSON on a pipe, a human form on a terminal; to standard error, so that commands
//! have standard output to themselves.

use std::io::{self, IsTerminal, Write as _};
use std::panic::PanicHookInfo;

use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::{EnvFilter, fmt};

use super::lines::{Lines, unbuffered};
use super::trace::{current_request_id, current_trace_id};

/// The variable that holds the filter, such as `info` or `zentra_sidecar=debug`.
const FILTER_VARIABLE: &str = "SIDECAR_LOG";

/// Whether `SIDECAR_LOG` can be read, for those who list it with the other settings' faults.
///
/// # Errors
/// As [`start`].
pub fn check() -> Result<(), String> {
    filter("").map(|_| ())
}

fn filter(default: &str) -> Result<EnvFilter, String> {
    let text = std::env::var_os(FILTER_VARIABLE).filter(|text| !text.is_empty());
    let text = match &text {
        Some(text) => text.to_str().ok_or(format!("{FILTER_VARIABLE} must be UTF-8"))?,
        None => default,
    };
    EnvFilter::try_new(text).map_err(|fault| format!("{FILTER_VARIABLE} is no log filter: {fault}"))
}

/// Starts logging at `default` unless `SIDECAR_LOG` says otherwise. A second start is ignored.
///
/// # Errors
/// A sentence for the operator where the filter cannot be read.
pub fn start(default: &str) -> Result<(), String> {
    let lines = unpanicking().with_env_filter(filter(default)?).with_writer(io::stderr);
    // An error means that somebody logs already, as in a test.
    let _ = if io::stderr().is_terminal() {
        lines.with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).try_init()
    };
    Ok(())
}

/// The same for a process that serves: whoever reads the lines and hangs holds up no payment.
///
/// # Errors
/// As [`start`].
pub fn start_queued(default: &str) -> Result<Lines, String> {
    let filter = filter(default)?;
    let mut queues = Lines::default();
    if io::stderr().is_terminal() {
        let lines = unpanicking().with_env_filter(filter).with_writer(io::stderr);
        hear_panics(&lines.with_target(false).try_init());
        return Ok(queues);
    }
    let queue = unbuffered(io::stderr())
        .and_then(|stderr| queues.log(stderr))
        .map_err(|fault| format!("standard error cannot be written: {fault}"))?;
    let lines = unpanicking().with_env_filter(filter).with_writer(queue).json();
    hear_panics(&lines.flatten_event(true).with_current_span(false).try_init());
    Ok(queues)
}

/// Lines that are lost where they cannot be written. The library would print that, and panic where that
/// cannot be printed either.
fn unpanicking() -> SubscriberBuilder {
    fmt().log_internal_errors(false)
}

/// Has panics told by whoever logs from now on, if that is us.
fn hear_panics<E>(started: &Result<(), E>) {
    if started.is_ok() {
        std::panic::set_hook(Box::new(tell_panic));
    }
}

/// Tells where work broke off, and of which call. Not with what words, as the standard library does, and
/// in a form of its own: those may hold anything.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    if !tracing::enabled!(tracing::Level::ERROR) {
        // Nobody is told why work ends, if not here.
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(io::stderr(), "zentra-sidecar: work broke off by a panic at {location}");
        return;
    }
    let location = panic.location().map(tracing::field::display);
    let (request_id, trace_id) = (current_request_id(), current_trace_id());
    tracing::error!(location, request_id, trace_id, "work broke off by a panic");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::Context;

    use super::*;
    use crate::telemetry::trace::RequestId;

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Text {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_told_by_its_place_and_its_call_and_not_by_its_words() {
        let text = Text::default();
        let writer = text.clone();
        let subscriber = fmt().json().flatten_event(true).with_writer(move || writer.clone());
        let _guard = tracing::subscriber::set_default(subscriber.finish());
        let _context = Context::new().with_value(RequestId("our-id".to_owned())).attach();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(tell_panic));
        let broken = std::panic::catch_unwind(|| panic!("4242424242424242"));
        std::panic::set_hook(before);
        assert!(broken.is_err());
        let text = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["level"], &line["request_id"]), (&"ERROR".into(), &"our-id".into()));
        assert!(line["location"].as_str().unwrap().starts_with(file!()), "{text}");
        assert!(!text.contains("4242424242424242"), "{text}");
    }
}
