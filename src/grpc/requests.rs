//! Protobuf messages to domain commands. Every fault of a message is told at once.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{page_token, proto};
use crate::domain::{
    Actor, BankAccount, Card, CardParts, ChargeCommand, Currency, CustomerId, Fault,
    IdempotencyKey, Initiator, ListPage, Money, PaymentMethod, PaymentTokenId, Reason, Reference,
    RefundCommand, TokenizeCommand, VerifyCommand, Violations,
};
use crate::error::Error;

/// The longest wait of Verify.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// Collects faults, and gives the command only where there are none.
fn checked<T>(read: impl FnOnce(&mut Violations) -> Option<T>) -> Result<T, Error> {
    let mut violations = Violations::default();
    match read(&mut violations) {
        Some(value) if violations.is_empty() => Ok(value),
        _ => Err(Error::invalid(violations)),
    }
}

pub(super) fn tokenize(
    message: proto::TokenizeRequest,
    now: Timestamp,
) -> Result<TokenizeCommand, Error> {
    checked(|faults| {
        let key = faults.check("idempotency_key", IdempotencyKey::new(&message.idempotency_key));
        let customer_id = faults.check("customer_id", CustomerId::new(&message.customer_id));
        let method = payment_method(message.payment_method, now, faults);
        let actor = optional(faults, "actor", &message.actor, Actor::new);
        Some(TokenizeCommand {
            idempotency_key: key?,
            customer_id: customer_id?,
            payment_method: method?,
            actor: actor?,
        })
    })
}

fn payment_method(
    method: Option<proto::tokenize_request::PaymentMethod>,
    now: Timestamp,
    faults: &mut Violations,
) -> Option<PaymentMethod> {
    use proto::tokenize_request::PaymentMethod as Method;
    match method {
        Some(Method::Card(mut card)) => {
            let parts = CardParts {
                number: secret(&mut card.number),
                expiry_month: card.expiry_month,
                expiry_year: card.expiry_year,
                security_code: secret(&mut card.cvv),
                holder_name: secret(&mut card.holder_name),
            };
            Card::new(parts, now, faults).map(PaymentMethod::Card)
        }
        Some(Method::BankAccount(mut account)) => {
            let number = secret(&mut account.account_number);
            let name = secret(&mut account.account_name);
            BankAccount::new(number, &account.bank_code, name, faults)
                .map(PaymentMethod::BankAccount)
        }
        None => {
            faults.add("payment_method", Fault::Missing);
            None
        }
    }
}

/// Takes a text of a message, and wipes the message's own.
fn secret(text: &mut String) -> SecretString {
    // Not `from(text)`: that may move the text, and leave the old place as it was.
    SecretString::from(Zeroizing::new(std::mem::take(text)).as_str())
}

pub(super) fn charge(message: &proto::ChargeRequest) -> Result<ChargeCommand, Error> {
    charge_fields(
        Initiator::Customer,
        &message.idempotency_key,
        &message.reference,
        message.amount.as_ref(),
        &message.customer_id,
        &message.payment_token_id,
        &message.actor,
    )
}

pub(super) fn renew(message: &proto::RenewRequest) -> Result<ChargeCommand, Error> {
    charge_fields(
        Initiator::Merchant,
        &message.idempotency_key,
        &message.reference,
        message.amount.as_ref(),
        &message.customer_id,
        &message.payment_token_id,
        &message.actor,
    )
}

/// Charge and Renew have the same fields; the contract keeps them as two messages.
fn charge_fields(
    initiator: Initiator,
    key: &str,
    reference: &str,
    amount: Option<&proto::Money>,
    customer_id: &str,
    payment_token_id: &str,
    actor: &str,
) -> Result<ChargeCommand, Error> {
    checked(|faults| {
        let key = faults.check("idempotency_key", IdempotencyKey::new(key));
        let reference = faults.check("reference", Reference::new(reference));
        let amount = match amount {
            Some(amount) => money(amount, faults),
            None => faults.check("amount", Err(Fault::Missing)),
        };
        let customer_id = faults.check("customer_id", CustomerId::new(customer_id));
        let token = faults.check("payment_token_id", PaymentTokenId::new(payment_token_id));
        let actor = optional(faults, "actor", actor, Actor::new);
        Some(ChargeCommand {
            idempotency_key: key?,
            reference: reference?,
            amount: amount?,
            customer_id: customer_id?,
            payment_token_id: token?,
            initiator,
            actor: actor?,
        })
    })
}

