//! What a caller may ask for.

use std::time::Duration;

use super::{
    Actor, BankAccount, Card, CustomerId, IdempotencyKey, Initiator, Money, Operation,
    PaymentTokenId, Reason, Reference,
};

/// How a customer pays.
pub enum PaymentMethod {
    /// By card.
    Card(Card),
    /// From a bank account.
    BankAccount(BankAccount),
}

/// Save a payment method. It has no `Debug`, as it holds card data.
pub struct Tokenize {
    /// The same key is the same token.
    pub idempotency_key: IdempotencyKey,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// What to save.
    pub payment_method: PaymentMethod,
    /// Who is behind the call.
    pub actor: Option<Actor>,
}

/// Take money: `Charge` where the customer is present, `Renew` where not.
#[derive(Clone, Debug)]
pub struct Charge {
    /// The same key is the same payment.
    pub idempotency_key: IdempotencyKey,
    /// The caller's own name for the charge.
    pub reference: Reference,
    /// How much.
    pub amount: Money,
    /// Who pays.
    pub customer_id: CustomerId,
    /// On which saved payment method.
    pub payment_token_id: PaymentTokenId,
    /// Customer for `Charge`, merchant for `Renew`.
    pub initiator: Initiator,
    /// Who is behind the call.
    pub actor: Option<Actor>,
}

impl Charge {
    /// Which RPC it is.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self.initiator {
            Initiator::Customer => Operation::Charge,
            Initiator::Merchant => Operation::Renew,
        }
    }
}

/// Give money back.
#[derive(Clone, Debug)]
pub struct Refund {
    /// The same key is the same refund.
    pub idempotency_key: IdempotencyKey,
    /// The caller's own name for the refund.
    pub reference: Reference,
    /// Which charge.
    pub charge_reference: Reference,
    /// How much; none is all that is left.
    pub amount: Option<Money>,
    /// What the charge was for, once that has been read: no refund is of another currency, or of
    /// more.
    pub charge_amount: Option<Money>,
    /// Why.
    pub reason: Option<Reason>,
    /// Who is behind the call.
    pub actor: Option<Actor>,
}

impl Refund {
    /// True where `refund` is not of another currency than the charge, or of more; true too while
    /// the charge has not been read.
    #[must_use]
    pub fn allows(&self, refund: &super::payment::Refund) -> bool {
        self.charge_amount.is_none_or(|charge| refund.fits(charge))
    }
}

/// Ask Zentra for a charge's final status.
#[derive(Clone, Debug)]
pub struct Verify {
    /// Which charge.
    pub reference: Reference,
    /// How long to wait for a final status before asking; 0 asks at once.
    pub wait: Duration,
}

/// Which page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// From 1.
    pub number: u32,
    /// Entries a page, 1 to 100.
    pub size: u32,
}
