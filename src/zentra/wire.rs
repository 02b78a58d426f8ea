//! Every fact about Zentra's wire format that is assumed rather than documented, in one place.
//!
//! What is documented is so marked. docs/ZENTRA.md lists the assumptions for readers; a change
//! here belongs there too.

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::fields::{Fields, Unreadable};
use super::trouble::TroubleKind;
use crate::domain::{
    BankAccountDisplay, CardDisplay, Charge, ChargeCommand, ChargeStatus, Currency, Display,
    Failure, FailureCode, Initiator, Money, PaymentMethod, PaymentToken, ProviderText, RedirectUrl,
    Refund, RefundCommand, RefundStatus, TokenizeCommand,
};

/// Documented: `capture_mode` of a charge with the customer present.
const CUSTOMER_PRESENT: &str = "customer_action_required";
/// Documented: `capture_mode` of a charge without.
const MERCHANT_INITIATED: &str = "merchant_initiated";

/// Where an answer carries the request's id besides `meta.requestId`. Assumed.
pub(super) const REQUEST_ID_HEADER: &str = "x-request-id";

/// The status words of a charge. Assumed; any other word is kept and never taken as final.
pub(super) fn charge_status(word: &str) -> ChargeStatus {
    match word {
        "pending" | "processing" | "accepted" | "awaiting_provider" => ChargeStatus::Pending,
        "requires_action" | "action_required" | "customer_action_required" => {
            ChargeStatus::RequiresAction
        }
        "successful" | "success" | "succeeded" | "completed" | "settled" => ChargeStatus::Succeeded,
        "failed" | "declined" | "expired" => ChargeStatus::Failed,
        "cancelled" | "canceled" => ChargeStatus::Cancelled,
        "partially_refunded" => ChargeStatus::PartiallyRefunded,
        "refunded" => ChargeStatus::Refunded,
        "disputed" | "chargeback" => ChargeStatus::Disputed,
        "reversed" => ChargeStatus::Reversed,
        _ => ChargeStatus::Unrecognized,
    }
}

/// The status words of a refund. Assumed, from those of a charge.
pub(super) fn refund_status(word: &str) -> RefundStatus {
    match word {
        "pending" | "processing" | "accepted" | "awaiting_provider" => RefundStatus::Pending,
        "successful" | "success" | "succeeded" | "completed" | "settled" | "refunded" => {
            RefundStatus::Succeeded
        }
        "failed" | "declined" | "cancelled" | "canceled" => RefundStatus::Failed,
        _ => RefundStatus::Unrecognized,
    }
}

/// What an error code means, in the normalised form. The codes of declines are assumed.
pub(super) fn decline(code: &str) -> Option<FailureCode> {
    match code {
        "card_declined" | "do_not_honor" => Some(FailureCode::CardDeclined),
        "insufficient_funds" | "insufficient_balance" => Some(FailureCode::InsufficientFunds),
        "expired_card" => Some(FailureCode::ExpiredCard),
        "authentication_failed" => Some(FailureCode::AuthenticationFailed),
        _ => None,
    }
}

/// The error codes that this release knows, each with what a 409, 400 or 422 with it means.
///
/// Only these are ever shown to callers or logged; any other text could hold anything. The first
/// group is documented, the second assumed.
const CODES: [(&str, Option<TroubleKind>); 22] = [
    ("unauthorized", None),
    ("invalid_api_key", None),
    ("invalid_key", None),
    ("expired_api_key", None),
    ("expired_key", None),
    ("wrong_environment", None),
    ("insufficient_permissions", None),
    ("not_found", None),
    ("validation_error", None),
    ("missing_required_field", None),
    ("invalid_format", None),
    ("rate_limit_exceeded", None),
    ("insufficient_balance", None),
    ("insufficient_funds", None),
    ("card_declined", None),
    ("do_not_honor", None),
    ("expired_card", None),
    ("authentication_failed", None),
    ("idempotency_key_in_use", Some(TroubleKind::InProgress)),
    ("idempotency_key_mismatch", Some(TroubleKind::KeyReused)),
    ("duplicate_reference", Some(TroubleKind::DuplicateReference)),
    ("token_not_ready", Some(TroubleKind::TokenNotReady)),
];

/// The code in this release's own spelling (some of Zentra's pages use upper case), and what it
/// means where the HTTP status alone does not tell.
pub(super) fn known_code(code: &str) -> Option<(&'static str, Option<TroubleKind>)> {
    CODES.iter().copied().find(|(known, _)| known.eq_ignore_ascii_case(code))
}

