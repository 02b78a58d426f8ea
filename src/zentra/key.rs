//! Zentra's secret key.

use bytes::Bytes;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::domain::Environment;

/// The longest key that is taken, in bytes.
const MAX_LENGTH: usize = 512;

/// A secret server key. It has no `Debug`, so that it cannot be printed by mistake.
pub struct SecretKey {
    key: SecretString,
    environment: Environment,
}

/// Why a text is no key that this product takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Nothing there.
    #[error("the Zentra key is empty")]
    Empty,
    /// A public key.
    #[error(
        "this is a public key (pk_...); the sidecar needs the secret server key of the same \
         account (sk_sandbox_... or sk_live_...)"
    )]
    Public,
    /// Something else.
    #[error("the Zentra key must begin with sk_sandbox_, sk_live_ or sk_simulated_")]
    Prefix,
    /// Spaces, line breaks or other characters that no key has, or too long.
    #[error("the Zentra key must be 1 to 512 letters, digits and _ or - after its prefix")]
    Characters,
}

impl SecretKey {
    /// Takes a key as it stands in a file; white space around it is dropped.
    ///
    /// # Errors
    /// A [`KeyFault`], whose text never repeats the key.
    pub fn new(text: &SecretString) -> Result<Self, KeyFault> {
        let key = text.expose_secret().trim();
        if key.is_empty() {
            return Err(KeyFault::Empty);
        }
        if key.starts_with("pk_") {
            return Err(KeyFault::Public);
        }
        let prefixes = [
            ("sk_simulated_", Environment::Simulated),
            ("sk_sandbox_", Environment::Sandbox),
            ("sk_live_", Environment::Live),
        ];
        let (rest, environment) = prefixes
            .into_iter()
            .find_map(|(prefix, environment)| Some((key.strip_prefix(prefix)?, environment)))
            .ok_or(KeyFault::Prefix)?;
        let well_formed = !rest.is_empty()
            && key.len() <= MAX_LENGTH
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !well_formed {
            return Err(KeyFault::Characters);
        }
        Ok(Self { key: key.into(), environment })
    }

    /// Which Zentra the key is for.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The `Authorization` header, marked as sensitive. Its memory is wiped with its last clone.
    pub(super) fn authorization(&self) -> HeaderValue {
        let text = Zeroizing::new(format!("Bearer {}", self.key.expose_secret()).into_bytes());
        // The constructor's allow-list leaves only characters that a header can hold.
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
            .unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// Eight hexadecimal digits of a hash: enough to tell keys apart, too few to tell a key.
    pub(super) fn id(&self) -> String {
        let hash =
            Sha256::new().chain_update("zentra key id:").chain_update(self.key.expose_secret());
        hex::encode(&hash.finalize()[..4])
    }

    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.key.expose_secret().as_bytes().ct_eq(other.key.expose_secret().as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_scan::Masked;

    fn fault(text: &str) -> Option<KeyFault> {
        SecretKey::new(&text.into()).err()
    }

    #[test]
    fn the_prefix_tells_the_environment() {
        for (text, environment) in [
            ("sk_sandbox_a1\n", Environment::Sandbox),
            ("sk_live_a1", Environment::Live),
            (" sk_simulated_a1", Environment::Simulated),
        ] {
            assert_eq!(
                SecretKey::new(&text.into()).map(|it| it.environment()).ok(),
                Some(environment)
            );
        }
    }

    #[test]
    fn wrong_keys_get_a_sentence_that_says_what_to_do() {
        assert_eq!(fault(" \n"), Some(KeyFault::Empty));
        assert_eq!(fault("pk_live_a1"), Some(KeyFault::Public));
        assert_eq!(fault("hunter2"), Some(KeyFault::Prefix));
        assert_eq!(fault("sk_live_"), Some(KeyFault::Characters));
        assert_eq!(fault("sk_live_a b"), Some(KeyFault::Characters));
        assert_eq!(fault("sk_live_a\r\nX: y"), Some(KeyFault::Characters));
        assert!(KeyFault::Public.to_string().contains("secret server key"));
    }

    #[test]
    fn key_and_header_are_wiped_with_the_last_that_holds_them() {
        let secret = Masked::new(128);
        let key = {
            let text = Zeroizing::new(format!("sk_sandbox_{}", *secret.text()));
            SecretKey::new(&text.as_str().into()).ok().unwrap()
        };
        let header = key.authorization();
        let clone = header.clone();
        drop((key, header));
        assert!(secret.is_in_memory(), "one holds it still");
        drop(clone);
        assert!(!secret.is_in_memory());
    }

    #[test]
    fn the_header_shows_nothing_in_debug() {
        let key = SecretKey::new(&"sk_sandbox_a1".into()).ok().unwrap();
        assert_eq!(format!("{:?}", key.authorization()), "Sensitive");
    }
}
