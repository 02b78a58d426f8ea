//! What a read shows of a payment moves its record forward too.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{Charge, ProviderText, Reference};
use crate::engine::{Engine, Observed, observed};
use crate::gateway::payments::{Audited, KeptCommand, charge_outcome};
use crate::idempotency::{
    Attempt, Evidence, Lookup, Namespace, Outcome, Record, Source, Stamped, State, StoreError,
    Verdict,
};
use crate::telemetry::audit::Mover;

/// The most observations under way; one more is left to the reconciler.
pub(super) const MAX_UNDER_WAY: usize = 64;

/// What a read has shown of a charge.
pub(super) struct Seen {
    /// Under which name.
    pub(super) reference: Reference,
    /// The charge.
    pub(super) charge: Charge,
    /// Zentra's id of the request.
    pub(super) request_id: Option<ProviderText>,
    /// When Zentra was asked.
    pub(super) began: Instant,
}

/// Tells the store. Whatever goes wrong, the reconciler will find the same.
pub(super) async fn charge_seen(engine: Engine, seen: Seen) {
    if let Err(fault) = store(&engine, &seen).await {
        tracing::debug!(%fault, "an observed status was not stored");
    }
}

async fn store(engine: &Engine, seen: &Seen) -> Result<(), StoreError> {
    let Seen { reference, charge, began, .. } = seen;
    let lookup = Lookup::Reference(Namespace::Charge, reference.clone());
    let Stamped { now_ms, answer } = engine.store().read(&lookup).await?;
    let Some(record) = answer else { return Ok(()) };
    // What Zentra was asked before the payment was begun says nothing of it. The two clocks need
    // not agree: both tell only how long ago.
    let age = Duration::from_millis(now_ms.saturating_sub(record.first_sent_ms));
    if age <= began.elapsed() {
        return Ok(());
    }
    let outcome = charge_outcome(charge);
    if !is_news(&record, &outcome) || !is_same(&record, charge) {
        return Ok(());
    }
    let evidence = Evidence {
        source: Source::Observer { digest: record.subject.digest, fence: record.fence },
        verdict: Verdict::Outcome(outcome.clone()),
        // A charge comes to what was asked.
        amount: None,
        attempts: vec![Attempt::new(&format!("read: {}", charge.provider_status), false)],
        next_check_after_ms: engine.reconcile_after_ms(),
        periods: engine.settings().periods,
    };
    let audited = Audited::new(&record, Some(&outcome));
    let request_id = seen.request_id.as_ref();
    let unconfirmed = |fault: &StoreError| {
        let (telemetry, verdict) = (engine.telemetry(), &evidence.verdict);
        audited.unconfirmed(telemetry, Mover::Read, verdict, request_id, fault);
    };
    let observed = observed(engine, &record, &evidence).await.inspect_err(unconfirmed)?;
    if let Observed::Stored { before } = observed {
        audited.count(engine.telemetry().measures(), before);
        engine.telemetry().audit().moved(Mover::Read, audited.known(request_id));
        if before.is_none() {
            // As where a call or the reconciler finds out: the one that read leads to the lost one.
            engine.telemetry().tracer().link_below(&record.subject.trace_context, "recovery");
        }
    }
    if observed == Observed::Conflict {
        let recorded = audited.unknown("CONFLICT", request_id);
        engine.telemetry().audit().moved(Mover::Read, recorded);
        tracing::error!(
            reference = reference.as_str(),
            digest = %record.subject.digest,
            "OUTCOME_CONFLICT: what Zentra has under this reference is not what was asked"
        );
    }
    if observed == Observed::Absent {
        // What was read may be older than the payment.
        tracing::debug!(%reference, "an observed status was left to the payment's owner");
    }
    Ok(())
}

/// Only what is further on is worth a write.
fn is_news(record: &Record, outcome: &Outcome) -> bool {
    match (record.state, &record.outcome) {
        (State::Done, Some(stored)) => {
            (stored.class, stored.phase) != (outcome.class, outcome.phase)
        }
        (State::Sent | State::Unknown, _) => outcome.class.is_final(),
        (State::Done, None) | (State::Conflict, _) => false,
    }
}

/// Another payment under the same reference is the reconciler's to complain of.
fn is_same(record: &Record, charge: &Charge) -> bool {
    match record.subject.command.as_deref().and_then(KeptCommand::read) {
        Some(KeptCommand::Charge(kept)) => kept.is(charge, record.born_ambiguous),
        Some(KeptCommand::Refund(_)) | None => false,
    }
}
