//! Who is at the other end of a connection.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::MAX_ASIDE;
use crate::domain::Caller;

/// Who calls, established once for a connection. It goes with every request of it, and is the
/// only word on the matter: metadata never is.
#[derive(Clone, Debug)]
pub struct Peer {
    caller: Caller,
    is_allowed: bool,
    aside: Arc<Semaphore>,
}

impl Peer {
    /// The peer of a new connection. One that is not allowed is told so in each answer.
    #[must_use]
    pub fn new(caller: Caller, is_allowed: bool) -> Self {
        Self { caller, is_allowed, aside: Arc::new(Semaphore::new(MAX_ASIDE)) }
    }

    /// The caller's one canonical text.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether it may call at all.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.is_allowed
    }

    /// A place for a call that is no payment, such as one that watches health: its stream may
    /// stay open as long as the connection, which therefore has few of them. None where all are
    /// taken.
    #[must_use]
    pub fn aside(&self) -> Option<OwnedSemaphorePermit> {
        self.aside.clone().try_acquire_owned().ok()
    }
}