/// The body of `POST /charges`. Documented, field by field.
#[derive(Serialize)]
pub(super) struct ChargeBody<'a> {
    amount_minor: i64,
    currency: &'static str,
    reference: &'a str,
    customer_id: &'a str,
    payment_token_id: &'a str,
    capture_mode: &'static str,
    idempotency_key: &'a str,
}

impl<'a> ChargeBody<'a> {
    pub(super) fn new(command: &'a ChargeCommand, idempotency_key: &'a str) -> Self {
        Self {
            amount_minor: command.amount.amount_minor(),
            currency: command.amount.currency().code(),
            reference: command.reference.as_str(),
            customer_id: command.customer_id.as_str(),
            payment_token_id: command.payment_token_id.as_str(),
            capture_mode: match command.initiator {
                Initiator::Customer => CUSTOMER_PRESENT,
                Initiator::Merchant => MERCHANT_INITIATED,
            },
            idempotency_key,
        }
    }
}

/// The body of `POST /refunds`. Documented, but for `reference`, which is assumed.
#[derive(Serialize)]
pub(super) struct RefundBody<'a> {
    reference: &'a str,
    charge_reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_minor: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    idempotency_key: &'a str,
}

impl<'a> RefundBody<'a> {
    pub(super) fn new(command: &'a RefundCommand, idempotency_key: &'a str) -> Self {
        Self {
            reference: command.reference.as_str(),
            charge_reference: command.charge_reference.as_str(),
            amount_minor: command.amount.map(Money::amount_minor),
            reason: command.reason.as_ref().map(crate::domain::Reason::as_str),
            idempotency_key,
        }
    }
}

/// The bodies of `POST /tokens/card` and `POST /tokens/bank-account`. Assumed.
#[derive(Serialize)]
pub(super) struct TokenBody<'a> {
    customer_id: &'a str,
    #[serde(flatten)]
    payment_method: MethodBody<'a>,
    idempotency_key: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum MethodBody<'a> {
    Card {
        #[serde(serialize_with = "exposed")]
        number: &'a secrecy::SecretString,
        expiry_month: u8,
        expiry_year: u16,
        #[serde(serialize_with = "exposed_option", skip_serializing_if = "Option::is_none")]
        cvv: Option<&'a secrecy::SecretString>,
        #[serde(serialize_with = "exposed_option", skip_serializing_if = "Option::is_none")]
        holder_name: Option<&'a secrecy::SecretString>,
    },
    BankAccount {
        #[serde(serialize_with = "exposed")]
        account_number: &'a secrecy::SecretString,
        bank_code: &'a str,
        #[serde(serialize_with = "exposed_option", skip_serializing_if = "Option::is_none")]
        account_name: Option<&'a secrecy::SecretString>,
    },
}

impl<'a> TokenBody<'a> {
    pub(super) fn new(command: &'a TokenizeCommand, idempotency_key: &'a str) -> Self {
        let payment_method = match &command.payment_method {
            PaymentMethod::Card(card) => MethodBody::Card {
                number: card.number(),
                expiry_month: card.expiry_month(),
                expiry_year: card.expiry_year(),
                cvv: card.security_code(),
                holder_name: card.holder_name(),
            },
            PaymentMethod::BankAccount(account) => MethodBody::BankAccount {
                account_number: account.number(),
                bank_code: account.bank_code(),
                account_name: account.name(),
            },
        };
        Self { customer_id: command.customer_id.as_str(), payment_method, idempotency_key }
    }
}

fn exposed<S: Serializer>(
    secret: &&secrecy::SecretString,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn exposed_option<S: Serializer>(
    secret: &Option<&secrecy::SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => exposed(secret, serializer),
        None => serializer.serialize_none(),
    }
}

/// Reads a charge object. Its shape is assumed.
pub(super) fn charge(value: &Value) -> Result<Charge, Unreadable> {
    let fields = Fields::of(value, "charge")?;
    let word = fields.required_text("status")?;
    let status = charge_status(word);
    Ok(Charge {
        id: Some(ProviderText::word(fields.required_text("id")?)),
        reference: ProviderText::new(fields.required_text("reference")?),
        amount: money(fields)?,
        customer_id: fields.text("customer_id").map(ProviderText::word),
        payment_token_id: fields.text("payment_token_id").map(ProviderText::word),
        initiator: match fields.text("capture_mode") {
            Some(CUSTOMER_PRESENT) => Some(Initiator::Customer),
            Some(MERCHANT_INITIATED) => Some(Initiator::Merchant),
            _ => None,
        },
        status,
        provider_status: ProviderText::new(word),
        next_action: next_action(fields),
        failure: charge_failure(fields, status, word),
        create_time: timestamp(fields),
    })
}

