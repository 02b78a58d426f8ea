//! Any bytes as the command or the outcome of a record, for the fuzzers.

use super::stored;
use super::{KeptCommand, own_reference};
use crate::domain::{Charge, PaymentToken, Refund};
use crate::idempotency::{Class, Outcome};

/// The bytes that a record keeps of a payment. What is read of them must be written as what is
/// read again.
///
/// # Panics
/// Where that is not so.
pub fn kept(bytes: &[u8]) {
    if let Some(command) = KeptCommand::read(bytes) {
        let again = KeptCommand::read(&command.bytes());
        assert!(again == Some(command), "a command is read otherwise than it was written");
    }
    reads_as_written::<Charge>(bytes);
    reads_as_written::<Refund>(bytes);
    reads_as_written::<PaymentToken>(bytes);
    let payload = bytes::Bytes::copy_from_slice(bytes);
    let outcome = Outcome { payload, provider_id: None, class: Class::Open, phase: 0 };
    let _ = own_reference(&outcome);
}

fn reads_as_written<T: stored::Storable + PartialEq>(bytes: &[u8]) {
    if let Some(value) = stored::read::<T>(bytes) {
        let again = stored::read::<T>(&stored::write(&value));
        assert!(again == Some(value), "an outcome is read otherwise than it was written");
    }
}
