//! The operations of the API, by the one name that scopes, logs and metrics use.

use std::fmt;

/// An RPC of `PaymentService`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Saves a payment method.
    Tokenize,
    /// Takes money, the customer being present.
    Charge,
    /// Takes money on a saved payment method.
    Renew,
    /// Gives money back.
    Refund,
    /// Asks Zentra for a charge's final status.
    Verify,
    /// Reads a charge.
    GetCharge,
    /// Reads the account's charges.
    ListCharges,
    /// Reads a refund.
    GetRefund,
    /// Reads a customer's saved payment methods.
    ListTokens,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Tokenize,
        Self::Charge,
        Self::Renew,
        Self::Refund,
        Self::Verify,
        Self::GetCharge,
        Self::ListCharges,
        Self::GetRefund,
        Self::ListTokens,
    ];

    /// The name, as in the scope of idempotency keys: it never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokenize => "tokenize",
            Self::Charge => "charge",
            Self::Renew => "renew",
            Self::Refund => "refund",
            Self::Verify => "verify",
            Self::GetCharge => "get_charge",
            Self::ListCharges => "list_charges",
            Self::GetRefund => "get_refund",
            Self::ListTokens => "list_tokens",
        }
    }

    /// True where the operation has an idempotency key.
    #[must_use]
    pub fn is_write(self) -> bool {
        matches!(self, Self::Tokenize | Self::Charge | Self::Renew | Self::Refund)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
