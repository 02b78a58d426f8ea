//! What the ledger holds. Amounts are minor units of the currency, times are UTC.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Instrument, Route};

/// Who starts the charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureMode {
    /// The customer is present and completes it.
    CustomerActionRequired,
    /// A renewal or follow-on charge, on a token whose set-up charge was verified.
    MerchantInitiated,
}

impl CaptureMode {
    pub(crate) const WORDS: [(&'static str, Self); 2] = [
        ("customer_action_required", Self::CustomerActionRequired),
        ("merchant_initiated", Self::MerchantInitiated),
    ];
}

/// Why a charge failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Such as `card_declined`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// A charge: one effect.
#[derive(Clone, Debug, Serialize)]
pub struct Charge {
    /// `chg_…`
    pub id: String,
    /// The caller's reference.
    pub reference: String,
    /// The key it was created with.
    pub idempotency_key: Option<String>,
    /// The present status word.
    pub status: String,
    /// The amount.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// The customer.
    pub customer_id: String,
    /// The saved method, where one was used.
    pub payment_token_id: Option<String>,
    /// Who started it.
    pub capture_mode: CaptureMode,
    /// What has been given back so far.
    pub refunded_minor: i64,
    /// Whether the verify route has been called since it succeeded.
    pub verified: bool,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// Where the customer completes it, while that is open.
    pub redirect_url: Option<String>,
    /// When it was created.
    #[serde(serialize_with = "iso")]
    pub created_at: Timestamp,
    /// When its status changed last.
    #[serde(serialize_with = "iso")]
    pub updated_at: Timestamp,
}

/// A refund: one effect.
#[derive(Clone, Debug, Serialize)]
pub struct Refund {
    /// `rfd_…`
    pub id: String,
    /// The caller's reference, or the one made here.
    pub reference: String,
    /// The key it was created with.
    pub idempotency_key: Option<String>,
    /// The charge's reference.
    pub charge_reference: String,
    /// The charge's id: references may repeat where their dedupe is off.
    pub charge_id: String,
    /// The present status word.
    pub status: String,
    /// The amount.
    pub amount_minor: i64,
    /// The charge's currency.
    pub currency: String,
    /// The caller's words.
    pub reason: Option<String>,
    /// When it was created.
    #[serde(serialize_with = "iso")]
    pub created_at: Timestamp,
}

/// What a token stands for, as far as it is kept: never a full number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TokenKind {
    /// A card.
    Card {
        /// Such as `visa`.
        brand: String,
        /// The last four digits.
        last4: String,
        /// 1 to 12.
        expiry_month: u64,
        /// Four digits.
        expiry_year: u64,
    },
    /// A bank account.
    BankAccount {
        /// The bank's code.
        bank_code: String,
        /// The last four digits.
        last4: String,
    },
}

/// A saved method: one effect.
#[derive(Clone, Debug, Serialize)]
pub struct Token {
    /// `tok_…`
    pub id: String,
    /// The key it was created with.
    pub idempotency_key: Option<String>,
    /// Whom it belongs to.
    pub customer_id: String,
    /// What it stands for.
    #[serde(flatten)]
    pub kind: TokenKind,
    /// Always `active`: no route changes it.
    pub status: String,
    /// What charges on it do, by its magic number; see the guide.
    pub instrument: Instrument,
    /// The verified charge that allows renewals, once there is one.
    pub bound_by: Option<String>,
    /// When it was created.
    #[serde(serialize_with = "iso")]
    pub created_at: Timestamp,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Outcome {
    /// Waiting: for its delay, or for its late effect.
    Open,
    /// Something new happened.
    Effect {
        /// What was created, or for a verify the charge.
        id: String,
    },
    /// The result of an earlier request with the same key.
    Replay {
        /// What had been created.
        id: String,
    },
    /// Something was read.
    Read,
    /// Refused by the API's own rules, with no effect.
    Refused {
        /// The error's code.
        code: String,
    },
    /// A fault answered it, with no effect.
    Dropped,
}

/// A request that arrived.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The order of arrival, over all requests, from 0.
    pub number: u64,
    /// The route.
    pub route: Route,
    /// The reference in the body or the path (a customer's id for `list_tokens`).
    pub reference: Option<String>,
    /// The body's `idempotency_key`.
    pub idempotency_key: Option<String>,
    /// When it arrived.
    #[serde(serialize_with = "iso")]
    pub at: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
    /// The faults that fired, by their kind, such as `reset_after`.
    pub faults: Vec<&'static str>,
    /// The request id it was answered with.
    pub request_id: String,
    /// `traceparent`.
    pub traceparent: Option<String>,
    /// `x-attempt`, where the client counts its attempts there.
    pub attempt: Option<String>,
    /// Of its headers those that tell about tracing and attempts: `tracestate`, `baggage`,
    /// `user-agent`, `x-request-id`, `idempotency-key`.
    pub headers: BTreeMap<String, String>,
}

/// A change of status, as it is told by webhook.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// Such as `charge.successful`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When the change happened.
    #[serde(serialize_with = "iso")]
    pub created_at: Timestamp,
    /// The object as it was then.
    pub data: Value,
    /// Deliveries tried.
    pub attempts: u32,
    /// Deliveries that were answered with 2xx.
    pub accepted: u32,
}

pub(crate) fn iso<S: Serializer>(value: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(value)
}
