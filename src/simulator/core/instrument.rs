//! The magic numbers: what charges on a token do is decided by the number it was made from.

use std::time::Duration;

/// What charges on a saved method do; decided by the number it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instrument {
    /// They succeed.
    Good,
    /// They fail with this code.
    Declined(&'static str),
    /// The customer has to act first; renewals then succeed.
    CustomerActs,
    /// They are pending, and succeed 2 s later.
    Settles,
    /// They succeed at once, and the answer is held back for 3 s.
    Slow,
    /// The charge with the customer present succeeds; renewals are declined.
    RenewalsDeclined,
}

/// How long a pending charge takes.
pub(crate) const SETTLES_AFTER: Duration = Duration::from_secs(2);
/// How long a slow answer is held back.
pub(crate) const SLOW_BY: Duration = Duration::from_secs(3);

const CARDS: [(&str, Instrument); 8] = [
    ("4242424242424242", Instrument::Good),
    ("4000000000000002", Instrument::Declined("card_declined")),
    ("4000000000009995", Instrument::Declined("insufficient_funds")),
    ("4000000000000069", Instrument::Declined("expired_card")),
    ("4000002500003155", Instrument::CustomerActs),
    ("4000000000000077", Instrument::Settles),
    ("4000000000006975", Instrument::Slow),
    ("4000000000000341", Instrument::RenewalsDeclined),
];

const ACCOUNTS: [(&str, Instrument); 7] = [
    ("0000000000", Instrument::Good),
    ("0000000002", Instrument::Declined("do_not_honor")),
    ("0000009995", Instrument::Declined("insufficient_funds")),
    ("0000003155", Instrument::CustomerActs),
    ("0000000077", Instrument::Settles),
    ("0000006975", Instrument::Slow),
    ("0000000341", Instrument::RenewalsDeclined),
];

impl Instrument {
    /// By card number; one that is not magic is good.
    pub(crate) fn of_card(number: &str) -> Self {
        find(&CARDS, number)
    }

    /// By account number; one that is not magic is good.
    pub(crate) fn of_account(number: &str) -> Self {
        find(&ACCOUNTS, number)
    }

    /// The word shown in the ledger; for a declined one the failure's code.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Declined(code) => code,
            Self::CustomerActs => "customer_acts",
            Self::Settles => "settles",
            Self::Slow => "slow",
            Self::RenewalsDeclined => "renewals_declined",
        }
    }
}

impl serde::Serialize for Instrument {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.name())
    }
}

fn find(table: &[(&str, Instrument)], number: &str) -> Instrument {
    table
        .iter()
        .find(|(magic, _)| *magic == number)
        .map_or(Instrument::Good, |(_, instrument)| *instrument)
}

/// The Luhn check of a number in digits.
pub(crate) fn luhn(number: &str) -> bool {
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit.wrapping_sub(b'0'));
            let doubled = digit * (1 + u32::from(place % 2 == 1));
            doubled / 10 + doubled % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The brand, by the number's first digits.
pub(crate) fn brand(number: &str) -> &'static str {
    let first = |digits: usize| number.get(..digits).and_then(|text| text.parse::<u32>().ok());
    match (first(1), first(2), first(4)) {
        (Some(4), ..) => "visa",
        (_, Some(51..=55), _) | (_, _, Some(2221..=2720)) => "mastercard",
        (_, Some(34 | 37), _) => "amex",
        (_, _, Some(5060..=5061 | 6500..=6509)) => "verve",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_magic_card_passes_luhn_and_one_digit_off_does_not() {
        assert!(CARDS.iter().all(|(number, _)| luhn(number)));
        assert!(!luhn("4242424242424241"));
    }

    #[test]
    fn brands_are_told_apart() {
        let brands = ["4242424242424242", "5555555555554444", "378282246310005", "9"].map(brand);
        assert_eq!(brands, ["visa", "mastercard", "amex", "unknown"]);
    }

    #[test]
    fn numbers_without_magic_are_good() {
        assert_eq!(Instrument::of_card("5555555555554444"), Instrument::Good);
        assert_eq!(Instrument::of_account("0123456789"), Instrument::Good);
        assert_eq!(Instrument::of_account("0000000077"), Instrument::Settles);
    }
}
