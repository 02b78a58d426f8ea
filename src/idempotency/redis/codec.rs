//! Records, as the hashes that an operator reads with redis-cli.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use redis::{Cmd, RedisWrite as _, Value};

use super::counters;
use super::script::StepScript;
use crate::domain::{Caller, Operation, Reference};
use crate::idempotency::KeyDigest;
use crate::idempotency::record::{
    Attempt, Class, Fence, Fingerprint, Outcome, OwnerId, Record, State, Subject,
};
use crate::idempotency::step::Work;
use crate::idempotency::store::StoreError;

/// The largest number that Lua counts exactly, in what scripts compute with.
const MAX_NUMBER: u64 = 1 << 52;

/// A run of a script: its keys and, in order, its arguments.
pub(super) struct Args {
    pub(super) script: &'static StepScript,
    pub(super) command: Cmd,
}

impl Args {
    pub(super) fn text(mut self, text: impl AsRef<[u8]>) -> Self {
        self.command.arg(text.as_ref());
        self
    }

    /// As it shows itself.
    pub(super) fn shown(mut self, value: impl Display) -> Self {
        self.command.write_arg_fmt(value);
        self
    }

    pub(super) fn number(mut self, number: u64) -> Self {
        self.command.arg(number.min(MAX_NUMBER));
        self
    }

    pub(super) fn flag(self, flag: bool) -> Self {
        self.text(if flag { "1" } else { "0" })
    }

    fn hex<const BYTES: usize>(self, bytes: &[u8; BYTES]) -> Self {
        let mut digits = [[0; 2]; BYTES];
        // Twice as long as the bytes: it cannot fail.
        let _ = hex::encode_to_slice(bytes, digits.as_flattened_mut());
        self.text(digits.as_flattened())
    }

    /// `own` is the step's own fifteenth argument.
    pub(super) fn subject(self, subject: &Subject, own: &str, first_sent_ms: u64) -> Self {
        self.text(subject.caller.as_str())
            .text(subject.operation.as_str())
            .text(subject.reference.as_ref().map_or("", Reference::as_str))
            .text(subject.command.as_deref().unwrap_or_default())
            .text(own)
            .text(&subject.trace_context)
            .number(first_sent_ms)
    }

    /// As [`Args::subject`], of an owner.
    pub(super) fn work(self, work: &Work, own: &str) -> Self {
        self.subject(&work.subject, own, work.first_sent_ms)
    }

    pub(super) fn outcome(self, outcome: &Outcome) -> Self {
        self.text(&outcome.payload)
            .text(outcome.provider_id.as_deref().unwrap_or_default())
            .text(outcome.class.as_str())
            .number(u64::from(outcome.phase))
    }

    pub(super) fn attempts(self, attempts: &[Attempt]) -> Self {
        let args = self.number(attempts.len() as u64);
        attempts.iter().fold(args, |args, it| args.text(it.line()).flag(it.is_post))
    }

    pub(super) fn fingerprints(self, fingerprints: &[Fingerprint]) -> Self {
        fingerprints.iter().fold(self, |args, it| args.hex(&it.key_id).hex(&it.mac))
    }
}

/// A number, or nothing.
pub(super) fn optional(number: Option<u64>) -> String {
    number.map_or_else(String::new, |number| number.min(MAX_NUMBER).to_string())
}

/// A hash's fields.
pub(super) struct Fields(HashMap<String, Vec<u8>>);

impl Fields {
    fn text(&self, field: &str) -> Result<Option<&str>, StoreError> {
        self.0
            .get(field)
            .map(|bytes| std::str::from_utf8(bytes).map_err(|_| unreadable(field)))
            .transpose()
    }

    fn need(&self, field: &str) -> Result<&str, StoreError> {
        self.text(field)?.ok_or_else(|| unreadable(field))
    }

    fn parsed<T: FromStr>(&self, field: &str) -> Result<T, StoreError> {
        self.need(field)?.parse().map_err(|_| unreadable(field))
    }

    fn flag(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(|value| value == b"1")
    }

