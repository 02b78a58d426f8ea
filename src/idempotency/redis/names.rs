//! The names of the account's keys. All share one hash tag, so that one script covers them.

use redis::{Cmd, RedisWrite as _};

use crate::domain::{Account, Environment, Reference};
use crate::idempotency::KeyDigest;
use crate::idempotency::record::{Namespace, Subject};

/// What each script is given: the account's canary, and the lists of what is to be looked after.
const INDICES: [&str; 4] = ["canary", "due", "unresolved", "conflicts"];

/// `{zs:account:environment}:` and what follows it.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
    indices: [String; 4],
    stops: String,
}

/// The keys of a run of a script: one of its own, a reference's entry, and those that every script
/// is given.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    own: Own<'a>,
    reference: Option<(Namespace, &'a Reference)>,
    with_stops: bool,
}

#[derive(Clone, Copy)]
enum Own<'a> {
    Record(&'a KeyDigest),
    Named(&'static str),
}

impl<'a> Keys<'a> {
    /// Those of a step about a record.
    pub(super) fn of_record(digest: &'a KeyDigest) -> Self {
        Self { own: Own::Record(digest), reference: None, with_stops: false }
    }

    /// As [`Keys::of_record`], of a payment whose reference is known.
    pub(super) fn of_subject(subject: &'a Subject) -> Self {
        let reference = Namespace::of(subject.operation).zip(subject.reference.as_ref());
        Self { reference, ..Self::of_record(&subject.digest) }
    }

    /// As [`Keys::of_subject`], of a claim, which the stops concern.
    pub(super) fn of_claim(subject: &'a Subject) -> Self {
        Self { with_stops: true, ..Self::of_subject(subject) }
    }

    /// Those of a step about the account, with one of its own in front.
    pub(super) fn of_account(own: &'static str) -> Self {
        Self { own: Own::Named(own), reference: None, with_stops: false }
    }

    /// With this reference's entry.
    pub(super) fn and_reference(self, namespace: Namespace, reference: &'a Reference) -> Self {
        Self { reference: Some((namespace, reference)), ..self }
    }
}

impl Names {
    pub(super) fn new(account: &Account, environment: Environment) -> Self {
        let prefix = format!("{{zs:{}:{environment}}}:", account.as_str());
        let indices = INDICES.map(|name| format!("{prefix}{name}"));
        let stops = format!("{prefix}stops");
        Self { prefix, indices, stops }
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

    /// Adds the number of a run's keys and the keys, in the order that the scripts expect.
    pub(super) fn add(&self, keys: Keys<'_>, command: &mut Cmd) {
        command.arg(2 + self.indices.len() + usize::from(keys.with_stops));
        self.add_own(keys.own, command);
        match keys.reference {
            Some((namespace, reference)) => {
                let (prefix, namespace) = (&self.prefix, namespace.as_str());
                command.write_arg_fmt(format_args!("{prefix}ref:{namespace}:{reference}"));
            }
            // Never read where there is none; of the same slot as all others.
            None => self.add_own(keys.own, command),
        }
        for name in &self.indices {
            command.arg(name.as_str());
        }
        if keys.with_stops {
            command.arg(self.stops.as_str());
        }
    }

    fn add_own(&self, own: Own<'_>, command: &mut Cmd) {
        let prefix = &self.prefix;
        match own {
            Own::Record(digest) => command.write_arg_fmt(format_args!("{prefix}r:{digest}")),
            Own::Named(name) => command.write_arg_fmt(format_args!("{prefix}{name}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Caller, Operation};
    use crate::idempotency::redis::script::RENEW;

    const DIGEST: &str = "5d7b1ad1f2cd0a5fd0a8ba7c1e1a3a7f4b8c7d5e6f708192a3b4c5d6e7f80912";

    fn subject(operation: Operation, reference: Option<&str>) -> Subject {
        Subject {
            digest: KeyDigest::from_hex(DIGEST).unwrap(),
            caller: Caller::new("shop/checkout").unwrap(),
            operation,
            reference: reference.map(|it| Reference::new(it).unwrap()),
            command: None,
            trace_context: String::new(),
        }
    }

    fn arguments(command: &Cmd) -> Vec<String> {
        let text = |arg| match arg {
            redis::Arg::Simple(bytes) => String::from_utf8(Vec::from(bytes)).unwrap(),
            other => panic!("{other:?}"),
        };
        command.args_iter().map(text).collect()
    }

    fn added(keys: Keys<'_>) -> Vec<String> {
        let mut command = Cmd::new();
        let names = Names::new(&Account::new("acme").unwrap(), Environment::Sandbox);
        names.add(keys, &mut command);
        arguments(&command)
    }

    fn named(names: &[&str]) -> Vec<String> {
        let names = names.iter().map(|name| format!("{{zs:acme:sandbox}}:{name}"));
        [names.len().to_string()].into_iter().chain(names).collect()
    }

    #[test]
    fn the_keys_come_in_the_order_that_the_scripts_expect() {
        let record = &*format!("r:{DIGEST}");
        let charge = subject(Operation::Charge, Some("order-1"));
        let indices = ["canary", "due", "unresolved", "conflicts"];
        for (keys, own) in [
            (Keys::of_record(&charge.digest), [record, record]),
            (Keys::of_subject(&charge), [record, "ref:charge:order-1"]),
            (Keys::of_subject(&subject(Operation::Tokenize, None)), [record, record]),
            (Keys::of_account("reconciler"), ["reconciler", "reconciler"]),
            (
                Keys::of_account("canary")
                    .and_reference(Namespace::Refund, charge.reference.as_ref().unwrap()),
                ["canary", "ref:refund:order-1"],
            ),
        ] {
            assert_eq!(added(keys), named(&[own.as_slice(), &indices].concat()));
        }
        let claim = [&[record, "ref:charge:order-1"], indices.as_slice(), &["stops"]].concat();
        assert_eq!(added(Keys::of_claim(&charge)), named(&claim));
    }

    #[test]
    fn a_run_by_text_is_that_by_digest() {
        let charge = subject(Operation::Charge, Some("order-1"));
        let names = Names::new(&Account::new("acme").unwrap(), Environment::Sandbox);
        let mut command = RENEW.command();
        names.add(Keys::of_claim(&charge), &mut command);
        command.arg("").arg(7);
        let (by_digest, by_text) = (arguments(&command), arguments(&RENEW.by_text(&command)));
        assert_eq!((&*by_digest[0], &*by_text[0]), ("EVALSHA", "EVAL"));
        assert_eq!(redis::Script::new(&by_text[1]).get_hash(), by_digest[1]);
        assert_eq!(by_text[2..], by_digest[2..]);
    }
}
