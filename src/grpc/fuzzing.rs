//! Any bytes as a request, for the fuzzers.

use jiff::Timestamp;
use prost::Message;

use super::{page_token, proto, requests};
use crate::domain::{ListPage, Violations, holds_card_number};
use crate::error::Error;

/// The bytes of a message; the first byte says of which RPC.
///
/// # Panics
/// Where an identifier is let through that must not be, or where what is said of a fault repeats
/// a card number, or where a page token that was given out is not taken back.
pub fn message(bytes: &[u8]) {
    let Some((rpc, bytes)) = bytes.split_first() else { return };
    let read = match rpc % 9 {
        0 => read(bytes, |it| {
            requests::tokenize(it, Timestamp::UNIX_EPOCH).map(|it| it.customer_id.to_string())
        }),
        1 => read(bytes, |it| requests::charge(&it).map(|it| it.reference.to_string())),
        2 => read(bytes, |it| requests::renew(&it).map(|it| it.idempotency_key.to_string())),
        3 => read(bytes, |it| requests::refund(&it).map(|it| it.charge_reference.to_string())),
        4 => read(bytes, |it| requests::verify(&it).map(|it| it.reference.to_string())),
        5 => read(bytes, |it: proto::GetChargeRequest| {
            requests::reference(&it.reference).map(|it| it.to_string())
        }),
        6 => read(bytes, |it| requests::list_charges(&it).map(comes_back)),
        7 => read(bytes, |it| requests::list_tokens(&it).map(|(customer, _)| customer.to_string())),
        _ => read(bytes, |it: proto::GetRefundRequest| {
            requests::reference(&it.reference).map(|it| it.to_string())
        }),
    };
    match read {
        None => {}
        Some(Ok(identifier)) => {
            let is_path = identifier.contains(['/', '\\', '%', '?', '#', '\0']);
            assert!(!is_path && !holds_card_number(&identifier), "it was let through");
        }
        Some(Err(error)) => {
            let metadata: Vec<_> = error.metadata().collect();
            let told = format!("{error} {} {metadata:?}", error.violations());
            assert!(!holds_card_number(&told), "a fault repeats a card number");
        }
    }
}

fn read<M: Message + Default>(
    bytes: &[u8],
    to_command: impl FnOnce(M) -> Result<String, Error>,
) -> Option<Result<String, Error>> {
    M::decode(bytes).ok().map(to_command)
}

fn comes_back(page: ListPage) -> String {
    let token = page_token::next(requests::CHARGES, page, true);
    let mut faults = Violations::default();
    let back = page_token::read(requests::CHARGES, 0, &token, &mut faults);
    let is_next = back.is_some_and(|it| it.number == page.number + 1 && it.size == page.size);
    assert!(token.is_empty() || is_next, "a page token is not taken back");
    String::new()
}
