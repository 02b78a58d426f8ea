//! What becomes of an outcome that somebody other than the payment's owner has seen.

use super::Engine;
use super::steps::repeated;
use crate::idempotency::{Class, CompleteAnswer, Evidence, Record, StoreError, Verdict};

/// What the store made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    /// It is stored, and nobody has told of it. `before` is the kind of the one that it has replaced.
    Stored {
        /// None where there was none.
        before: Option<Class>,
    },
    /// The record had an outcome that is final, and keeps it.
    KeptFinal,
    /// The record contradicts it.
    Conflict,
    /// There is no record.
    Absent,
    /// It says no more than the record does.
    NoNews,
}

/// Stores what was seen of the payment of `record`. An answer of the store's that is lost does not
/// keep its news from being told: whoever repeats the step finds what the first try has stored.
pub(crate) async fn observed(
    engine: &Engine,
    record: &Record,
    evidence: &Evidence,
) -> Result<Observed, StoreError> {
    let mut tries = 0;
    let answer = repeated(|| {
        tries += 1;
        engine.store().complete(evidence)
    });
    Ok(match answer.await?.answer {
        CompleteAnswer::Stored { before, .. } => Observed::Stored { before },
        CompleteAnswer::Conflict { .. } => Observed::Conflict,
        CompleteAnswer::Absent => Observed::Absent,
        CompleteAnswer::Kept { record: kept } => match &evidence.verdict {
            Verdict::Outcome(outcome)
                if tries > 1
                    && kept.outcome.as_ref() == Some(outcome)
                    && record.outcome.as_ref() != Some(outcome) =>
            {
                Observed::Stored { before: record.outcome.as_ref().map(|it| it.class) }
            }
            _ if kept.is_final() => Observed::KeptFinal,
            _ => Observed::NoNews,
        },
        CompleteAnswer::NotProof { .. } | CompleteAnswer::TooNew { .. } => Observed::NoNews,
    })
}
