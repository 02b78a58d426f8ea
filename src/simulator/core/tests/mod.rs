//! The rules, driven with no network: each test is one story.

mod dedupe;
mod entry;
mod faults;
mod payments;
mod refunds;
mod validation;

use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::settings::DEFAULT_KEY;
use super::{LedgerView, Request, Response, Settings, SettingsChange, Zentra, later};

pub(super) const GOOD_CARD: &str = "4242424242424242";

/// An account and its time.
pub(super) struct Account {
    pub(super) zentra: Zentra,
    pub(super) now: Timestamp,
}

impl Account {
    pub(super) fn new() -> Self {
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        Self { zentra: Zentra::new(Settings::default()), now }
    }

    pub(super) fn with(change: SettingsChange) -> Self {
        let mut account = Self::new();
        account.zentra.configure(change);
        account
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now = later(self.now, Duration::from_secs(seconds));
        self.zentra.tick(self.now);
    }

    pub(super) fn respond(&mut self, request: &Request) -> Response {
        self.zentra.handle(self.now, request)
    }

    /// Status and body of a POST.
    pub(super) fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.respond(&request(Method::POST, path, Some(body)));
        (response.status, response.json())
    }

    pub(super) fn get(&mut self, path: &str) -> (u16, Value) {
        let response = self.respond(&request(Method::GET, path, None));
        (response.status, response.json())
    }

    /// The id of a new token of customer `cus_1`.
    pub(super) fn token(&mut self, number: &str) -> String {
        let (status, body) = self.post("tokens/card", &card(number));
        assert_eq!(status, 201, "{body}");
        body["data"]["id"].as_str().unwrap().to_owned()
    }

    pub(super) fn ledger(&self) -> LedgerView {
        self.zentra.ledger(self.now)
    }
}

pub(super) fn request(method: Method, path: &str, body: Option<&Value>) -> Request {
    Request::new(method, &format!("/api/v1/payments/{path}"), DEFAULT_KEY, body)
}

pub(super) fn card(number: &str) -> Value {
    json!({
        "customer_id": "cus_1",
        "card": {
            "number": number,
            "expiry_month": 12,
            "expiry_year": 2031,
            "cvv": "123",
            "holder_name": "Ada Example",
        },
    })
}

/// A charge with the customer present, key `key-<reference>`.
pub(super) fn charge(reference: &str, token: &str) -> Value {
    json!({
        "idempotency_key": format!("key-{reference}"),
        "reference": reference,
        "amount_minor": 1000,
        "currency": "NGN",
        "customer_id": "cus_1",
        "payment_token_id": token,
        "capture_mode": "customer_action_required",
    })
}

pub(super) fn renewal(reference: &str, token: &str) -> Value {
    let mut body = charge(reference, token);
    body["capture_mode"] = json!("merchant_initiated");
    body
}

pub(super) fn refund(key: &str, charge_reference: &str, amount: Option<i64>) -> Value {
    json!({
        "idempotency_key": key,
        "reference": format!("{key}-ref"),
        "charge_reference": charge_reference,
        "amount_minor": amount,
        "reason": "test",
    })
}

pub(super) fn code(body: &Value) -> &str {
    body["error"]["code"].as_str().unwrap_or_default()
}
