//! Payments as Zentra tells them.

use jiff::Timestamp;

use super::{ChargeStatus, Currency, Money, ProviderText, RedirectUrl, RefundStatus};

/// Who set a charge off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// The customer, present.
    Customer,
    /// The merchant, on a saved payment method.
    Merchant,
}

/// Money taken, or tried to be taken, from a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Zentra's id; none where a decline came without a charge object.
    pub id: Option<ProviderText>,
    /// The caller's name for it.
    pub reference: ProviderText,
    /// What was asked for.
    pub amount: Money,
    /// Who pays.
    pub customer_id: Option<ProviderText>,
    /// On which saved payment method.
    pub payment_token_id: Option<ProviderText>,
    /// Who set it off, where Zentra tells.
    pub initiator: Option<Initiator>,
    /// What has become of it.
    pub status: ChargeStatus,
    /// The status word as Zentra sent it.
    pub provider_status: ProviderText,
    /// Where the customer has to go, if anywhere.
    pub next_action: Option<RedirectUrl>,
    /// Why it failed, where it did.
    pub failure: Option<Failure>,
    /// When Zentra made it.
    pub create_time: Option<Timestamp>,
}

/// Money given back, or tried to be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Zentra's id; none where a decline came without a refund object.
    pub id: Option<ProviderText>,
    /// The caller's name for it.
    pub reference: ProviderText,
    /// Zentra's own reference, where it differs.
    pub provider_reference: Option<ProviderText>,
    /// The charge that it gives back.
    pub charge_reference: ProviderText,
    /// How much.
    pub amount: Money,
    /// Why, as the caller said.
    pub reason: Option<ProviderText>,
    /// What has become of it.
    pub status: RefundStatus,
    /// The status word as Zentra sent it.
    pub provider_status: ProviderText,
    /// Why it failed, where it did.
    pub failure: Option<Failure>,
    /// When Zentra made it.
    pub create_time: Option<Timestamp>,
}

impl Refund {
    /// True where the refund can be one of a charge of this amount.
    #[must_use]
    pub fn fits(&self, charge: Money) -> bool {
        self.amount.currency() == charge.currency()
            && self.amount.amount_minor() <= charge.amount_minor()
    }

    /// Calls the refund by its caller's reference, and keeps Zentra's own where that differs.
    pub fn name(&mut self, reference: &str) {
        if self.reference.as_str() != reference {
            let own = std::mem::replace(&mut self.reference, ProviderText::new(reference));
            self.provider_reference = Some(own);
        }
    }
}

/// A saved payment method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentToken {
    /// Zentra's id, used to charge.
    pub id: ProviderText,
    /// Whose it is.
    pub customer_id: Option<ProviderText>,
    /// What may be shown of it.
    pub display: Option<Display>,
    /// The status word as Zentra sent it.
    pub provider_status: Option<ProviderText>,
    /// When Zentra made it.
    pub create_time: Option<Timestamp>,
}

/// What may be shown of a saved payment method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Display {
    /// A card.
    Card(CardDisplay),
    /// A bank account.
    BankAccount(BankAccountDisplay),
}

/// What may be shown of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardDisplay {
    /// The scheme, as Zentra names it.
    pub brand: Option<ProviderText>,
    /// The last four digits.
    pub last4: Option<ProviderText>,
    /// 1 to 12.
    pub expiry_month: Option<u8>,
    /// Four digits.
    pub expiry_year: Option<u16>,
}

/// What may be shown of a bank account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BankAccountDisplay {
    /// The bank, as Zentra names it.
    pub bank_code: Option<ProviderText>,
    /// The last four characters of the account number.
    pub last4: Option<ProviderText>,
}

/// Why a payment failed, in words that do not change with the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureCode {
    /// The issuer said no.
    CardDeclined,
    /// Not enough money.
    InsufficientFunds,
    /// The card has expired.
    ExpiredCard,
    /// The customer could not be authenticated.
    AuthenticationFailed,
    /// Called off.
    Cancelled,
    /// The customer did not act in time.
    Expired,
    /// Another reason.
    Other,
}

impl FailureCode {
    /// The code, as the contract names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CardDeclined => "card_declined",
            Self::InsufficientFunds => "insufficient_funds",
            Self::ExpiredCard => "expired_card",
            Self::AuthenticationFailed => "authentication_failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Other => "other",
        }
    }

    /// A sentence for the caller's developer. Zentra's own texts are not passed on: they may
    /// hold anything.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::CardDeclined => "The card's issuer declined the payment.",
            Self::InsufficientFunds => "There is not enough money for the payment.",
            Self::ExpiredCard => "The card has expired.",
            Self::AuthenticationFailed => "The customer could not be authenticated.",
            Self::Cancelled => "The payment was cancelled.",
            Self::Expired => "The customer did not act in time.",
            Self::Other => "The payment failed at the provider.",
        }
    }
}

/// Why a payment failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The normalised code.
    pub code: FailureCode,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries, in Zentra's order.
    pub items: Vec<T>,
    /// True where there are more.
    pub has_more: bool,
}

/// A charge's currency decides in what its refunds are counted.
impl Charge {
    /// The currency of the charge and of its refunds.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.amount.currency()
    }
}
