//! Free text that is stored and shown: reasons and actors.

use std::fmt;
use std::sync::Arc;

use super::Fault;
use super::card_number_scan::holds_card_number;

/// Checks free text: 1 to `max_length` characters, printable, no card number in it.
pub(super) fn check(value: &str, max_length: usize) -> Result<(), Fault> {
    if value.is_empty() {
        return Err(Fault::Missing);
    }
    // A character has at most four bytes: a far longer text is refused unread.
    if value.len() > max_length * 4 || value.chars().count() > max_length {
        return Err(Fault::TextLength(max_length));
    }
    if value.chars().any(is_invisible) {
        return Err(Fault::ControlCharacter);
    }
    if holds_card_number(value) {
        return Err(Fault::HoldsCardNumber);
    }
    Ok(())
}

/// Control characters, and those that change how a line reads without being seen.
pub(super) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        )
}

macro_rules! free_text {
    ($(#[$doc:meta])* $name:ident, $max_length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest text, in characters.
            pub const MAX_LENGTH: usize = $max_length;

            /// Takes a printable text without a card number in it.
            ///
            /// # Errors
            /// [`Fault::Missing`], [`Fault::TextLength`], [`Fault::ControlCharacter`] or
            /// [`Fault::HoldsCardNumber`].
            pub fn new(value: &str) -> Result<Self, Fault> {
                check(value, Self::MAX_LENGTH).map(|()| Self(value.into()))
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

free_text! {
    /// The person or job behind a write, for the audit log; not part of what makes two requests
    /// the same.
    Actor, 128
}
free_text! {
    /// Why a refund is made, as it is passed to Zentra.
    Reason, 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_in_any_language_pass_and_hidden_things_do_not() {
        assert!(Reason::new("Kunde hat storniert – zweimal gebucht (№ 7)").is_ok());
        assert_eq!(Reason::new(""), Err(Fault::Missing));
        assert_eq!(Reason::new(&"ä".repeat(255)).map(|it| it.as_str().len()), Ok(510));
        assert_eq!(Reason::new(&"a".repeat(256)), Err(Fault::TextLength(255)));
        for value in ["a\nb", "a\u{1b}[31m", "a\0", "a\u{202e}b", "a\u{200b}b"] {
            assert_eq!(Reason::new(value), Err(Fault::ControlCharacter), "{value:?}");
        }
        assert_eq!(Actor::new("jo 4111 1111 1111 1111"), Err(Fault::HoldsCardNumber));
    }
}
