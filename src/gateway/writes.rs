//! The four writes.

use super::{Call, CardData, Gateway, trouble};
use crate::domain::{
    Charge, ChargeCommand, ChargeStatus, Execution, ExecutionPath, Failure, Fault, IdempotencyKey,
    Operation, PaymentToken, ProviderText, Refund, RefundCommand, TokenizeCommand, Violations,
};
use crate::error::{Error, MoneyMoved, Reason};
use crate::idempotency::{KeyDigest, Scope};
use crate::zentra::{Reply, Trouble, TroubleKind};

/// The value of a write, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed<T> {
    /// The payment or token.
    pub value: T,
    /// How it came about.
    pub execution: Execution,
}

impl Gateway {
    /// Saves a payment method.
    ///
    /// # Errors
    /// `CARD_DATA_REFUSED` where this sidecar takes no card data, and those of every write.
    pub async fn tokenize(
        &self,
        call: Call,
        command: TokenizeCommand,
    ) -> Result<Executed<PaymentToken>, Error> {
        if self.shared.card_data == CardData::Refuse {
            return Err(Error::new(Reason::CardDataRefused).money_moved(MoneyMoved::No));
        }
        let key = self.upstream_key(&call, Operation::Tokenize, &command.idempotency_key);
        let this = self.clone();
        self.outlive(&call, None, async move {
            let reply = this.shared.zentra.tokenize(&command, &key).await;
            reply.map(|reply| this.executed(reply)).map_err(trouble::of_write)
        })
        .await
    }

    /// Takes money, for `Charge` and `Renew`. A decline is a charge that failed, not an error.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn charge(
        &self,
        call: Call,
        command: ChargeCommand,
    ) -> Result<Executed<Charge>, Error> {
        let key = self.upstream_key(&call, command.operation(), &command.idempotency_key);
        let reference = command.reference.clone();
        let this = self.clone();
        self.outlive(&call, Some(reference.as_str()), async move {
            let reply = match this.shared.zentra.charge(&command, &key).await {
                Err(Trouble { kind: TroubleKind::Declined(code), provider, .. }) => {
                    let value = declined(&command, Failure { code });
                    Ok(Reply { value, request_id: provider.request_id })
                }
                other => other,
            };
            reply
                .map(|reply| this.executed(reply))
                .map_err(|it| trouble::of_write(it).reference(command.reference.as_str()))
        })
        .await
    }

    /// Gives money back. The charge is read first: a refund has no currency of its own at
    /// Zentra, so that an amount in another one would be taken as the charge's.
    ///
    /// # Errors
    /// `CHARGE_NOT_REFUNDABLE`, `REFUND_EXCEEDS_CHARGE`, and those of every write.
    pub async fn refund(
        &self,
        call: Call,
        command: RefundCommand,
    ) -> Result<Executed<Refund>, Error> {
        let key = self.upstream_key(&call, Operation::Refund, &command.idempotency_key);
        let reference = command.reference.clone();
        let this = self.clone();
        self.outlive(&call, Some(reference.as_str()), async move {
            let zentra = &this.shared.zentra;
            let named = |error: Error| error.reference(command.reference.as_str());
            let charge = zentra.get_charge(&command.charge_reference).await;
            let charge = charge.map_err(|it| named(unreadable_charge(it)))?.value;
            check_refund(&command, &charge).map_err(named)?;
            let reply = zentra.refund(&command, &key).await;
            reply.map(|reply| this.executed(reply)).map_err(|it| named(trouble::of_write(it)))
        })
        .await
    }

    /// The key that Zentra sees: the same on every attempt, replica and release.
    fn upstream_key(&self, call: &Call, operation: Operation, key: &IdempotencyKey) -> String {
        let shared = &self.shared;
        let scope = Scope {
            account: &shared.account,
            environment: shared.environment,
            caller: &call.caller,
            operation,
        };
        KeyDigest::new(scope, key).to_string()
    }

    fn executed<T>(&self, reply: Reply<T>) -> Executed<T> {
        let execution = Execution {
            attempts: 1,
            provider_request_id: reply.request_id,
            path: ExecutionPath::Direct,
            environment: self.shared.environment,
        };
        Executed { value: reply.value, execution }
    }
}

/// A decline that came without a charge object.
fn declined(command: &ChargeCommand, failure: Failure) -> Charge {
    Charge {
        id: None,
        reference: ProviderText::new(command.reference.as_str()),
        amount: command.amount,
        customer_id: Some(ProviderText::new(command.customer_id.as_str())),
        payment_token_id: Some(ProviderText::new(command.payment_token_id.as_str())),
        initiator: Some(command.initiator),
        status: ChargeStatus::Failed,
        provider_status: ProviderText::new(""),
        next_action: None,
        failure: Some(failure),
        create_time: None,
    }
}

/// Nothing was sent, but the refund's key may stand for one that was made before.
fn unreadable_charge(trouble: Trouble) -> Error {
    let not_found = trouble.kind == TroubleKind::NotFound;
    if not_found {
        return trouble::of_write(trouble).sent(false);
    }
    trouble::of_read(trouble).money_moved(MoneyMoved::Unknown)
}

fn check_refund(command: &RefundCommand, charge: &Charge) -> Result<(), Error> {
    if !charge.status.was_paid() {
        return Err(Error::new(Reason::ChargeNotRefundable));
    }
    let Some(amount) = command.amount else {
        return Ok(());
    };
    if amount.currency() != charge.amount.currency() {
        let violations = Violations::one("amount.currency", Fault::CurrencyOfCharge);
        return Err(Error::invalid(violations));
    }
    if amount.amount_minor() > charge.amount.amount_minor() {
        let error = Error::new(Reason::RefundExceedsCharge);
        // Where part of it was given back already, only Zentra knows what is left.
        let untouched = charge.status == ChargeStatus::Succeeded;
        let remaining = charge.amount.amount_minor();
        return Err(if untouched { error.remaining_minor(remaining) } else { error });
    }
    Ok(())
}
