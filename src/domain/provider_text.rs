//! Texts that Zentra sent: bounded, printable, and never a card number or a key.

use std::fmt;

use super::card_number_scan::holds_card_number;
use super::text::is_invisible;

/// The longest text that is passed on, in characters: as long as a reason that is sent there.
const MAX_LENGTH: usize = super::Reason::MAX_LENGTH;
/// The longest address that a customer is sent to, in bytes.
const MAX_URL_LENGTH: usize = 2048;
/// What stands for a text that may not be passed on.
const WITHHELD: &str = "[withheld]";

/// A short text that Zentra sent: an id, a status word, a brand.
///
/// One that is longer than 255 characters, has control or invisible characters, or looks like a
/// card number or a key is replaced by `[withheld]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProviderText(Box<str>);

impl ProviderText {
    /// Takes the text, or withholds it.
    #[must_use]
    pub fn new(value: &str) -> Self {
        // A character has at most four bytes: a far longer text is withheld unread.
        let fit = value.len() <= MAX_LENGTH * 4
            && value.chars().count() <= MAX_LENGTH
            && !value.chars().any(is_invisible)
            && !holds_card_number(value)
            && !holds_key(value);
        Self(if fit { value.into() } else { WITHHELD.into() })
    }

    /// Takes an id, or withholds it: what is none may be anything, a customer's name or a security
    /// code included. 1 to 128 characters of A-Z a-z 0-9 _ . : / + = - and no
    /// others.
    #[must_use]
    pub fn word(value: &str) -> Self {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/+=-".contains(&byte);
        let is_word = (1..=128).contains(&value.len()) && value.bytes().all(allowed);
        Self::new(if is_word { value } else { WITHHELD })
    }

