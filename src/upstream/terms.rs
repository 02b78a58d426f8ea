//! What travels with a request through the stack: what it does, until when, and which try it is.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::around::Answer;
use super::{SendFence, TransportError};

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
    /// Takes down the tries; shared with whoever made the request.
    pub tries: Tries,
    /// The tries that it may take, where that is less than the stack would.
    pub most_tries: Option<u32>,
    /// Whether it was sent before: by a repeat that is paid for, or under a key that was refused. It
    /// is no traffic of which repeats may be a share.
    pub is_repeat: bool,
    /// Until when it may leave, where it makes a payment.
    pub fence: Option<SendFence>,
    /// Its route, with names in the places of references: what spans and metrics may be told apart
    /// by.
    pub route: &'static str,
    /// Its address as the transport takes it, where that need not be read anew.
    pub url: Option<Arc<Url>>,
}

impl Terms {
    /// The terms that a request carries.
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        Self::read(request, Self::clone)
    }

    /// What `read` finds in them.
    pub(super) fn read<T>(request: &Request<Bytes>, read: impl FnOnce(&Self) -> T) -> T {
        match request.extensions().get::<Self>() {
            Some(terms) => read(terms),
            None => read(&Self::default()),
        }
    }
}

/// The tries of a request: how many have reached the transport, and what came of those that were
/// followed by another one.
#[derive(Clone, Debug, Default)]
pub struct Tries(Arc<Taken>);

#[derive(Debug, Default)]
struct Taken {
    before: u32,
    count: AtomicU32,
    repeated: Mutex<Vec<Repeated>>,
}

/// What came of a try after which the same request went out once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// It was sent, and answered with this status.
    Answered(StatusCode),
    /// No connection came about, or Zentra did not begin with it.
    NotSent,
    /// It was sent, and no answer came. Of reads only.
    Unanswered,
}

impl Tries {
    /// None yet, of a request whose payment has taken `before` already, by which they are numbered.
    #[must_use]
    pub fn after(before: u32) -> Self {
        Self(Arc::new(Taken { before, ..Taken::default() }))
    }

    /// So many until now.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// The tries of the payment that have left, the one under way and those before among them.
    #[must_use]
    pub fn sent(&self) -> u32 {
        let repeated = self.repeated();
        let left = repeated.iter().filter(|it| **it != Repeated::NotSent).count();
        let is_under_way = u32::try_from(repeated.len()).is_ok_and(|ended| self.count() > ended);
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        self.0.before.saturating_add(left).saturating_add(u32::from(is_under_way))
    }

    /// Those that were followed by another one, in order.
    #[must_use]
    pub fn repeated(&self) -> Vec<Repeated> {
        self.0.repeated.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes down that the same request goes out once more.
    pub fn note(&self, repeated: Repeated) {
        self.0.repeated.lock().unwrap_or_else(PoisonError::into_inner).push(repeated);
    }

    /// Counts one more, and tells its number among all of the payment, from 1 on.
    pub(super) fn next(&self) -> u32 {
        self.0.before + self.0.count.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Repeated {
    /// What came of a try.
    pub(super) fn of(answer: &Answer) -> Self {
        match answer {
            Ok(answer) => Self::Answered(answer.status()),
            Err(TransportError::NotSent) => Self::NotSent,
            Err(_) => Self::Unanswered,
        }
    }
}

/// Since when an exchange has waited for Zentra, its place in the queue being another matter.
/// Travels in the request's extensions; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct WaitingSince(Arc<OnceLock<Instant>>);

impl WaitingSince {
    /// Notes that the wait has begun, where the request is watched.
    pub(super) fn begin(request: &Request<Bytes>) {
        if let Some(Self(since)) = request.extensions().get() {
            since.get_or_init(Instant::now);
        }
    }

    /// How long Zentra has been waited for; none where it has not been asked.
    pub(super) fn elapsed(&self) -> Option<Duration> {
        self.0.get().map(Instant::elapsed)
    }
}

/// When the own time of a try is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptEnds(pub(super) Instant);

/// The number of a try, from 1 on, as the transport finds it in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryNumber(pub u32);
