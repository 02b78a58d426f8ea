//! A card, as its holder typed it. Held in memory only, wiped when dropped, never shown.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use secrecy::{ExposeSecret, SecretString};

use super::card_number_scan::passes_luhn;
use super::{Fault, Violations, text};

/// The longest holder's name, in characters.
const MAX_NAME_LENGTH: usize = 128;
/// How many years ahead a card may expire.
const MAX_YEARS_AHEAD: i16 = 25;

/// A card whose number, expiry and security code are well formed.
///
/// It has no `Debug`, so that it cannot be printed by mistake:
/// ```compile_fail
/// fn shown<T: std::fmt::Debug>() {}
/// shown::<zentra_sidecar::domain::Card>();
/// ```
pub struct Card {
    number: SecretString,
    expiry_month: u8,
    expiry_year: u16,
    security_code: Option<SecretString>,
    holder_name: Option<SecretString>,
}

/// The fields of a card before they were checked. The texts are wiped when dropped.
pub struct CardParts {
    /// 13 to 19 digits.
    pub number: SecretString,
    /// 1 to 12.
    pub expiry_month: i32,
    /// Four digits.
    pub expiry_year: i32,
    /// May be empty.
    pub security_code: SecretString,
    /// May be empty.
    pub holder_name: SecretString,
}

impl Card {
    /// Checks all fields and notes every fault; `now` decides whether the card has expired.
    #[must_use]
    pub fn new(parts: CardParts, now: Timestamp, violations: &mut Violations) -> Option<Self> {
        let number = violations.check("card.number", check_number(parts.number.expose_secret()));
        let expiry = check_expiry(parts.expiry_month, parts.expiry_year, now, violations);
        let code = parts.security_code.expose_secret();
        let four_digits = matches!(parts.number.expose_secret().get(..2), Some("34" | "37"));
        let code = violations.check("card.cvv", check_security_code(code, four_digits));
        let name = match parts.holder_name.expose_secret() {
            "" => Some(()),
            name => violations.check("card.holder_name", text::check(name, MAX_NAME_LENGTH)),
        };
        let ((), (), ()) = (number?, code?, name?);
        let (expiry_month, expiry_year) = expiry?;
        let unless_empty =
            |secret: SecretString| Some(secret).filter(|it| !it.expose_secret().is_empty());
        Some(Self {
            number: parts.number,
            expiry_month,
            expiry_year,
            security_code: unless_empty(parts.security_code),
            holder_name: unless_empty(parts.holder_name),
        })
    }

    /// The full number.
    #[must_use]
    pub fn number(&self) -> &SecretString {
        &self.number
    }

    /// 1 to 12.
    #[must_use]
    pub fn expiry_month(&self) -> u8 {
        self.expiry_month
    }

    /// Four digits.
    #[must_use]
    pub fn expiry_year(&self) -> u16 {
        self.expiry_year
    }

    /// The code on the card; never stored, in no form.
    #[must_use]
    pub fn security_code(&self) -> Option<&SecretString> {
        self.security_code.as_ref()
    }

    /// The name on the card.
    #[must_use]
    pub fn holder_name(&self) -> Option<&SecretString> {
        self.holder_name.as_ref()
    }
}

fn check_number(number: &str) -> Result<(), Fault> {
    if number.is_empty() {
        return Err(Fault::Missing);
    }
    let mut digits = zeroize::Zeroizing::new([0_u8; 19]);
    let digits = digits.get_mut(..number.len()).ok_or(Fault::CardNumber)?;
    for (digit, byte) in digits.iter_mut().zip(number.bytes()) {
        *digit = byte.checked_sub(b'0').filter(|&it| it < 10).ok_or(Fault::CardNumber)?;
    }
    if digits.len() >= 13 && digits.iter().any(|&it| it != 0) && passes_luhn(digits) {
        Ok(())
    } else {
        Err(Fault::CardNumber)
    }
}

