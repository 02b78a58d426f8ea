//! What travels with a request through the stack: what it does, until when, and which try it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::Request;
use tokio::time::Instant;

/// What a request does at Zentra, which decides when it may be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It moves money or saves a payment method: repeated only where it provably was not
    /// processed.
    #[default]
    Write,
    /// It changes nothing that a repeat would change again: the reads, and Verify.
    Read,
    /// A read that finds out what became of a payment. It passes an open circuit: an unknown
    /// outcome is worth a request even then. What it meets does not count for the circuit.
    LookUp,
}

/// The terms of one request. One without terms is a write that has all the time in the world, so
/// that whoever forgets them gets the fewest repeats.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// What it does.
    pub effect: Effect,
    /// New tries begin before this moment only. A write that runs keeps its own time.
    pub deadline: Option<Instant>,
    /// Counts the tries; shared with whoever made the request.
    pub tries: Tries,
}

impl Terms {
    /// The terms that a request carries.
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }
}

/// How many tries have reached the transport.
#[derive(Clone, Debug, Default)]
pub struct Tries(Arc<AtomicU32>);

impl Tries {
    /// So many until now.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more, and tells its number, from 1 on.
    pub(super) fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The number of a try, from 1 on, as the transport finds it in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryNumber(pub u32);
