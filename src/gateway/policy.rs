//! What the policy may look at of each call, and how a read is permitted.

use super::charge_facts::ChargeFacts;
use super::ruler::Ruling;
use super::{Call, Gateway};
use crate::domain::{
    ChargeCommand, CustomerId, Operation, PaymentMethod, Reference, RefundCommand, TokenizeCommand,
};
use crate::error::Error;
use crate::policy::{Action, ChargeOf, Fields};

impl Gateway {
    /// Decides a write. A denial is one more refusal, which an existing payment beats.
    pub(super) fn rule(&self, call: &Call, action: Action, fields: Fields<'_>) -> Ruling {
        self.shared.ruler.rule(&call.caller, action, fields)
    }

    /// Decides a read, or Verify, before anything is sent.
    ///
    /// # Errors
    /// `POLICY_DENIED`.
    pub(super) fn permit(
        &self,
        call: &Call,
        operation: Operation,
        fields: Fields<'_>,
    ) -> Result<(), Error> {
        match self.rule(call, operation.into(), fields).refusal {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }
}

/// What the policy may look at of a token to be saved: nothing of the card or the account.
pub(super) fn of_tokenize(command: &TokenizeCommand) -> Fields<'_> {
    let method = match command.payment_method {
        PaymentMethod::Card(_) => "card",
        PaymentMethod::BankAccount(_) => "bank_account",
    };
    Fields {
        customer: Some(command.customer_id.as_str()),
        method: Some(method),
        actor: command.actor.as_ref().map(|actor| actor.as_str()),
        ..Fields::default()
    }
}

pub(super) fn of_charge(command: &ChargeCommand) -> Fields<'_> {
    Fields {
        reference: Some(command.reference.as_str()),
        amount: Some(command.amount),
        customer: Some(command.customer_id.as_str()),
        token: Some(command.payment_token_id.as_str()),
        initiator: Some(command.initiator),
        actor: command.actor.as_ref().map(|actor| actor.as_str()),
        ..Fields::default()
    }
}

/// A refund of all that is left is taken as one of the whole charge, which it cannot exceed.
pub(super) fn of_refund(
    command: &RefundCommand,
    charge: ChargeFacts,
    now: jiff::Timestamp,
) -> Fields<'_> {
    let age = |made: jiff::Timestamp| now.as_second().saturating_sub(made.as_second()).max(0);
    let charge_of = ChargeOf {
        reference: command.charge_reference.as_str(),
        amount: charge.amount,
        age_seconds: charge.create_time.map(age),
        all_that_is_left: command.amount.is_none(),
    };
    Fields {
        reference: Some(command.reference.as_str()),
        amount: Some(command.amount.unwrap_or(charge.amount)),
        charge: Some(charge_of),
        reason: command.reason.as_ref().map(|reason| reason.as_str()),
        actor: command.actor.as_ref().map(|actor| actor.as_str()),
        ..Fields::default()
    }
}

pub(super) fn of_reference(reference: &Reference) -> Fields<'_> {
    Fields { reference: Some(reference.as_str()), ..Fields::default() }
}

pub(super) fn of_customer(customer: &CustomerId) -> Fields<'_> {
    Fields { customer: Some(customer.as_str()), ..Fields::default() }
}
