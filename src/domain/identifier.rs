//! References, ids and keys: the texts that end up in a URL or in a store's key name.

use std::fmt;
use std::sync::Arc;

use super::Fault;
use super::card_number_scan::holds_card_number;

/// The longest identifier, in characters (all are ASCII).
const MAX_LENGTH: usize = 128;

/// Checks the allow-list `[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}` without `..`.
///
/// Such a text is one path segment whatever a URL library makes of it, and one key name.
fn check(value: &str) -> Result<(), Fault> {
    if value.is_empty() {
        return Err(Fault::Missing);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    let well_formed = value.len() <= MAX_LENGTH
        && value.as_bytes()[0].is_ascii_alphanumeric()
        && value.bytes().all(allowed)
        && !value.contains("..");
    if !well_formed {
        return Err(Fault::NotAnIdentifier);
    }
    if holds_card_number(value) {
        return Err(Fault::HoldsCardNumber);
    }
    Ok(())
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 128 characters, `[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}`, without `..` and without
        /// anything that looks like a card number. Clones share one allocation.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text that fits the allow-list.
            ///
            /// # Errors
            /// [`Fault::Missing`], [`Fault::NotAnIdentifier`] or [`Fault::HoldsCardNumber`].
            pub fn new(value: &str) -> Result<Self, Fault> {
                check(value).map(|()| Self(value.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

identifier! {
    /// The caller's own name for a charge or refund; unique in the account.
    Reference
}
identifier! {
    /// The caller's key for one write: the same key is the same payment.
    IdempotencyKey
}
identifier! {
    /// Who pays, as Zentra knows them.
    CustomerId
}
identifier! {
    /// A saved payment method at Zentra.
    PaymentTokenId
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn path_tricks_controls_and_other_scripts_are_refused() {
        let long = "a".repeat(129);
        let huge = "a".repeat(1_000_000);
        for value in [
            "..",
            "../x",
            "%2e%2e",
            "a\\..\\b",
            "//host",
            "a/b",
            "?",
            "a?b",
            "#",
            "a#b",
            "\t",
            "a\tb",
            "a\nb",
            "\n",
            "\0",
            "a\0",
            " a",
            "a b",
            ".a",
            "-a",
            "_a",
            ":a",
            "a..b",
            "платёж",
            "ａ",
            "a\u{200b}",
            &long,
            &huge,
        ] {
            assert_eq!(Reference::new(value), Err(Fault::NotAnIdentifier), "{value:.20?}");
        }
        assert_eq!(Reference::new(""), Err(Fault::Missing));
    }

    #[test]
    fn everyday_references_pass() {
        let longest = "a".repeat(128);
        for value in [
            "order-1",
            "a",
            "7",
            "INV:2026.11-22_x",
            "1764000000000",
            "order-1764000000000",
            &longest,
        ] {
            assert_eq!(Reference::new(value).map(|it| it.to_string()), Ok(value.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn whatever_passes_is_one_path_segment(value in "\\PC{0,140}|[a-z0-9./%\\\\?#:-]{0,20}") {
            if Reference::new(&value).is_ok() {
                let mut url = url::Url::parse("https://host/").unwrap();
                url.path_segments_mut().unwrap().push(&value);
                prop_assert_eq!(url.path(), format!("/{value}"));
            }
        }
    }
}
