//! Refunds, made exactly once.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::kept::{KeptCommand, KeptRefund, kept_bytes};
use super::stored;
use crate::domain::{
    Currency, FailureCode, IdempotencyKey, Money, Operation, Reference, Refund, RefundCommand,
    RefundStatus,
};
use crate::engine::{Found, Payment};
use crate::idempotency::{Class, Outcome};
use crate::telemetry::{Asked, Beginning, Came};
use crate::zentra::{Attempt, Reply, Trouble, TroubleKind, Zentra};

impl Payment for RefundCommand {
    type Value = Refund;

    fn operation(&self) -> Operation {
        Operation::Refund
    }

    fn asked(&self) -> Asked {
        Asked {
            operation: Operation::Refund,
            actor: self.actor.clone(),
            reference: Some(self.reference.clone()),
            charge_reference: Some(self.charge_reference.clone()),
            customer_id: None,
            payment_token_id: None,
            amount: self.amount,
            reason: self.reason.clone(),
        }
    }

    fn came(refund: &Refund) -> Came {
        came(refund)
    }

    fn idempotency_key(&self) -> &IdempotencyKey {
        &self.idempotency_key
    }

    fn reference(&self) -> Option<&Reference> {
        Some(&self.reference)
    }

    fn canonical(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(KeptCommand::Refund(self.into()).bytes())
    }

    fn kept(&self) -> Option<Bytes> {
        Some(kept_bytes(&KeptCommand::Refund(self.into()).with_background(self.actor.as_ref())))
    }

    fn beginning(kept: &[u8]) -> Beginning {
        KeptCommand::beginning(kept)
    }

    async fn send(&self, zentra: &Zentra, attempt: Attempt<'_>) -> Result<Reply<Refund>, Trouble> {
        zentra.refund(self, attempt).await
    }

    /// Zentra may know the refund by a reference that was lost with the store: where the charge
    /// shows refunds, a refund that is not found may be one of them.
    async fn look_up(&self, zentra: &Zentra, strictly: bool) -> Result<Found<Refund>, Trouble> {
        let kept = KeptRefund::from(self);
        match zentra.get_refund(&self.reference).await {
            Ok(reply) if kept.is(&reply.value) && self.allows(&reply.value) => {
                return Ok(Found::Same(reply));
            }
            Ok(reply) => return Ok(Found::Other(reply)),
            Err(trouble) if trouble.kind == TroubleKind::NotFound => {}
            Err(trouble) => return Err(trouble),
        }
        if !strictly {
            return Ok(Found::Nothing);
        }
        let charge = zentra.get_charge(&self.charge_reference).await?.value;
        match charge.status.may_show_refunds() {
            true => Ok(Found::Untold),
            false => Ok(Found::Nothing),
        }
    }

    fn declined(&self, _: FailureCode) -> Option<Refund> {
        None
    }

    fn outcome(&self, refund: &Refund) -> Outcome {
        outcome(refund)
    }

    fn currency(&self) -> Option<Currency> {
        self.amount.or(self.charge_amount).map(Money::currency)
    }

    fn amount(&self, refund: &Refund) -> Option<u64> {
        u64::try_from(refund.amount.amount_minor()).ok()
    }

    fn value(&self, outcome: &Outcome) -> Option<Refund> {
        stored::read(&outcome.payload)
    }

    fn fits(&self, refund: &Refund) -> bool {
        KeptRefund::from(self).is(refund)
    }

    fn has_own_reference(&self, refund: &Refund) -> bool {
        refund.provider_reference.is_some()
    }
}

/// A refund as the store keeps it.
pub(crate) fn outcome(refund: &Refund) -> Outcome {
    let (class, phase) = match refund.status {
        RefundStatus::Unrecognized => (Class::Open, 0),
        RefundStatus::Pending => (Class::Open, 1),
        RefundStatus::Succeeded => (Class::Succeeded, 1),
        RefundStatus::Failed => (Class::Failed, 1),
    };
    Outcome {
        payload: stored::write(refund),
        provider_id: refund.id.as_ref().map(ToString::to_string),
        class,
        phase,
    }
}

/// What a refund says to operators.
pub(super) fn came(refund: &Refund) -> Came {
    Came {
        status: refund.status.as_str(),
        is_final: refund.status.is_final(),
        provider_id: refund.id.clone(),
        moved: (refund.status == RefundStatus::Succeeded).then_some(refund.amount),
    }
}
