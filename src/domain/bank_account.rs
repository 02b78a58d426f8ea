//! A bank account, as its holder gave it. Held in memory only, wiped when dropped, never shown.

use secrecy::{ExposeSecret, SecretString};

use super::card_number_scan::holds_card_number;
use super::{Fault, Violations, text};

/// The longest holder's name, in characters.
const MAX_NAME_LENGTH: usize = 128;

/// A bank account whose number and bank code are well formed.
///
/// It has no `Debug`, so that it cannot be printed by mistake:
/// ```compile_fail
/// fn shown<T: std::fmt::Debug>() {}
/// shown::<zentra_sidecar::domain::BankAccount>();
/// ```
pub struct BankAccount {
    number: SecretString,
    bank_code: Box<str>,
    name: Option<SecretString>,
}

impl BankAccount {
    /// Checks all fields and notes every fault.
    #[must_use]
    pub fn new(
        number: SecretString,
        bank_code: &str,
        name: SecretString,
        violations: &mut Violations,
    ) -> Option<Self> {
        let alphanumeric = |value: &str, lengths: std::ops::RangeInclusive<usize>, fault| {
            let good = lengths.contains(&value.len())
                && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
            match value {
                "" => Err(Fault::Missing),
                _ if good => Ok(()),
                _ => Err(fault),
            }
        };
        let number_is_good = violations.check(
            "bank_account.account_number",
            alphanumeric(number.expose_secret(), 4..=34, Fault::AccountNumber),
        );
        let code = alphanumeric(bank_code, 2..=16, Fault::BankCode);
        // The code is shown to callers, and 16 digits are enough for a card number.
        let code = code.and_then(|()| match holds_card_number(bank_code) {
            true => Err(Fault::HoldsCardNumber),
            false => Ok(()),
        });
        let code_is_good = violations.check("bank_account.bank_code", code);
        let name_is_good = match name.expose_secret() {
            "" => Some(()),
            text => {
                violations.check("bank_account.account_name", text::check(text, MAX_NAME_LENGTH))
            }
        };
        let ((), (), ()) = (number_is_good?, code_is_good?, name_is_good?);
        let name = Some(name).filter(|name| !name.expose_secret().is_empty());
        Some(Self { number, bank_code: bank_code.into(), name })
    }

    /// The full account number.
    #[must_use]
    pub fn number(&self) -> &SecretString {
        &self.number
    }

    /// The bank, as Zentra names it.
    #[must_use]
    pub fn bank_code(&self) -> &str {
        &self.bank_code
    }

    /// The holder's name.
    #[must_use]
    pub fn name(&self) -> Option<&SecretString> {
        self.name.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(number: &str, bank_code: &str, name: &str) -> String {
        let mut violations = Violations::default();
        let account = BankAccount::new(number.into(), bank_code, name.into(), &mut violations);
        assert_eq!(account.is_some(), violations.is_empty());
        violations.to_string()
    }

    #[test]
    fn accounts_are_letters_and_digits() {
        assert_eq!(faults("0123456789", "058", "Ada Obi"), "");
        assert_eq!(faults("DE89370400440532013000", "COBADEFF", ""), "");
        assert_eq!(
            faults("12 34", "", "a\nb"),
            "bank_account.account_number must be 4 to 34 letters or digits; \
             bank_account.bank_code is required; \
             bank_account.account_name must not contain control or invisible characters"
        );
    }
}