/// Reads a refund object. Its shape is assumed.
pub(super) fn refund(value: &Value) -> Result<Refund, Unreadable> {
    let fields = Fields::of(value, "refund")?;
    let word = fields.required_text("status")?;
    let status = refund_status(word);
    Ok(Refund {
        id: Some(ProviderText::word(fields.required_text("id")?)),
        reference: ProviderText::new(fields.required_text("reference")?),
        provider_reference: None,
        charge_reference: ProviderText::new(fields.required_text("charge_reference")?),
        amount: money(fields)?,
        reason: fields.text("reason").map(ProviderText::new),
        status,
        provider_status: ProviderText::new(word),
        failure: (status == RefundStatus::Failed).then(|| failure(fields, FailureCode::Other)),
        create_time: timestamp(fields),
    })
}

/// Reads a token object. Its shape is assumed.
pub(super) fn token(value: &Value) -> Result<PaymentToken, Unreadable> {
    let fields = Fields::of(value, "payment token")?;
    let id = fields.text("id").or_else(|| fields.text("payment_token_id"));
    Ok(PaymentToken {
        id: ProviderText::word(id.ok_or(Unreadable("id"))?),
        customer_id: fields.text("customer_id").map(ProviderText::word),
        display: display(fields),
        provider_status: fields.text("status").map(ProviderText::new),
        create_time: timestamp(fields),
    })
}

fn money(fields: Fields<'_>) -> Result<Money, Unreadable> {
    let amount_minor = fields.required_integer("amount_minor")?;
    let currency = fields.required_text("currency")?;
    let currency = Currency::new(currency).map_err(|_| Unreadable("currency"))?;
    Money::new(amount_minor, currency).map_err(|_| Unreadable("amount_minor"))
}

fn timestamp(fields: Fields<'_>) -> Option<Timestamp> {
    fields.text("created_at").and_then(|text| text.parse().ok())
}

fn next_action(fields: Fields<'_>) -> Option<RedirectUrl> {
    let inside = fields.object("next_action").and_then(|action| {
        ["redirect_url", "authorization_url", "url"].iter().find_map(|name| action.text(name))
    });
    let address = inside
        .or_else(|| fields.text("next_action"))
        .or_else(|| fields.text("authorization_url"))
        .or_else(|| fields.text("redirect_url"))?;
    RedirectUrl::new(address)
}

fn charge_failure(fields: Fields<'_>, status: ChargeStatus, word: &str) -> Option<Failure> {
    match (status, word) {
        (ChargeStatus::Cancelled, _) => Some(Failure { code: FailureCode::Cancelled }),
        (ChargeStatus::Failed, "expired") => Some(failure(fields, FailureCode::Expired)),
        (ChargeStatus::Failed, "declined") => Some(failure(fields, FailureCode::CardDeclined)),
        (ChargeStatus::Failed, _) => Some(failure(fields, FailureCode::Other)),
        _ => None,
    }
}

fn failure(fields: Fields<'_>, otherwise: FailureCode) -> Failure {
    let code = ["failure_code", "gateway_response"]
        .iter()
        .find_map(|name| decline(&fields.text(name)?.to_ascii_lowercase()));
    Failure { code: code.unwrap_or(otherwise) }
}

fn display(fields: Fields<'_>) -> Option<Display> {
    if let Some(card) = fields.object("card") {
        return Some(Display::Card(card_display(card)));
    }
    if let Some(account) = fields.object("bank_account").or_else(|| fields.object("bank")) {
        return Some(Display::BankAccount(account_display(account)));
    }
    match fields.text("type") {
        Some("card") => Some(Display::Card(card_display(fields))),
        Some("bank_account" | "bank") => Some(Display::BankAccount(account_display(fields))),
        _ => None,
    }
}

fn card_display(card: Fields<'_>) -> CardDisplay {
    let number = |name| card.get(name).and_then(Value::as_u64);
    CardDisplay {
        brand: card.text("brand").map(ProviderText::label),
        last4: last4(card),
        expiry_month: number("expiry_month")
            .and_then(|month| u8::try_from(month).ok())
            .filter(|month| (1..=12).contains(month)),
        expiry_year: number("expiry_year").and_then(|year| u16::try_from(year).ok()),
    }
}

fn account_display(account: Fields<'_>) -> BankAccountDisplay {
    BankAccountDisplay {
        bank_code: account.text("bank_code").map(ProviderText::word),
        last4: last4(account),
    }
}

/// At most four characters: a longer text here would be more of the number than may be shown.
fn last4(fields: Fields<'_>) -> Option<ProviderText> {
    fields.text("last4").filter(|text| text.chars().count() <= 4).map(ProviderText::new)
}

#[cfg(test)]
mod tests;
