//! A script's answer: the store's clock, a word, and what the word comes with.

use bytes::Bytes;
use redis::Value;

use super::codec;
use crate::idempotency::KeyDigest;
use crate::idempotency::record::{Class, Outcome, Record};
use crate::idempotency::store::StoreError;

pub(super) struct Reply {
    pub(super) now_ms: u64,
    pub(super) word: String,
    pub(super) rest: Vec<Value>,
}

impl Reply {
    pub(super) fn parse(value: Value) -> Result<Self, StoreError> {
        let Value::Array(mut values) = value else {
            return Err(strange("answer"));
        };
        if values.len() < 2 {
            return Err(strange("answer"));
        }
        let rest = values.split_off(2);
        Ok(Self { now_ms: number(values.first())?, word: text(values.get(1))?, rest })
    }

    pub(super) fn number(&self, index: usize) -> Result<u64, StoreError> {
        number(self.rest.get(index))
    }

    pub(super) fn text(&self, index: usize) -> Result<String, StoreError> {
        text(self.rest.get(index))
    }

    pub(super) fn flag(&self, index: usize) -> Result<bool, StoreError> {
        Ok(self.number(index)? != 0)
    }

    /// A kind of outcome; none where the text is empty.
    pub(super) fn class(&self, index: usize) -> Result<Option<Class>, StoreError> {
        match self.text(index)?.as_str() {
            "" => Ok(None),
            word => Class::parse(word).map(Some).ok_or_else(|| strange("class")),
        }
    }

    pub(super) fn record(
        &self,
        digest: KeyDigest,
        index: usize,
    ) -> Result<Box<Record>, StoreError> {
        let value = self.rest.get(index).ok_or_else(|| strange("record"))?;
        codec::record(digest, value).map(Box::new)
    }

    /// The other's outcome: payload, provider's id, class, phase; or nothing.
    pub(super) fn outcome(&self, index: usize) -> Result<Option<Outcome>, StoreError> {
        let value = self.rest.get(index).ok_or_else(|| strange("outcome"))?;
        let parts: Vec<Vec<u8>> =
            redis::from_redis_value_ref(value).map_err(|_| strange("outcome"))?;
        let [payload, id, class, phase] = parts.as_slice() else {
            return Ok(None);
        };
        let id = String::from_utf8_lossy(id).into_owned();
        let class = Class::parse(&String::from_utf8_lossy(class));
        let phase = String::from_utf8_lossy(phase).parse();
        Ok(Some(Outcome {
            payload: Bytes::copy_from_slice(payload),
            provider_id: (!id.is_empty()).then_some(id),
            class: class.ok_or_else(|| strange("class"))?,
            phase: phase.map_err(|_| strange("phase"))?,
        }))
    }

    /// A word that this build does not know.
    pub(super) fn unknown<T>(&self) -> Result<T, StoreError> {
        Err(strange("word of an answer"))
    }
}

fn number(value: Option<&Value>) -> Result<u64, StoreError> {
    value.and_then(|value| redis::from_redis_value_ref(value).ok()).ok_or_else(|| strange("number"))
}

fn text(value: Option<&Value>) -> Result<String, StoreError> {
    value.and_then(|value| redis::from_redis_value_ref(value).ok()).ok_or_else(|| strange("text"))
}

pub(super) fn strange(what: &str) -> StoreError {
    StoreError::Unreadable(format!("a {what} that no script gives"))
}
