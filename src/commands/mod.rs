//! What each command does.

pub mod config;
#[cfg(feature = "simulator")]
pub mod dev;
pub mod health;
mod operator;
pub mod policy;
pub mod proto;
pub mod reconcile;
pub mod records;
pub mod serve;
#[cfg(feature = "simulator")]
pub mod simulate;
pub mod stop;
pub mod store;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::config::{Faults, ServeArgs, Settings};
use crate::telemetry::lines::Lines;
use crate::telemetry::logs;
use crate::telemetry::settings::OtelSettings;
use crate::telemetry::start::Exports;

/// How a command ended.
pub struct Ended {
    /// The process's exit code.
    pub code: ExitCode,
    /// What is kept until the runtime has ended.
    pub last_words: Option<LastWords>,
}

impl From<ExitCode> for Ended {
    fn from(code: ExitCode) -> Self {
        Self { code, last_words: None }
    }
}

/// What has to outlive the runtime: the end drops work that is cut off, and that tells of itself
/// then, with spans and lines of both logs.
pub struct LastWords {
    /// Tells, when dropped, what could not be sent.
    exports: Exports,
    /// Writes, when dropped, whatever waits. After all who have something to say.
    _lines: Lines,
}

/// The exit code of a command that was called wrongly.
const WRONG_USE: u8 = 2;

/// Reads the settings, with Zentra's key from the environment where it stands there, and the
/// log's filter: whatever is wrong is told at once.
fn settings(args: &ServeArgs) -> Result<Settings, Faults> {
    let key = std::env::var("ZENTRA_SECRET_KEY").ok().map(Zeroizing::new);
    let key = key.filter(|key| !key.is_empty()).map(|key| SecretString::from(key.as_str()));
    let read = Faults::with(Settings::read(args, key), logs::check());
    Settings::with_otel(read, OtelSettings::of_process())
}

/// Tells what is wrong with the settings.
fn wrong_settings(faults: impl Display) -> ExitCode {
    complain(faults);
    ExitCode::from(WRONG_USE)
}

/// Tells why a command failed.
pub(crate) fn failed(fault: impl Display) -> ExitCode {
    complain(fault);
    ExitCode::FAILURE
}

fn complain(fault: impl Display) {
    // Where standard error is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "zentra-sidecar: {fault}");
}

/// Writes a command's result; a reader that went away is no failure.
fn say(text: impl Display) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}