    /// Takes a name of one of a few kinds, as that of a card's scheme, or withholds it: 1 to 32 letters,
    /// digits, spaces and `_ . & + -`.
    #[must_use]
    pub fn label(value: &str) -> Self {
        let allowed = |it: char| it.is_alphanumeric() || " _.&+-".contains(it);
        let is_label = (1..=32).contains(&value.chars().count()) && value.chars().all(allowed);
        Self::new(if is_label { value } else { WITHHELD })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where the customer has to go: an absolute `https` address (`http` on loopback only).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUrl(Box<str>);

impl RedirectUrl {
    /// Takes an address that a browser may be sent to; none for anything else.
    #[must_use]
    pub fn new(value: &str) -> Option<Self> {
        if value.len() > MAX_URL_LENGTH || holds_card_number(value) || holds_key(value) {
            return None;
        }
        let url = url::Url::parse(value).ok()?;
        let loopback = match url.host()? {
            url::Host::Domain(name) => name == "localhost",
            url::Host::Ipv4(address) => address.is_loopback(),
            url::Host::Ipv6(address) => address.is_loopback(),
        };
        // Parsing drops tabs and newlines, and so can join what stood apart.
        if holds_card_number(url.as_str()) || holds_key(url.as_str()) {
            return None;
        }
        let fit = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        (fit && url.username().is_empty() && url.password().is_none())
            .then(|| Self(url.as_str().into()))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a key of Zentra's begins with, or an `Authorization`, in whatever case.
const KEY_BEGINNINGS: [&[u8]; 8] = [
    b"sk_live_",
    b"sk_sandbox_",
    b"sk_simulated_",
    b"pk_live_",
    b"pk_sandbox_",
    b"whsec_",
    b"bearer ",
    b"bearer:",
];

/// True where a text holds what begins like a key of Zentra's, or like an `Authorization`.
fn holds_key(value: &str) -> bool {
    let bytes = value.as_bytes();
    let mut before = b' ';
    bytes.iter().enumerate().any(|(at, &byte)| {
        // `task_live_1` is no key.
        let may_begin = !before.is_ascii_alphanumeric()
            && matches!(byte, b'S' | b's' | b'P' | b'p' | b'W' | b'w' | b'B' | b'b');
        before = byte;
        may_begin && begins_with_key(&bytes[at..])
    })
}

fn begins_with_key(bytes: &[u8]) -> bool {
    KEY_BEGINNINGS.iter().any(|beginning| {
        bytes.get(..beginning.len()).is_some_and(|it| it.eq_ignore_ascii_case(beginning))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// [`holds_key`] as it reads: each beginning searched for in the lower-case text.
    fn holds_key_by_search(value: &str) -> bool {
        let value = value.to_ascii_lowercase();
        KEY_BEGINNINGS.iter().any(|beginning| {
            let beginning = std::str::from_utf8(beginning).unwrap();
            value.match_indices(beginning).any(|(at, _)| {
                !value[..at].ends_with(|before: char| before.is_ascii_alphanumeric())
            })
        })
    }

    /// Texts of what keys are made of, whole and torn.
    fn near_keys() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => proptest::sample::select(KEY_BEGINNINGS.to_vec())
                .prop_map(|it| String::from_utf8(it.to_vec()).unwrap()),
            2 => "(sk|pk|SK|Sk|wh|whsec|bearer|BEARER|live|sandbox|_|:| )",
            2 => "[-_ .:a-zA-Z0-9äß𝟒ſ]{0,2}",
            1 => any::<char>().prop_map(String::from),
        ];
        (proptest::collection::vec(piece, 0..6), any::<bool>()).prop_map(|(pieces, is_upper)| {
            let text = pieces.concat();
            if is_upper { text.to_ascii_uppercase() } else { text }
        })
    }

    proptest! {
        #[test]
        fn keys_are_found_in_one_pass_as_by_search(text in near_keys()) {
            prop_assert_eq!(holds_key(&text), holds_key_by_search(&text), "{}", text);
        }
    }

    #[test]
    fn card_numbers_and_escapes_are_withheld() {
        for value in ["4111 1111 1111 1111", "a\u{1b}[2J", "a\nb", &"a".repeat(256)] {
            assert_eq!(ProviderText::new(value).as_str(), "[withheld]");
        }
        assert_eq!(ProviderText::new("chg_01").as_str(), "chg_01");
        let longest = "ä".repeat(255);
        assert_eq!(ProviderText::new(&longest).as_str(), longest);
    }

    #[test]
    fn keys_are_withheld() {
        for value in ["sk_live_a1", "key: SK_SANDBOX_a1", "x-whsec_a1", "Bearer abc"] {
            assert_eq!(ProviderText::new(value).as_str(), "[withheld]", "{value}");
        }
        for value in ["task_live_1", "risk_sandbox_2", "forbearer 1"] {
            assert_eq!(ProviderText::new(value).as_str(), value);
        }
    }

    #[test]
    fn what_is_no_word_may_be_anything() {
        for value in ["cvv=123 Ada Lovelace", "a b", "", "name@host", &"a".repeat(129)] {
            assert_eq!(ProviderText::word(value).as_str(), "[withheld]", "{value}");
        }
        assert_eq!(ProviderText::word("req_01J-x.y").as_str(), "req_01J-x.y");
    }

    #[test]
    fn the_name_of_a_kind_is_short() {
        for value in ["visa", "American Express", "Diners-Club", "Cartes Bancaires (CB)", ""] {
            let fit = !value.is_empty() && !value.contains('(');
            assert_eq!(ProviderText::label(value).as_str() == value, fit, "{value}");
        }
        assert_eq!(ProviderText::label(&"a".repeat(33)).as_str(), "[withheld]");
        assert_eq!(ProviderText::label("4111 1111 1111 1111").as_str(), "[withheld]");
    }

    #[test]
    fn an_address_holds_no_card_number_or_key_in_pieces() {
        for value in [
            "https://pay.example/4111\n\n1111\n\n1111\n\n1111",
            "https://pay.example/?q=4111\t\t11111111\t\t1111",
            "https://pay.example/sk_\nlive_a1",
        ] {
            assert!(RedirectUrl::new(value).is_none(), "{value}");
        }
    }

    #[test]
    fn customers_are_sent_to_https_only() {
        assert!(RedirectUrl::new("https://pay.example/3ds?x=1").is_some());
        assert!(RedirectUrl::new("http://127.0.0.1:1/act").is_some());
        for value in
            ["http://pay.example/", "javascript:alert(1)", "/relative", "https://a:b@c/", ""]
        {
            assert!(RedirectUrl::new(value).is_none(), "{value}");
        }
    }
}
