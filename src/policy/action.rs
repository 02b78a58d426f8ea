//! The actions that rules speak of: what a caller may ask for.

use crate::domain::Operation;

/// What a caller asks for, by the name that rules use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Saves a payment method.
    Tokenize,
    /// Takes money, the customer being present.
    Charge,
    /// Takes money on a saved payment method.
    Renew,
    /// Gives money back.
    Refund,
    /// Asks for a charge's final status.
    Verify,
    /// Reads a charge.
    GetCharge,
    /// Reads the account's charges.
    ListCharges,
    /// Reads a refund.
    GetRefund,
    /// Reads a customer's saved payment methods.
    ListTokens,
    /// Receives events.
    Subscribe,
    /// Acknowledges events.
    Acknowledge,
}

impl Action {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Tokenize,
        Self::Charge,
        Self::Renew,
        Self::Refund,
        Self::Verify,
        Self::GetCharge,
        Self::ListCharges,
        Self::GetRefund,
        Self::ListTokens,
        Self::Subscribe,
        Self::Acknowledge,
    ];

    /// The name in rules, limits and scenarios.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokenize => "Tokenize",
            Self::Charge => "Charge",
            Self::Renew => "Renew",
            Self::Refund => "Refund",
            Self::Verify => "Verify",
            Self::GetCharge => "GetCharge",
            Self::ListCharges => "ListCharges",
            Self::GetRefund => "GetRefund",
            Self::ListTokens => "ListTokens",
            Self::Subscribe => "Subscribe",
            Self::Acknowledge => "Acknowledge",
        }
    }

    /// The action of a name; none where there is no such action.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }

    /// Its group in the schema.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Tokenize | Self::Charge | Self::Renew | Self::Refund => "Write",
            Self::Verify
            | Self::GetCharge
            | Self::ListCharges
            | Self::GetRefund
            | Self::ListTokens => "Read",
            Self::Subscribe | Self::Acknowledge => "Event",
        }
    }

    /// True where it is for an amount, so that limits can count one.
    #[must_use]
    pub fn has_amount(self) -> bool {
        matches!(self, Self::Charge | Self::Renew | Self::Refund)
    }

    /// True where it is a write, which limits can count.
    #[must_use]
    pub fn is_write(self) -> bool {
        self.group() == "Write"
    }
}

impl From<Operation> for Action {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Tokenize => Self::Tokenize,
            Operation::Charge => Self::Charge,
            Operation::Renew => Self::Renew,
            Operation::Refund => Self::Refund,
            Operation::Verify => Self::Verify,
            Operation::GetCharge => Self::GetCharge,
            Operation::ListCharges => Self::ListCharges,
            Operation::GetRefund => Self::GetRefund,
            Operation::ListTokens => Self::ListTokens,
        }
    }
}
