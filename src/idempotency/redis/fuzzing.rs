//! Any bytes as a record at a Redis, for the fuzzers.

use redis::Value;

use super::codec;
use crate::domain::{Account, Caller, Environment, IdempotencyKey, Operation};
use crate::idempotency::{KeyDigest, Scope};

/// The fields of a hash, `name=value`, each ended by a byte of zero.
pub fn record(bytes: &[u8]) {
    let (Ok(account), Ok(caller), Ok(key)) =
        (Account::new("a"), Caller::new("c"), IdempotencyKey::new("k"))
    else {
        return;
    };
    let scope = Scope {
        account: &account,
        environment: Environment::Simulated,
        caller: &caller,
        operation: Operation::Charge,
    };
    let mut fields = Vec::new();
    for field in bytes.split(|byte| *byte == 0) {
        let at = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        let (name, value) = field.split_at(at);
        fields.push(Value::BulkString(name.to_vec()));
        fields.push(Value::BulkString(value.get(1..).unwrap_or_default().to_vec()));
    }
    // Whatever it is, it is read or it is not; neither ends the process.
    let _ = codec::record(KeyDigest::new(scope, &key), &Value::Array(fields));
}
