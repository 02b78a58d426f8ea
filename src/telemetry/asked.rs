//! What a write asks for and what it comes to, as an operator reads it.

use std::sync::Arc;

use opentelemetry::Context;

use crate::domain::{
    Actor, CustomerId, Money, Operation, PaymentTokenId, ProviderText, Reason, Reference,
};
use crate::error::MoneyMoved;

/// What a write asks for. It holds no card data.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which write.
    pub operation: Operation,
    /// The person or job behind it.
    pub actor: Option<Actor>,
    /// The caller's name of the payment.
    pub reference: Option<Reference>,
    /// Of a refund: the charge.
    pub charge_reference: Option<Reference>,
    /// Whose payment it is.
    pub customer_id: Option<CustomerId>,
    /// What it is paid with.
    pub payment_token_id: Option<PaymentTokenId>,
    /// How much; none where a refund asks for all that is left.
    pub amount: Option<Money>,
    /// Of a refund: why.
    pub reason: Option<Reason>,
}

impl Asked {
    /// A write of which no more is known.
    #[must_use]
    pub fn nothing(operation: Operation) -> Self {
        Self {
            operation,
            actor: None,
            reference: None,
            charge_reference: None,
            customer_id: None,
            payment_token_id: None,
            amount: None,
            reason: None,
        }
    }
}

/// What the policy decided of a write, kept in the call's context for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyNote {
    /// The verdict, by its word.
    pub verdict: &'static str,
    /// The first rule that decided.
    pub rule_id: Option<Arc<str>>,
    /// The policy, by its content.
    pub policy_hash: Arc<str>,
}

impl PolicyNote {
    /// What was decided of the current call, where a policy was asked.
    #[must_use]
    pub fn current() -> Option<Self> {
        Context::map_current(|current| current.get::<Self>().cloned())
    }
}

/// How a payment was begun that a later call is told of, as its record keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    /// The person or job behind the call that began it; none where nobody was named.
    pub actor: Option<Actor>,
    /// What the policy decided of that call; none where there was no policy.
    pub policy: Option<PolicyNote>,
}

/// What a write came to.
#[derive(Clone, Debug)]
pub struct Came {
    /// Its status, by the contract's word.
    pub status: &'static str,
    /// False where Zentra has not ended it yet.
    pub is_final: bool,
    /// Zentra's id of it.
    pub provider_id: Option<ProviderText>,
    /// What has moved, where money has: taken by a charge, given back by a refund.
    pub moved: Option<Money>,
}

impl Came {
    /// Whether money moved, as far as this tells: an outcome that is not final may still do so.
    #[must_use]
    pub fn money_moved(&self) -> MoneyMoved {
        match (&self.moved, self.is_final) {
            (Some(_), _) => MoneyMoved::Yes,
            (None, true) => MoneyMoved::No,
            (None, false) => MoneyMoved::Unknown,
        }
    }
}
