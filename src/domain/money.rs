//! Money: a positive amount in a currency's minor unit.

use std::fmt;

use super::Fault;

/// An ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Takes an ISO 4217 code of three upper-case letters.
    ///
    /// # Errors
    /// [`Fault::Missing`] or [`Fault::UnknownCurrency`]; lower case is refused, not mended.
    pub fn new(code: &str) -> Result<Self, Fault> {
        if code.is_empty() {
            return Err(Fault::Missing);
        }
        // A code that reads back differently is none; one without a minor unit (gold, testing)
        // is nothing that can be charged.
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.code() == code && currency.exponent().is_some())
            .map(Self)
            .ok_or(Fault::UnknownCurrency)
    }

    /// The code, such as `NGN`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals the minor unit has: 2 for NGN, 0 for JPY.
    #[must_use]
    pub fn decimals(self) -> u16 {
        // Every currency here has one: the constructor sees to it.
        self.0.exponent().unwrap_or(0)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

/// An amount of money greater than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    amount_minor: i64,
    currency: Currency,
}

impl Money {
    /// The largest amount: the largest whole number that every JSON reader carries exactly.
    pub const MAX_AMOUNT_MINOR: i64 = (1 << 53) - 1;

    /// Checks an amount by itself, so that its fault and the currency's are told at once.
    ///
    /// # Errors
    /// [`Fault::AmountNotPositive`] or [`Fault::AmountTooLarge`].
    pub fn check_amount(amount_minor: i64) -> Result<i64, Fault> {
        match amount_minor {
            ..=0 => Err(Fault::AmountNotPositive),
            1..=Self::MAX_AMOUNT_MINOR => Ok(amount_minor),
            _ => Err(Fault::AmountTooLarge),
        }
    }

    /// An amount in the currency's minor unit (kobo for NGN, yen for JPY).
    ///
    /// # Errors
    /// As [`Money::check_amount`].
    pub fn new(amount_minor: i64, currency: Currency) -> Result<Self, Fault> {
        let amount_minor = Self::check_amount(amount_minor)?;
        Ok(Self { amount_minor, currency })
    }

    /// The amount in the currency's minor unit.
    #[must_use]
    pub fn amount_minor(self) -> i64 {
        self.amount_minor
    }

    /// The currency.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }
}

impl fmt::Display for Money {
    /// As people write it: `NGN 1,250.00`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.currency.decimals());
        let digits = format!("{:0>width$}", self.amount_minor, width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        write!(formatter, "{} ", self.currency.code())?;
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index) % 3 == 0 {
                formatter.write_str(",")?;
            }
            write!(formatter, "{digit}")?;
        }
        if decimals > 0 {
            write!(formatter, ".{fraction}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_positive_and_exact_in_json() {
        let ngn = Currency::new("NGN").unwrap();
        for amount in [0, -1, i64::MIN] {
            assert_eq!(Money::new(amount, ngn), Err(Fault::AmountNotPositive));
        }
        for amount in [Money::MAX_AMOUNT_MINOR + 1, i64::MAX] {
            assert_eq!(Money::new(amount, ngn), Err(Fault::AmountTooLarge));
        }
        assert!(Money::new(1, ngn).is_ok() && Money::new(Money::MAX_AMOUNT_MINOR, ngn).is_ok());
    }

    #[test]
    fn only_upper_case_iso_codes_are_currencies() {
        assert_eq!(Currency::new(""), Err(Fault::Missing));
        for code in ["ngn", "Ngn", "NG", "NGNN", "ZZZ", "₦", "NGN ", "N\0N", "XTS", "XAU"] {
            assert_eq!(Currency::new(code), Err(Fault::UnknownCurrency), "{code:?}");
        }
        for code in ["NGN", "KES", "GHS", "ZAR", "USD", "EUR", "JPY", "KWD"] {
            assert_eq!(Currency::new(code).map(Currency::code), Ok(code));
        }
    }

    #[test]
    fn money_reads_as_people_write_it() {
        let shown =
            |amount, code| Money::new(amount, Currency::new(code).unwrap()).unwrap().to_string();
        assert_eq!(shown(125_000, "NGN"), "NGN 1,250.00");
        assert_eq!(shown(5, "USD"), "USD 0.05");
        assert_eq!(shown(1_234_567, "JPY"), "JPY 1,234,567");
        assert_eq!(shown(1_500, "KWD"), "KWD 1.500");
    }
}
