//! Secrets of one call, and a scanner that knows the forms in which one may turn up.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// What one call carries and nothing else does.
#[derive(Clone, Debug)]
pub(crate) struct Canaries {
    /// A card number, valid by its check digit.
    pub(crate) number: String,
    /// A security code.
    pub(crate) code: String,
    /// A holder's name.
    pub(crate) name: String,
    /// The number of a bank account.
    pub(crate) account: String,
}

impl Canaries {
    /// Those of a call, by its number.
    pub(crate) fn new(call: u32) -> Self {
        let digits = format!("4{:05}{:09}", 86_000 + call, 731_905_264 + u64::from(call));
        let check = (0..10).find(|check| is_luhn(&format!("{digits}{check}"))).unwrap();
        Self {
            number: format!("{digits}{check}"),
            code: format!("{:03}", 900 + call % 100),
            name: format!("Xaviera Quokkason{call}"),
            account: format!("77{:08}", 31_415_926 + call),
        }
    }

    /// The forms in which any of them could be found.
    pub(crate) fn forms(&self) -> Vec<Vec<u8>> {
        let mut forms = Vec::new();
        for secret in [&self.number, &self.name, &self.account] {
            forms.extend(forms_of(secret));
        }
        for separator in [" ", "-", ".", "%20", "+"] {
            let groups: Vec<_> = self.number.as_bytes().chunks(4).collect();
            forms.push(groups.join(separator.as_bytes()));
        }
        // Three digits occur anywhere: as a value of its own the code would be a find.
        for quoted in [format!("\"{}\"", self.code), format!(" {} ", self.code)] {
            forms.push(quoted.into_bytes());
        }
        forms.extend(digests(&self.code));
        forms
    }
}

fn is_luhn(number: &str) -> bool {
    let doubled = |(index, digit): (usize, u32)| match index % 2 {
        0 => digit,
        _ => (digit * 2) % 10 + digit / 5,
    };
    let digits = number.chars().rev().filter_map(|digit| digit.to_digit(10));
    digits.enumerate().map(doubled).sum::<u32>() % 10 == 0
}

fn forms_of(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![
        secret.as_bytes().to_vec(),
        secret.to_ascii_uppercase().into_bytes(),
        secret.replace(' ', "%20").into_bytes(),
        secret.replace(' ', "+").into_bytes(),
        hex::encode(secret).into_bytes(),
        hex::encode_upper(secret).into_bytes(),
    ];
    // Within a longer text base64 looks one of three ways; the ends depend on what is beside it.
    for before in 0..3 {
        for alphabet in [&STANDARD, &URL_SAFE] {
            let padded = [vec![0; before], secret.as_bytes().to_vec()].concat();
            let text = alphabet.encode(padded);
            let from = (before * 8).div_ceil(6);
            let to = (before + secret.len()) * 8 / 6;
            forms.push(text.as_bytes()[from..to].to_vec());
        }
    }
    forms.extend(digests(secret));
    forms
}

fn digests(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for algorithm in [&SHA256, &SHA1_FOR_LEGACY_USE_ONLY] {
        let digest = digest(algorithm, secret.as_bytes());
        forms.push(digest.as_ref().to_vec());
        forms.push(hex::encode(digest.as_ref()).into_bytes());
        forms.push(hex::encode_upper(digest.as_ref()).into_bytes());
        forms.push(STANDARD.encode(digest.as_ref()).trim_end_matches('=').as_bytes().to_vec());
    }
    forms
}

/// Where things are written down.
pub(crate) struct Sink {
    pub(crate) name: &'static str,
    pub(crate) content: Vec<u8>,
}

impl Sink {
    pub(crate) fn new(name: &'static str, content: impl Into<Vec<u8>>) -> Self {
        Self { name, content: content.into() }
    }

    /// Whether any form of the secrets is there.
    fn holds(&self, canaries: &Canaries) -> bool {
        let found = |form: &Vec<u8>| memchr::memmem::find(&self.content, form).is_some();
        canaries.forms().iter().any(found)
    }

    /// Fails where a secret of these is there; and where a planted one would not be found.
    pub(crate) fn search(mut self, of_calls: &[Canaries]) {
        assert!(!self.content.is_empty(), "nothing was written to {}", self.name);
        for canaries in of_calls {
            assert!(!self.holds(canaries), "{} holds some of {canaries:?}", self.name);
        }
        let planted = Canaries::new(99);
        let length = self.content.len();
        for form in planted.forms() {
            self.content.truncate(length);
            self.content.splice(length / 2..length / 2, form.iter().copied());
            assert!(self.holds(&planted), "the scanner is blind in {}", self.name);
            self.content.drain(length / 2..length / 2 + form.len());
        }
    }
}