    fn bytes(&self, field: &str) -> Option<Bytes> {
        self.0.get(field).map(|it| Bytes::copy_from_slice(it))
    }

    fn outcome(&self, names: [&str; 4]) -> Result<Option<Outcome>, StoreError> {
        let [payload, provider_id, class, phase] = names;
        let Some(word) = self.text(class)? else {
            return Ok(None);
        };
        Ok(Some(Outcome {
            payload: self.bytes(payload).unwrap_or_default(),
            provider_id: self.text(provider_id)?.map(str::to_owned),
            class: Class::parse(word).ok_or_else(|| unreadable(class))?,
            phase: self.parsed(phase)?,
        }))
    }
}

/// Reads a record back; unknown fields, which a newer release wrote, are left alone.
pub(super) fn record(digest: KeyDigest, value: &Value) -> Result<Record, StoreError> {
    let fields = fields(value)?;
    let owner = OwnerId::from_hex(fields.need("owner")?).ok_or_else(|| unreadable("owner"))?;
    let lines = |field| fields.text(field).map(|it| it.unwrap_or_default().lines());
    Ok(Record {
        version: fields.parsed("v")?,
        state: State::parse(fields.need("state")?).ok_or_else(|| unreadable("state"))?,
        fence: Fence { owner, epoch: fields.parsed("epoch")? },
        lease_end_ms: fields.parsed("lease_end")?,
        first_sent_ms: fields.parsed("first_sent")?,
        ambiguous: fields.flag("ambiguous"),
        born_ambiguous: fields.flag("born_ambiguous"),
        subject: subject(digest, &fields)?,
        fingerprint: fingerprint(&fields)?,
        reservations: counters::reservations(fields.text("reservations")?.unwrap_or_default())?,
        reservations_held: fields.flag("held"),
        outcome: fields.outcome(["outcome", "provider_id", "class", "phase"])?,
        contrary: fields.outcome([
            "contrary",
            "contrary_provider_id",
            "contrary_class",
            "contrary_phase",
        ])?,
        attempts: lines("attempts")?.map(str::to_owned).collect(),
        posts: fields.parsed("posts")?,
        waiter: fields.flag("waiter"),
        settled_by: fields.text("settled_by")?.map(str::to_owned),
        expires_ms: match fields.text("expires")? {
            Some(_) => Some(fields.parsed("expires")?),
            None => None,
        },
    })
}

fn subject(digest: KeyDigest, fields: &Fields) -> Result<Subject, StoreError> {
    let reference = fields.text("reference")?.map(Reference::new).transpose();
    Ok(Subject {
        digest,
        caller: Caller::new(fields.need("caller")?).map_err(|_| unreadable("caller"))?,
        operation: operation(fields.need("operation")?).ok_or_else(|| unreadable("operation"))?,
        reference: reference.map_err(|_| unreadable("reference"))?,
        command: fields.bytes("command"),
        trace_context: fields.text("trace")?.unwrap_or_default().to_owned(),
    })
}

pub(super) fn operation(word: &str) -> Option<Operation> {
    [Operation::Tokenize, Operation::Charge, Operation::Renew, Operation::Refund]
        .into_iter()
        .find(|it| it.as_str() == word)
}

fn fingerprint(fields: &Fields) -> Result<Fingerprint, StoreError> {
    let (mut key_id, mut mac) = ([0; 8], [0; 32]);
    hex::decode_to_slice(fields.need("fp_key")?, &mut key_id).map_err(|_| unreadable("fp_key"))?;
    hex::decode_to_slice(fields.need("fp")?, &mut mac).map_err(|_| unreadable("fp"))?;
    Ok(Fingerprint { key_id, mac })
}

fn fields(value: &Value) -> Result<Fields, StoreError> {
    let pairs: Vec<(String, Vec<u8>)> =
        redis::from_redis_value_ref(value).map_err(|_| unreadable("record"))?;
    Ok(Fields(pairs.into_iter().collect()))
}

pub(super) fn unreadable(what: &str) -> StoreError {
    StoreError::Unreadable(format!("field {what} of a record"))
}
