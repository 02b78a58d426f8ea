//! Payment methods that exist once, so that each can be told from all others wherever it shows.

use zentra_sidecar::grpc::proto;
use zentra_sidecar::grpc::proto::tokenize_request::PaymentMethod;

use crate::fault_matrix::lab::CUSTOMER;

/// How all card numbers, account numbers and holders here begin. Spans have a million times in
/// nanoseconds: the numbers are so long that none of those holds one by chance.
pub(super) const NUMBERS: &str = "4539000000";
pub(super) const ACCOUNTS: &str = "77319700846";
pub(super) const HOLDERS: &str = "Zora Q";

/// Whose data is behind the records that stand before the calls.
pub(super) const KEPT: usize = 99_997;

/// The bank code of all accounts here, which is no secret.
const BANK_CODE: u16 = 58;

/// The security code of this index. A code of its own for each card there cannot be, as three digits
/// are in any text: a code is looked for where it stands alone, as a field's value does, and only
/// those with a zero in front never stand there for what they are as a number, such as a status.
pub(super) fn security_code(index: usize) -> String {
    let codes: Vec<u16> = (1..100).filter(|code| *code != BANK_CODE).collect();
    format!("{:03}", codes[index % codes.len()])
}

/// Whether this is one of those.
pub(super) fn is_security_code(text: &[u8]) -> bool {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let is_one = |number: u16| (1..100).contains(&number) && number != BANK_CODE;
    text.len() == 3 && text.iter().all(u8::is_ascii_digit) && number.is_some_and(is_one)
}

/// The card number of this index: Luhn-valid, of a known issuer.
pub(super) fn number(index: usize) -> String {
    let body = format!("{NUMBERS}{index:05}");
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            let doubled = if place % 2 == 0 { digit * 2 } else { digit };
            doubled / 10 + doubled % 10
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// The account number of this index: no card's, as no issuer's begins so.
pub(super) fn account_number(index: usize) -> String {
    format!("{ACCOUNTS}{index:05}")
}

/// The holder of this index.
pub(super) fn holder(index: usize) -> String {
    format!("{HOLDERS}{index:05}x Canary")
}

/// Everything of this index that must never be seen.
pub(super) fn secrets(index: usize) -> [String; 3] {
    [number(index), account_number(index), holder(index)]
}

/// Saves the card of this index.
pub(super) fn card(index: usize) -> proto::TokenizeRequest {
    let card = proto::Card {
        number: number(index),
        expiry_month: 12,
        expiry_year: 2032,
        cvv: security_code(index),
        holder_name: holder(index),
    };
    request(index, PaymentMethod::Card(card))
}

/// Saves the bank account of this index.
pub(super) fn account(index: usize) -> proto::TokenizeRequest {
    let account = proto::BankAccount {
        account_number: account_number(index),
        bank_code: format!("{BANK_CODE:03}"),
        account_name: holder(index),
    };
    request(index, PaymentMethod::BankAccount(account))
}

fn request(index: usize, method: PaymentMethod) -> proto::TokenizeRequest {
    proto::TokenizeRequest {
        idempotency_key: format!("key-{index}"),
        customer_id: CUSTOMER.to_owned(),
        payment_method: Some(method),
        actor: "jo@shop".to_owned(),
    }
}
