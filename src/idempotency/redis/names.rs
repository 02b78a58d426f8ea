//! The names of the account's keys. All share one hash tag, so that one script covers them.

use crate::domain::{Account, Environment, Reference};
use crate::idempotency::KeyDigest;
use crate::idempotency::record::{Namespace, Subject};

/// `{zs:account:environment}:` and what follows it.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(account: &Account, environment: Environment) -> Self {
        let prefix = format!("{{zs:{}:{environment}}}:", account.as_str());
        Self { prefix }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A key or channel of the account.
    pub(super) fn of(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn record(&self, digest: &str) -> String {
        format!("{}r:{digest}", self.prefix)
    }

    pub(super) fn reference(&self, namespace: Namespace, reference: &Reference) -> String {
        format!("{}ref:{}:{reference}", self.prefix, namespace.as_str())
    }

    /// The keys of a step about a record, in the order that the scripts expect.
    pub(super) fn keys(&self, digest: &KeyDigest, reference: Option<String>) -> Vec<String> {
        let record = self.record(&digest.to_string());
        let reference = reference.unwrap_or_else(|| record.clone());
        self.with_indices(record, reference)
    }

    /// As [`Names::keys`], of a payment whose reference is known.
    pub(super) fn subject_keys(&self, subject: &Subject) -> Vec<String> {
        let reference = Namespace::of(subject.operation)
            .zip(subject.reference.as_ref())
            .map(|(namespace, reference)| self.reference(namespace, reference));
        self.keys(&subject.digest, reference)
    }

    /// As [`Names::subject_keys`], of a claim, which the stops concern.
    pub(super) fn claim_keys(&self, subject: &Subject) -> Vec<String> {
        let mut keys = self.subject_keys(subject);
        keys.push(self.of("stops"));
        keys
    }

    /// The keys of a step about the account, with one of its own in front.
    pub(super) fn account_keys(&self, own: &str, reference: Option<String>) -> Vec<String> {
        let own = self.of(own);
        let reference = reference.unwrap_or_else(|| own.clone());
        self.with_indices(own, reference)
    }

    fn with_indices(&self, first: String, second: String) -> Vec<String> {
        vec![
            first,
            second,
            self.of("canary"),
            self.of("due"),
            self.of("unresolved"),
            self.of("conflicts"),
        ]
    }
}
