//! Keyed fingerprints: what tells one command from another under the same key.
//!
//! A command holds little that could not be guessed, so an unkeyed digest of it would tell what
//! it was. The file of keys holds one a line: the first signs, all verify.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::record::Fingerprint;
use super::step::KeyCheck;

/// The shortest key, in bytes.
const MIN_KEY_BYTES: usize = 32;
/// The longest key, in bytes; more than HMAC's block adds nothing.
const MAX_KEY_BYTES: usize = 128;
/// The most keys that a file may hold: each costs every call an HMAC.
const MAX_KEYS: usize = 8;

/// How a stored fingerprint compares with those of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The same command.
    Equal,
    /// Another command.
    Different,
    /// None of the command's fingerprints was made with the stored one's key.
    KeyUnknown,
}

/// Compares in constant time.
#[must_use]
pub fn compare(stored: &Fingerprint, given: &[Fingerprint]) -> Match {
    match given.iter().find(|it| it.key_id == stored.key_id) {
        None => Match::KeyUnknown,
        Some(given) if given.mac.ct_eq(&stored.mac).into() => Match::Equal,
        Some(_) => Match::Different,
    }
}

/// What is wrong with a file of keys. The text never repeats a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// There is none.
    #[error("holds no key; write one a line, at least 32 random bytes as hex or base64")]
    Empty,
    /// Too many.
    #[error("holds more than {MAX_KEYS} keys")]
    TooMany,
    /// Neither hexadecimal nor base64.
    #[error("line {0}: is neither hex nor base64")]
    Encoding(usize),
    /// Too short or too long.
    #[error("line {0}: must be {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes")]
    Length(usize),
    /// All bytes alike, or nearly so.
    #[error("line {0}: is not random")]
    NotRandom(usize),
    /// The same key twice.
    #[error("line {0}: repeats an earlier key")]
    Repeated(usize),
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Key {
    id: [u8; 8],
    bytes: Vec<u8>,
}

/// The loaded keys. They have no `Debug` and are overwritten when dropped.
pub struct FingerprintKeys(Vec<Key>);

impl FingerprintKeys {
    /// Reads a file's text: one key a line; empty lines and those that begin with `#` are left
    /// out.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<KeyFault>> {
        let mut keys: Vec<Key> = Vec::new();
        let mut faults = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match parse_key(line, index + 1) {
                Ok(key) if keys.iter().any(|it| it.id == key.id) => {
                    faults.push(KeyFault::Repeated(index + 1));
                }
                Ok(key) => keys.push(key),
                Err(fault) => faults.push(fault),
            }
        }
        if keys.is_empty() && faults.is_empty() {
            faults.push(KeyFault::Empty);
        }
        if keys.len() > MAX_KEYS {
            faults.push(KeyFault::TooMany);
        }
        if faults.is_empty() { Ok(Self(keys)) } else { Err(faults) }
    }

    /// One key, for a store that dies with the process.
    #[must_use]
    pub fn ephemeral(bytes: [u8; 32]) -> Self {
        Self(vec![Key::new(bytes.to_vec())])
    }

    /// The fingerprint of a canonical command under each key, the signing one first.
    #[must_use]
    pub fn fingerprints(&self, canonical: &[u8]) -> Vec<Fingerprint> {
        self.0
            .iter()
            .map(|key| Fingerprint { key_id: key.id, mac: key.mac(&[b"command", canonical]) })
            .collect()
    }

    /// What the store knows of the keys, the signing one first.
    #[must_use]
    pub fn checks(&self) -> Vec<KeyCheck> {
        self.0
            .iter()
            .map(|key| {
                let mut check = [0; 16];
                check.copy_from_slice(&key.mac(&[b"check"])[..16]);
                KeyCheck { key_id: key.id, check }
            })
            .collect()
    }
}

impl Key {
    fn new(bytes: Vec<u8>) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"zentra-sidecar/fingerprint-key-id/1");
        hash.update(&bytes);
        let mut id = [0; 8];
        id.copy_from_slice(&hash.finalize()[..8]);
        Self { id, bytes }
    }

    /// HMAC over the parts, each behind its length.
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of any length, so this never falls back.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.bytes) else {
            return [0; 32];
        };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

fn parse_key(line: &str, number: usize) -> Result<Key, KeyFault> {
    let bytes = Zeroizing::new(
        hex::decode(line)
            .or_else(|_| STANDARD.decode(line))
            .map_err(|_| KeyFault::Encoding(number))?,
    );
    if !(MIN_KEY_BYTES..=MAX_KEY_BYTES).contains(&bytes.len()) {
        return Err(KeyFault::Length(number));
    }
    // Thirty-two random bytes hold fewer than twelve different ones in no lifetime.
    let distinct: std::collections::HashSet<_> = bytes.iter().collect();
    if distinct.len() < 12 {
        return Err(KeyFault::NotRandom(number));
    }
    Ok(Key::new(bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const TWO: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

    fn keys(text: &str) -> FingerprintKeys {
        FingerprintKeys::parse(text).map_err(|it| format!("{it:?}")).unwrap()
    }

    #[test]
    fn a_rotated_key_still_verifies_what_it_signed() {
        let signed = keys(ONE).fingerprints(b"charge")[0];
        let rotated = keys(&format!("# new first\n{TWO}\n\n{ONE}\n"));
        assert_eq!(compare(&signed, &rotated.fingerprints(b"charge")), Match::Equal);
        assert_eq!(compare(&signed, &rotated.fingerprints(b"other")), Match::Different);
        assert_eq!(compare(&signed, &keys(TWO).fingerprints(b"charge")), Match::KeyUnknown);
    }

    #[test]
    fn fingerprints_of_a_known_key_never_change() {
        let signed = keys(ONE).fingerprints(b"charge")[0];
        let text = format!("{} {}", hex::encode(signed.key_id), hex::encode(signed.mac));
        // As any other HMAC-SHA256 computes it.
        let expected = "c73370b92d0b47be \
            5a79680d72474820d26da321735951b809ae7a76ab20b9c5691576c5f61a3194";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_check_value_tells_nothing_of_a_fingerprint() {
        let check = keys(ONE).checks()[0].check;
        let mac = keys(ONE).fingerprints(b"").first().unwrap().mac;
        assert_ne!(check, mac[..16]);
    }

    #[test]
    fn every_fault_of_a_file_is_listed() {
        let text = format!("zz!\n{ONE}\nabcd\n{ONE}\n{}", "00".repeat(32));
        let faults = FingerprintKeys::parse(&text).err().unwrap();
        assert_eq!(
            faults,
            [
                KeyFault::Encoding(1),
                KeyFault::Length(3),
                KeyFault::Repeated(4),
                KeyFault::NotRandom(5)
            ]
        );
        assert_eq!(FingerprintKeys::parse("\n#\n").err(), Some(vec![KeyFault::Empty]));
    }
}
