//! Where the audit log goes.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};

use super::audit::{Audit, Target};
use super::lines::{Lines, unbuffered};
use crate::clock::Clock;
use crate::domain::{Account, Environment};

/// Where the audit log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AuditTarget {
    /// Nowhere.
    Off,
    /// Standard output, which `serve` uses for nothing else.
    #[default]
    Stdout,
    /// Standard error, among the log lines.
    Stderr,
    /// A file that lines are added to.
    File(PathBuf),
}

impl AuditTarget {
    /// Reads the setting.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        match text {
            "off" => Ok(Self::Off),
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            path if path.contains('/') => Ok(Self::File(path.into())),
            _ => Err("must be stdout, stderr, off or the path of a file, with a / in it"),
        }
    }

    /// The audit log of a process that serves, behind a queue of `lines`.
    ///
    /// # Errors
    /// A sentence for the operator where the file cannot be opened.
    pub fn open(
        &self,
        lines: &mut Lines,
        clock: Arc<dyn Clock>,
        (account, environment): (Account, Environment),
    ) -> Result<Audit, String> {
        let target = match self {
            Self::Off => return Ok(Audit::off()),
            Self::Stdout => unbuffered(io::stdout()).map_err(|fault| unwritable(&fault))?,
            Self::Stderr => unbuffered(io::stderr()).map_err(|fault| unwritable(&fault))?,
            Self::File(path) => open_file(path)?,
        };
        let target = lines.audit(target).map_err(|fault| unwritable(&fault))?;
        Ok(Audit::new(Target::Queue(target), clock, account, environment))
    }

    /// The audit log of an operator's command, which has standard output for its own result.
    ///
    /// # Errors
    /// As [`AuditTarget::open`].
    pub fn open_for_command(
        &self,
        clock: Arc<dyn Clock>,
        (account, environment): (Account, Environment),
    ) -> Result<Audit, String> {
        let target = match self {
            Self::Off => return Ok(Audit::off()),
            Self::Stdout | Self::Stderr => Target::Session(Once::new()),
            Self::File(path) => Target::Direct(Mutex::new(Box::new(open_file(path)?))),
        };
        Ok(Audit::new(target, clock, account, environment))
    }
}

impl fmt::Display for AuditTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => formatter.write_str("off"),
            Self::Stdout => formatter.write_str("stdout"),
            Self::Stderr => formatter.write_str("stderr"),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

fn unwritable(fault: &io::Error) -> String {
    format!("the audit log cannot be written: {fault}")
}

fn open_file(path: &Path) -> Result<std::fs::File, String> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|fault| format!("the audit log {} cannot be opened: {fault}", path.display()))
}
