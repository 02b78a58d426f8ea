//! One look at one payment.

use std::time::Duration;

use crate::domain::{Operation, ProviderText, Reference};
use crate::engine::{Engine, Observed, observed};
use crate::gateway::payments::{self, Audited, KeptCharge, KeptCommand, KeptRefund};
use crate::idempotency::{
    Advance, Attempt, Evidence, Outcome, Record, Source, StoreError, Verdict,
};
use crate::telemetry::audit::Mover;
use crate::zentra::{Reply, Trouble, TroubleKind};

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// Its outcome is known, and final.
    Resolved,
    /// It is still open.
    Open,
    /// It contradicts what was asked.
    Conflict,
    /// Zentra asks for less.
    RateLimited,
}

/// What Zentra shows under a payment's reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// The payment.
    Same(Outcome),
    /// Another payment.
    Other(Outcome),
    /// Nothing, which proves nothing.
    Nothing,
}

/// What a look showed, and which of Zentra's answers did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What it showed.
    pub shown: Sighting,
    /// Zentra's id of the request; none where it gave none, or nothing was found.
    pub request_id: Option<ProviderText>,
}

impl Sight {
    fn nothing() -> Self {
        Self { shown: Sighting::Nothing, request_id: None }
    }
}

/// Looks at Zentra for the payment of a record, and stores nothing. `provider_reference` is
/// Zentra's own reference of a refund, where somebody knows it and the record does not.
///
/// # Errors
/// [`Trouble`] where the look-up failed.
pub async fn sight(
    engine: &Engine,
    record: &Record,
    provider_reference: Option<&Reference>,
) -> Result<Sight, Trouble> {
    let command = record.subject.command.as_deref().and_then(KeptCommand::read);
    let found = match (command, &record.subject.reference) {
        (Some(KeptCommand::Charge(kept)), Some(reference)) => {
            charge(engine, &kept, reference, record.born_ambiguous).await
        }
        (Some(KeptCommand::Refund(kept)), Some(reference)) => {
            let known = record.outcome.as_ref().and_then(payments::own_reference);
            let known = known.and_then(|text| Reference::new(text.as_str()).ok());
            let own = provider_reference.or(known.as_ref());
            refund(engine, &kept, reference, own).await
        }
        // A newer release's command, or one that nobody can look up.
        _ => return Ok(Sight::nothing()),
    };
    match found {
        Err(trouble) if trouble.kind == TroubleKind::NotFound => Ok(Sight::nothing()),
        found => found,
    }
}

/// Looks a payment up and stores what was found.
pub(super) async fn look(
    engine: &Engine,
    record: &Record,
    next: Duration,
) -> Result<Looked, StoreError> {
    let Sight { shown, request_id } = match sight(engine, record, None).await {
        Ok(sight) => sight,
        Err(trouble) => {
            postpone(engine, record, next).await?;
            return Ok(if trouble.asks_for_less() { Looked::RateLimited } else { Looked::Open });
        }
    };
    let verdict = match shown {
        Sighting::Same(outcome) => Verdict::Outcome(outcome),
        Sighting::Other(outcome) => Verdict::Contradiction(outcome),
        Sighting::Nothing => return postpone(engine, record, next).await,
    };
    // What is stored has to be told: whoever drops the pass does not part the two.
    let (stored, record) = (engine.clone(), record.clone());
    let work = async move { store(&stored, &record, verdict, request_id.as_ref(), next).await };
    // Where it broke off it is due again.
    engine.to_its_end(work).await.unwrap_or(Ok(Looked::Open))
}

async fn charge(
    engine: &Engine,
    kept: &KeptCharge,
    reference: &Reference,
    strictly: bool,
) -> Result<Sight, Trouble> {
    let Reply { value: found, request_id } = engine.zentra().get_charge(reference).await?;
    let outcome = payments::charge_outcome(&found);
    Ok(Sight { shown: sighting(kept.is(&found, strictly), outcome), request_id })
}

async fn refund(
    engine: &Engine,
    kept: &KeptRefund,
    reference: &Reference,
    own: Option<&Reference>,
) -> Result<Sight, Trouble> {
    let own = own.unwrap_or(reference);
    let Reply { value: mut found, request_id } = engine.zentra().get_refund(own).await?;
    found.name(reference.as_str());
    let outcome = payments::refund_outcome(&found);
    Ok(Sight { shown: sighting(kept.is(&found), outcome), request_id })
}

fn sighting(same: bool, outcome: Outcome) -> Sighting {
    if same { Sighting::Same(outcome) } else { Sighting::Other(outcome) }
}

async fn store(
    engine: &Engine,
    record: &Record,
    verdict: Verdict,
    request_id: Option<&ProviderText>,
    next: Duration,
) -> Result<Looked, StoreError> {
    let is_final = matches!(&verdict, Verdict::Outcome(outcome) if outcome.class.is_final());
    let word = match &verdict {
        Verdict::Outcome(outcome) => outcome.class.as_str(),
        Verdict::Contradiction(_) => "another payment",
    };
    let line = format!("reconciler look-up: {word} at epoch {}", record.fence.epoch);
    let mut periods = engine.settings().periods;
    let own_reference = record.outcome.as_ref().and_then(payments::own_reference).is_some();
    if own_reference && record.subject.operation == Operation::Refund {
        let kept_ms = engine.settings().own_reference_retention.as_millis();
        periods.retention_ms = periods.retention_ms.max(u64::try_from(kept_ms).unwrap_or(u64::MAX));
    }
    let (Verdict::Outcome(found) | Verdict::Contradiction(found)) = &verdict;
    let amount = payments::amount(record.subject.operation, found);
    let evidence = Evidence {
        source: Source::Observer { digest: record.subject.digest, fence: record.fence },
        verdict,
        amount,
        attempts: vec![Attempt::new(&line, false)],
        next_check_after_ms: u64::try_from(next.as_millis()).unwrap_or(u64::MAX),
        periods,
    };
    let (Verdict::Outcome(found) | Verdict::Contradiction(found)) = &evidence.verdict;
    let (audit, audited) = (engine.telemetry().audit(), Audited::new(record, Some(found)));
    let unconfirmed = |fault: &StoreError| {
        let (telemetry, verdict) = (engine.telemetry(), &evidence.verdict);
        audited.unconfirmed(telemetry, Mover::Reconciler, verdict, request_id, fault);
    };
    match observed(engine, record, &evidence).await.inspect_err(unconfirmed)? {
        Observed::Conflict => {
            audit.moved(Mover::Reconciler, audited.unknown("CONFLICT", request_id));
            let reference = record.subject.reference.as_ref().map(Reference::as_str);
            tracing::error!(
                reference,
                digest = %record.subject.digest,
                "OUTCOME_CONFLICT: what Zentra has under this reference is not what was asked"
            );
            Ok(Looked::Conflict)
        }
        Observed::Stored { before } => {
            audit.moved(Mover::Reconciler, audited.known(request_id));
            audited.count(engine.telemetry().measures(), before);
            Ok(if is_final { Looked::Resolved } else { Looked::Open })
        }
        Observed::KeptFinal => Ok(Looked::Resolved),
        // An outcome that says no more than the stored one leaves the record due.
        Observed::Absent | Observed::NoNews => postpone(engine, record, next).await,
    }
}

async fn postpone(engine: &Engine, record: &Record, next: Duration) -> Result<Looked, StoreError> {
    let next_check_after_ms = u64::try_from(next.as_millis()).unwrap_or(u64::MAX);
    let advance = Advance { digest: record.subject.digest, next_check_after_ms };
    engine.store().advance(&advance).await?;
    Ok(Looked::Open)
}
