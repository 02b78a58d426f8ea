//! Log lines: JSON on a pipe, a human form on a terminal; to standard error, so that commands
//! have standard output to themselves.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

use super::lines::{Lines, unbuffered};

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
    let lines = fmt().with_env_filter(filter(default)?).with_writer(io::stderr);
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
        let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
        let _ = lines.with_target(false).try_init();
        return Ok(queues);
    }
    let queue = unbuffered(io::stderr())
        .and_then(|stderr| queues.log(stderr))
        .map_err(|fault| format!("standard error cannot be written: {fault}"))?;
    let lines = fmt().with_env_filter(filter).with_writer(queue);
    let _ = lines.json().flatten_event(true).with_current_span(false).try_init();
    Ok(queues)
}
