//! Why a value was refused, and the list of all that is wrong with a request.

use std::fmt;

/// Why a value was refused. The text never repeats the value, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing was given.
    #[error("is required")]
    Missing,
    /// Not of the form that references, ids and keys have.
    #[error(
        "must be 1 to 128 characters of A-Z a-z 0-9 _ . : -, begin with a letter or digit, \
         and not contain '..'"
    )]
    NotAnIdentifier,
    /// A card number stands where none may.
    #[error("holds what looks like a card number; card numbers belong in card.number only")]
    HoldsCardNumber,
    /// Free text of a wrong length.
    #[error("must be 1 to {0} characters")]
    TextLength(usize),
    /// Free text with control or invisible characters.
    #[error("must not contain control or invisible characters")]
    ControlCharacter,
    /// An amount that is not positive.
    #[error("must be greater than 0, in the currency's minor unit")]
    AmountNotPositive,
    /// An amount that JSON numbers cannot carry exactly.
    #[error("must be at most 9007199254740991 (2^53 - 1)")]
    AmountTooLarge,
    /// Not an ISO 4217 code.
    #[error("must be an ISO 4217 code of three upper-case letters, such as NGN")]
    UnknownCurrency,
    /// Not a card number.
    #[error("must be 13 to 19 digits with a valid check digit")]
    CardNumber,
    /// Not a month.
    #[error("must be 1 to 12")]
    ExpiryMonth,
    /// Not a year in which a card can expire.
    #[error("must be a year of four digits, at most 25 years ahead")]
    ExpiryYear,
    /// The card has expired.
    #[error("the card has expired")]
    CardExpired,
    /// Not a security code of the card's brand.
    #[error("must be empty, or 3 digits (4 for American Express)")]
    SecurityCode,
    /// Not a bank account number.
    #[error("must be 4 to 34 letters or digits")]
    AccountNumber,
    /// Not a bank code.
    #[error("must be 2 to 16 letters or digits")]
    BankCode,
    /// A negative page size.
    #[error("must be 0 (the default, 20) or 1 to 100; more is taken as 100")]
    PageSize,
    /// A page token that this call did not hand out.
    #[error("must be empty or a next_page_token of the same call and page size")]
    PageToken,
    /// A duration outside its bounds.
    #[error("must be 0 to 300 seconds")]
    Wait,
    /// A refund in another currency than its charge.
    #[error("must be the currency of the charge")]
    CurrencyOfCharge,
}

/// One field of a request, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the request's message, such as `amount.currency`.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Collects every fault of a request, so that the caller hears of all of them at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// A list with one entry.
    #[must_use]
    pub fn one(field: &'static str, fault: Fault) -> Self {
        Self(vec![Violation { field, fault }])
    }

    /// Notes one fault.
    pub fn add(&mut self, field: &'static str, fault: Fault) {
        self.0.push(Violation { field, fault });
    }

    /// Passes a good value on; notes the fault of a bad one.
    pub fn check<T>(&mut self, field: &'static str, value: Result<T, Fault>) -> Option<T> {
        value.map_err(|fault| self.add(field, fault)).ok()
    }

    /// True where nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults in the order of the request's fields.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{} {}", violation.field, violation.fault)?;
        }
        Ok(())
    }
}
