//! What the mutants change of an attempt; nothing in any other build.

use std::time::Duration;

use tokio::time::Instant;

use crate::mutants::{Mutant, is_on};
use crate::upstream::SendFence;
use crate::zentra::Trouble;

/// An upstream key for this attempt alone.
pub(super) fn key(key: &str, epoch: u64, number: usize) -> Option<String> {
    is_on(Mutant::NewKeyPerAttempt).then(|| format!("{key}-{epoch}-{number}"))
}

/// A fence that is always open.
pub(super) fn fence() -> Option<SendFence> {
    is_on(Mutant::NoSendFence).then(|| SendFence::new(Instant::now(), Duration::from_secs(3600)))
}

/// Whether doubt is taken as a failure.
pub(super) fn is_failure(trouble: &Trouble) -> bool {
    let status = trouble.provider.http_status;
    is_on(Mutant::ServerErrorIsFailure) && status.is_some_and(|status| status >= 500)
}