pub(super) fn refund(message: &proto::RefundRequest) -> Result<RefundCommand, Error> {
    checked(|faults| {
        let key = faults.check("idempotency_key", IdempotencyKey::new(&message.idempotency_key));
        let reference = faults.check("reference", Reference::new(&message.reference));
        let charge = faults.check("charge_reference", Reference::new(&message.charge_reference));
        let amount = match &message.amount {
            Some(amount) => money(amount, faults).map(Some),
            None => Some(None),
        };
        let reason = optional(faults, "reason", &message.reason, Reason::new);
        let actor = optional(faults, "actor", &message.actor, Actor::new);
        Some(RefundCommand {
            idempotency_key: key?,
            reference: reference?,
            charge_reference: charge?,
            amount: amount?,
            charge_amount: None,
            reason: reason?,
            actor: actor?,
        })
    })
}

pub(super) fn verify(message: &proto::VerifyRequest) -> Result<VerifyCommand, Error> {
    checked(|faults| {
        let reference = faults.check("reference", Reference::new(&message.reference));
        let wait = message.wait.map_or(Ok(Duration::ZERO), |wait| wait_time(&wait));
        let wait = faults.check("wait", wait);
        Some(VerifyCommand { reference: reference?, wait: wait? })
    })
}

/// The bounds come before any arithmetic: prost's own conversion overflows on hostile values.
fn wait_time(wait: &prost_types::Duration) -> Result<Duration, Fault> {
    let seconds = u64::try_from(wait.seconds).map_err(|_| Fault::Wait)?;
    let nanos = u32::try_from(wait.nanos).map_err(|_| Fault::Wait)?;
    if seconds > MAX_WAIT.as_secs() || nanos >= 1_000_000_000 {
        return Err(Fault::Wait);
    }
    let wait = Duration::new(seconds, nanos);
    (wait <= MAX_WAIT).then_some(wait).ok_or(Fault::Wait)
}

/// The reference of a read.
pub(super) fn reference(text: &str) -> Result<Reference, Error> {
    checked(|faults| faults.check("reference", Reference::new(text)))
}

pub(super) fn list_charges(message: &proto::ListChargesRequest) -> Result<ListPage, Error> {
    checked(|faults| page_token::read(CHARGES, message.page_size, &message.page_token, faults))
}

pub(super) fn list_tokens(
    message: &proto::ListTokensRequest,
) -> Result<(CustomerId, ListPage), Error> {
    checked(|faults| {
        let customer_id = faults.check("customer_id", CustomerId::new(&message.customer_id));
        let list = tokens_of(&message.customer_id);
        let page = page_token::read(&list, message.page_size, &message.page_token, faults);
        Some((customer_id?, page?))
    })
}

/// The name of the list of charges in page tokens.
pub(super) const CHARGES: &str = "charges";

/// The name of the list of a customer's tokens in page tokens.
pub(super) fn tokens_of(customer_id: &str) -> String {
    format!("tokens/{customer_id}")
}

fn money(message: &proto::Money, faults: &mut Violations) -> Option<Money> {
    let amount = faults.check("amount.amount_minor", Money::check_amount(message.amount_minor));
    let currency = faults.check("amount.currency", Currency::new(&message.currency));
    Money::new(amount?, currency?).ok()
}

/// An empty text is none; the outer option is none where the text has a fault.
#[expect(clippy::option_option, reason = "absent and faulty are told apart")]
fn optional<T>(
    faults: &mut Violations,
    field: &'static str,
    text: &str,
    read: impl FnOnce(&str) -> Result<T, Fault>,
) -> Option<Option<T>> {
    if text.is_empty() {
        return Some(None);
    }
    faults.check(field, read(text)).map(Some)
}
