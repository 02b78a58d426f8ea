//! Whose payment it is: the account, the environment and the calling service.

use std::fmt;
use std::sync::Arc;

use super::{Fault, Reference};

/// Which Zentra the process speaks to; it follows from the secret key's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    /// The simulator of this project; no money anywhere.
    Simulated,
    /// Zentra's sandbox; test money.
    Sandbox,
    /// Zentra itself; real money.
    Live,
}

impl Environment {
    /// The word used in settings, scopes, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Sandbox => "sandbox",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The name of the Zentra account that this process serves. A name, never derived from a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account(Arc<str>);

impl Account {
    /// Takes a name of the form that references have.
    ///
    /// # Errors
    /// As [`Reference::new`].
    pub fn new(name: &str) -> Result<Self, Fault> {
        Reference::new(name).map(|name| Self(name.as_str().into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The calling service: `namespace/serviceaccount` in Kubernetes, else a name.
///
/// One text on every listener, so that a service keeps the scope of its keys when it moves from
/// a sidecar to a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller(Arc<str>);

impl Caller {
    /// Takes one or more segments of the form that references have, joined by `/`; at most 256
    /// characters in all.
    ///
    /// # Errors
    /// [`Fault::Missing`] or [`Fault::NotAnIdentifier`].
    pub fn new(name: &str) -> Result<Self, Fault> {
        if name.len() > 256 {
            return Err(Fault::NotAnIdentifier);
        }
        for segment in name.split('/') {
            Reference::new(segment)?;
        }
        Ok(Self(name.into()))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
