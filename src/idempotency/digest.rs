//! The name of a payment: one digest for the store's key and for Zentra's `idempotency_key`.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::domain::{Account, Caller, Environment, IdempotencyKey, Operation};

/// Whose key it is. Two calls with an equal scope and key are one payment.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The Zentra account that the process serves.
    pub account: &'a Account,
    /// Which Zentra.
    pub environment: Environment,
    /// The calling service.
    pub caller: &'a Caller,
    /// The write.
    pub operation: Operation,
}

/// SHA-256 over the scope's fields and the key, each behind its length.
///
/// Unkeyed on purpose: it is the same on every attempt, every replica and every release, and
/// after the store has lost everything. No secret feeds it, so no rotation changes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// Names the payment of `key` in `scope`.
    #[must_use]
    pub fn new(scope: Scope<'_>, key: &IdempotencyKey) -> Self {
        Self(of_texts([
            // Tells this digest from any other use of SHA-256 over the same texts.
            "zentra-sidecar/1",
            scope.account.as_str(),
            scope.environment.as_str(),
            scope.caller.as_str(),
            scope.operation.as_str(),
            key.as_str(),
        ]))
    }

    /// The digest's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the hexadecimal form back; none where it is no digest.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok().map(|()| Self(bytes))
    }
}

impl fmt::Display for KeyDigest {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        // Twice as long as the digest, and of ASCII alone: neither can fail.
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        formatter.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// SHA-256 over texts, each behind its length, so that none flows into the next. The first text
/// says what the digest is for.
pub(super) fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(account: &str, caller: &str, operation: Operation, key: &str) -> String {
        let scope = Scope {
            account: &Account::new(account).unwrap(),
            environment: Environment::Sandbox,
            caller: &Caller::new(caller).unwrap(),
            operation,
        };
        KeyDigest::new(scope, &IdempotencyKey::new(key).unwrap()).to_string()
    }

    #[test]
    fn the_digest_of_a_known_key_never_changes() {
        // A change here makes every payment in flight at the upgrade a new payment.
        assert_eq!(
            digest("default", "shop/checkout", Operation::Charge, "order-1"),
            "f121d50fcbcd77d68e1600f26b3118790462ebcb2e2de7902d444696f5936c2a"
        );
    }

    #[test]
    fn every_field_counts_and_none_flows_into_the_next() {
        let all = [
            digest("a", "b", Operation::Charge, "c"),
            digest("ab", "b", Operation::Charge, "c"),
            digest("a", "bc", Operation::Charge, "c"),
            digest("a", "b", Operation::Renew, "c"),
            digest("a", "b", Operation::Charge, "bc"),
            digest("a", "b/c", Operation::Charge, "c"),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn the_hexadecimal_form_reads_back() {
        let text = digest("a", "b", Operation::Refund, "c");
        assert_eq!(KeyDigest::from_hex(&text).map(|it| it.to_string()), Some(text));
        assert_eq!(KeyDigest::from_hex("zz"), None);
    }
}
