//! Charges and renewals, made exactly once.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::kept::{KeptCharge, KeptCommand, kept_bytes};
use super::stored;
use crate::domain::{
    Charge, ChargeCommand, ChargeStatus, Currency, Failure, FailureCode, IdempotencyKey, Operation,
    ProviderText, Reference,
};
use crate::engine::{Found, Payment};
use crate::idempotency::{Class, Outcome};
use crate::telemetry::{Asked, Beginning, Came};
use crate::zentra::{Attempt, Reply, Trouble, TroubleKind, Zentra};

impl Payment for ChargeCommand {
    type Value = Charge;

    fn operation(&self) -> Operation {
        self.operation()
    }

    fn asked(&self) -> Asked {
        Asked {
            operation: self.operation(),
            actor: self.actor.clone(),
            reference: Some(self.reference.clone()),
            charge_reference: None,
            customer_id: Some(self.customer_id.clone()),
            payment_token_id: Some(self.payment_token_id.clone()),
            amount: Some(self.amount),
            reason: None,
        }
    }

    fn came(charge: &Charge) -> Came {
        came(charge)
    }

    fn idempotency_key(&self) -> &IdempotencyKey {
        &self.idempotency_key
    }

    fn reference(&self) -> Option<&Reference> {
        Some(&self.reference)
    }

    fn canonical(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(KeptCommand::Charge(self.into()).bytes())
    }

    fn kept(&self) -> Option<Bytes> {
        Some(kept_bytes(&KeptCommand::Charge(self.into()).with_background(self.actor.as_ref())))
    }

    fn beginning(kept: &[u8]) -> Beginning {
        KeptCommand::beginning(kept)
    }

    async fn send(&self, zentra: &Zentra, attempt: Attempt<'_>) -> Result<Reply<Charge>, Trouble> {
        zentra.charge(self, attempt).await
    }

    async fn look_up(&self, zentra: &Zentra, strictly: bool) -> Result<Found<Charge>, Trouble> {
        let kept = KeptCharge::from(self);
        match zentra.get_charge(&self.reference).await {
            Ok(reply) if kept.is(&reply.value, strictly) => Ok(Found::Same(reply)),
            Ok(reply) => Ok(Found::Other(reply)),
            Err(trouble) if trouble.kind == TroubleKind::NotFound => Ok(Found::Nothing),
            Err(trouble) => Err(trouble),
        }
    }

    fn declined(&self, code: FailureCode) -> Option<Charge> {
        Some(Charge {
            id: None,
            reference: ProviderText::new(self.reference.as_str()),
            amount: self.amount,
            customer_id: Some(ProviderText::new(self.customer_id.as_str())),
            payment_token_id: Some(ProviderText::new(self.payment_token_id.as_str())),
            initiator: Some(self.initiator),
            status: ChargeStatus::Failed,
            provider_status: ProviderText::new(""),
            next_action: None,
            failure: Some(Failure { code }),
            create_time: None,
        })
    }

    fn outcome(&self, charge: &Charge) -> Outcome {
        outcome(charge)
    }

    fn currency(&self) -> Option<Currency> {
        Some(self.amount.currency())
    }

    fn amount(&self, _: &Charge) -> Option<u64> {
        None
    }

    fn value(&self, outcome: &Outcome) -> Option<Charge> {
        stored::read(&outcome.payload)
    }

    fn fits(&self, charge: &Charge) -> bool {
        charge.reference.as_str() == self.reference.as_str() && charge.amount == self.amount
    }

    fn has_own_reference(&self, _: &Charge) -> bool {
        false
    }
}

/// A charge as the store keeps it. The order of the phases is that in which statuses follow each
/// other; whether the customer acts before or after Zentra works on it differs.
pub(crate) fn outcome(charge: &Charge) -> Outcome {
    let (class, phase) = match charge.status {
        ChargeStatus::Unrecognized => (Class::Open, 0),
        ChargeStatus::Pending => (Class::Open, 1),
        ChargeStatus::RequiresAction => (Class::Open, 2),
        ChargeStatus::Succeeded => (Class::Succeeded, 1),
        ChargeStatus::PartiallyRefunded => (Class::Succeeded, 2),
        ChargeStatus::Refunded => (Class::Succeeded, 3),
        ChargeStatus::Disputed => (Class::Succeeded, 4),
        ChargeStatus::Reversed => (Class::Succeeded, 5),
        ChargeStatus::Failed | ChargeStatus::Cancelled => (Class::Failed, 1),
    };
    Outcome {
        payload: stored::write(charge),
        provider_id: charge.id.as_ref().map(ToString::to_string),
        class,
        phase,
    }
}

/// What a charge says to operators.
pub(super) fn came(charge: &Charge) -> Came {
    Came {
        status: charge.status.as_str(),
        is_final: charge.status.is_final(),
        provider_id: charge.id.clone(),
        moved: charge.status.was_paid().then_some(charge.amount),
    }
}