/// A card is good to the last day of its month, wherever on Earth that day ends last.
fn check_expiry(
    month: i32,
    year: i32,
    now: Timestamp,
    violations: &mut Violations,
) -> Option<(u8, u16)> {
    let today = now.checked_sub(12.hours()).unwrap_or(now).to_zoned(TimeZone::UTC).date();
    let month =
        i8::try_from(month).ok().filter(|month| (1..=12).contains(month)).ok_or(Fault::ExpiryMonth);
    let year = i16::try_from(year)
        .ok()
        .filter(|&year| year >= 1000 && year <= today.year().saturating_add(MAX_YEARS_AHEAD))
        .ok_or(Fault::ExpiryYear);
    let month = violations.check("card.expiry_month", month);
    let year = violations.check("card.expiry_year", year);
    let (month, year) = (month?, year?);
    let first_day = Date::new(year, month, 1).ok()?;
    if first_day.last_of_month() < today {
        violations.add("card.expiry_year", Fault::CardExpired);
        return None;
    }
    Some((month.unsigned_abs(), year.unsigned_abs()))
}

fn check_security_code(code: &str, four_digits: bool) -> Result<(), Fault> {
    let right_length = code.len() == if four_digits { 4 } else { 3 };
    let well_formed = right_length && code.bytes().all(|it| it.is_ascii_digit());
    (code.is_empty() || well_formed).then_some(()).ok_or(Fault::SecurityCode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(number: &str, month: i32, year: i32, code: &str, name: &str) -> String {
        let parts = CardParts {
            number: number.into(),
            expiry_month: month,
            expiry_year: year,
            security_code: code.into(),
            holder_name: name.into(),
        };
        let mut violations = Violations::default();
        let card = Card::new(parts, "2026-11-22T10:00:00Z".parse().unwrap(), &mut violations);
        assert_eq!(card.is_some(), violations.is_empty());
        violations.to_string()
    }

    #[test]
    fn good_cards_pass() {
        assert_eq!(faults("4242424242424242", 11, 2026, "123", "Ada Obi"), "");
        assert_eq!(faults("378282246310005", 1, 2030, "1234", ""), "");
        assert_eq!(faults("5061460410120223210", 1, 2030, "", ""), "");
    }

    #[test]
    fn every_fault_is_told_at_once_and_nothing_is_repeated() {
        let told = faults("4242424242424241", 13, 26, "12", "4111 1111 1111 1111");
        assert_eq!(
            told,
            "card.number must be 13 to 19 digits with a valid check digit; \
             card.expiry_month must be 1 to 12; \
             card.expiry_year must be a year of four digits, at most 25 years ahead; \
             card.cvv must be empty, or 3 digits (4 for American Express); \
             card.holder_name holds what looks like a card number; \
             card numbers belong in card.number only"
        );
    }

    #[test]
    fn a_card_expires_at_the_end_of_its_month() {
        assert_eq!(
            faults("4242424242424242", 10, 2026, "", ""),
            "card.expiry_year the card has expired"
        );
        assert_eq!(faults("4242424242424242", 11, 2026, "", ""), "");
        assert_eq!(faults("4242424242424242", 11, 2051, "", ""), "");
        assert!(faults("4242424242424242", 11, 2052, "", "").contains("25 years"));
    }

    #[test]
    fn numbers_are_plain_digits() {
        for number in [
            "",
            "4242 4242 4242 4242",
            "4242-4242-4242-4242",
            "٤٢٤٢",
            "0000000000000000",
            "424242424242",
            "42424242424242424242",
            "4242424242424242\n",
        ] {
            assert!(faults(number, 11, 2030, "", "").starts_with("card.number"), "{number}");
        }
    }

    #[test]
    fn the_length_of_the_security_code_follows_the_brand() {
        assert!(faults("378282246310005", 1, 2030, "123", "").contains("card.cvv"));
        assert!(faults("4242424242424242", 1, 2030, "1234", "").contains("card.cvv"));
        assert!(faults("4242424242424242", 1, 2030, "12a", "").contains("card.cvv"));
    }
}
