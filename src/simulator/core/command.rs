//! Reads a request into what it asks for, and refuses what a real API would refuse.

use serde_json::{Map, Value};

use super::fields::{Fields, Text};
use super::instrument::{Instrument, brand, luhn};
use super::keys::{Kind, Print};
use super::lists::Page;
use super::records::{CaptureMode, TokenKind};
use super::signature::hmac;
use super::{Answer, Request, Route, Target};

/// What a request asks for, valid in itself.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    CreateCharge(NewCharge),
    ListCharges(Page),
    GetCharge(String),
    Verify(String),
    CreateRefund(NewRefund),
    GetRefund(String),
    Tokenize(NewToken),
    ListTokens(String, Page),
}

#[derive(Clone, Debug)]
pub(crate) struct NewCharge {
    pub(crate) key: Option<String>,
    pub(crate) reference: String,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) customer_id: String,
    pub(crate) token: Option<String>,
    pub(crate) mode: CaptureMode,
}

#[derive(Clone, Debug)]
pub(crate) struct NewRefund {
    pub(crate) key: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) charge_reference: String,
    pub(crate) amount_minor: Option<i64>,
    pub(crate) currency: Option<String>,
    pub(crate) reason: Option<String>,
}

/// A token to be made. The number is already gone: only what it stands for is left.
#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    pub(crate) key: Option<String>,
    pub(crate) customer_id: String,
    pub(crate) kind: TokenKind,
    pub(crate) instrument: Instrument,
    /// A keyed digest of number and holder: tells two bodies apart, and nothing else.
    digest: Print,
}

/// Reads the request. `today` is year and month, for cards that have expired.
pub(crate) fn read(
    target: &Target,
    request: &Request,
    today: (u64, u64),
    seed: u64,
) -> Result<Command, Answer> {
    let subject = target.subject.clone();
    match target.route {
        Route::CreateCharge => new_charge(&body(request)?),
        Route::CreateRefund => new_refund(&body(request)?),
        Route::TokenizeCard => new_card(&body(request)?, today, seed),
        Route::TokenizeBankAccount => new_account(&body(request)?, seed),
        Route::ListCharges => Ok(Command::ListCharges(Page::of(request)?)),
        Route::ListTokens => Ok(Command::ListTokens(subject, Page::of(request)?)),
        Route::GetCharge => Ok(Command::GetCharge(subject)),
        Route::VerifyCharge => Ok(Command::Verify(subject)),
        Route::GetRefund => Ok(Command::GetRefund(subject)),
    }
}

fn body(request: &Request) -> Result<Map<String, Value>, Answer> {
    let invalid = |message: &str| Answer::problem(400, "validation_error", message);
    let kind = request.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(invalid("Content-Type must be application/json"));
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(invalid("The body must be a JSON object")),
        Err(_) => Err(invalid("The body is not valid JSON")),
    }
}

fn checked(fields: Fields<'_>, command: Command) -> Result<Command, Answer> {
    let faults = fields.finish();
    if faults.is_empty() { Ok(command) } else { Err(Answer::faults(&faults)) }
}

fn currency(fields: &mut Fields<'_>) -> Option<String> {
    let code = fields.text("currency", Text::ID)?;
    if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        fields.malformed("currency", "three upper-case letters (ISO 4217)");
    } else if iso_currency::Currency::from_code(&code).is_none() {
        fields.fault("currency", "validation_error", "is not a known currency");
    }
    Some(code)
}

fn new_charge(body: &Map<String, Value>) -> Result<Command, Answer> {
    let mut fields = Fields::new(body, "");
    fields.require("idempotency_key");
    let key = fields.text("idempotency_key", Text::KEY);
    let reference = fields.required_text("reference", Text::ID);
    fields.require("amount_minor");
    let amount_minor = fields.amount("amount_minor").unwrap_or_default();
    fields.require("currency");
    let currency = currency(&mut fields).unwrap_or_default();
    let customer_id = fields.required_text("customer_id", Text::ID);
    let token = fields.text("payment_token_id", Text::ID);
    fields.require("capture_mode");
    let mode = fields
        .word("capture_mode", &CaptureMode::WORDS)
        .unwrap_or(CaptureMode::CustomerActionRequired);
    if mode == CaptureMode::MerchantInitiated {
        fields.require("payment_token_id");
    }
    let charge = NewCharge { key, reference, amount_minor, currency, customer_id, token, mode };
    checked(fields, Command::CreateCharge(charge))
}

fn new_refund(body: &Map<String, Value>) -> Result<Command, Answer> {
    let mut fields = Fields::new(body, "");
    fields.require("idempotency_key");
    let refund = NewRefund {
        key: fields.text("idempotency_key", Text::KEY),
        reference: fields.text("reference", Text::ID),
        charge_reference: fields.required_text("charge_reference", Text::ID),
        amount_minor: fields.amount("amount_minor"),
        currency: currency(&mut fields),
        reason: fields.text("reason", Text::FREE),
    };
    checked(fields, Command::CreateRefund(refund))
}

fn new_card(body: &Map<String, Value>, today: (u64, u64), seed: u64) -> Result<Command, Answer> {
    let empty = Map::new();
    let mut fields = Fields::new(body, "");
    let key = fields.text("idempotency_key", Text::KEY);
    let customer_id = fields.required_text("customer_id", Text::ID);
    let inner = fields.required_object("card", &empty);
    let mut card = Fields::new(inner, "card.");
    let number = card.required_text("number", Text::DIGITS);
    if !number.is_empty() && (!(13..=19).contains(&number.len()) || !luhn(&number)) {
        card.fault("number", "invalid_format", "is not a card number");
    }
    card.require("expiry_month");
    let expiry_month = card.whole("expiry_month", (1, 12)).unwrap_or(12);
    card.require("expiry_year");
    let expiry_year = card.whole("expiry_year", (2000, 2099)).unwrap_or(2099);
    if (expiry_year, expiry_month) < today {
        card.fault("expiry_year", "validation_error", "the card has expired");
    }
    let length = if brand(&number) == "amex" { 4 } else { 3 };
    if card.text("cvv", Text::DIGITS).is_some_and(|cvv| cvv.len() != length) {
        card.malformed("cvv", "3 digits, or 4 for amex");
    }
    let holder = card.text("holder_name", Text::FREE).unwrap_or_default();
    if inner.is_empty() {
        // One fault is enough for an object that is missing as a whole.
        card = Fields::new(&empty, "");
    }
    fields.absorb(card.finish());
    let brand = brand(&number).to_owned();
    let kind = TokenKind::Card { brand, last4: last4(&number), expiry_month, expiry_year };
    let digest = digest(seed, &[&number, &holder]);
    let instrument = Instrument::of_card(&number);
    checked(fields, Command::Tokenize(NewToken { key, customer_id, kind, instrument, digest }))
}

fn new_account(body: &Map<String, Value>, seed: u64) -> Result<Command, Answer> {
    let empty = Map::new();
    let mut fields = Fields::new(body, "");
    let key = fields.text("idempotency_key", Text::KEY);
    let customer_id = fields.required_text("customer_id", Text::ID);
    let inner = fields.required_object("bank_account", &empty);
    let mut account = Fields::new(inner, "bank_account.");
    let number = account.required_text("account_number", Text::DIGITS);
    if !number.is_empty() && number.len() < 6 {
        account.malformed("account_number", "6 to 34 digits");
    }
    let bank_code = account.required_text("bank_code", Text::ID);
    let name = account.text("account_name", Text::FREE).unwrap_or_default();
    if inner.is_empty() {
        account = Fields::new(&empty, "");
    }
    fields.absorb(account.finish());
    let kind = TokenKind::BankAccount { bank_code, last4: last4(&number) };
    let digest = digest(seed, &[&number, &name]);
    let instrument = Instrument::of_account(&number);
    checked(fields, Command::Tokenize(NewToken { key, customer_id, kind, instrument, digest }))
}

fn last4(digits: &str) -> String {
    digits.get(digits.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

fn digest(seed: u64, parts: &[&str]) -> Print {
    let joined = parts.join("\0");
    hmac(&seed.to_be_bytes(), &[joined.as_bytes()])
}

impl Command {
    /// The kind of object that it makes, and the key that makes it once only.
    pub(crate) fn key(&self) -> Option<(Kind, &str)> {
        let (kind, key) = match self {
            Self::CreateCharge(new) => (Kind::Charge, &new.key),
            Self::CreateRefund(new) => (Kind::Refund, &new.key),
            Self::Tokenize(new) => (Kind::Token, &new.key),
            Self::ListCharges(_)
            | Self::GetCharge(_)
            | Self::Verify(_)
            | Self::GetRefund(_)
            | Self::ListTokens(..) => return None,
        };
        key.as_deref().map(|key| (kind, key))
    }

    /// Equal for equal bodies. A card's CVV is left out: it is kept in no form.
    pub(crate) fn print(&self, seed: u64) -> Print {
        // `{:?}` puts every text in quotes, so that no two bodies read the same.
        let plain = match self {
            Self::CreateCharge(new) => {
                let NewCharge {
                    key: _,
                    reference,
                    amount_minor,
                    currency,
                    customer_id,
                    token,
                    mode,
                } = new;
                format!("{:?}", (reference, amount_minor, currency, customer_id, token, mode))
            }
            Self::CreateRefund(new) => {
                let NewRefund {
                    key: _,
                    reference,
                    charge_reference,
                    amount_minor,
                    currency,
                    reason,
                } = new;
                format!("{:?}", (reference, charge_reference, amount_minor, currency, reason))
            }
            // No number can get in here: only its digest is left.
            Self::Tokenize(NewToken { key: _, customer_id, kind, instrument: _, digest }) => {
                format!("{:?}", (customer_id, kind, digest))
            }
            Self::ListCharges(_)
            | Self::GetCharge(_)
            | Self::Verify(_)
            | Self::GetRefund(_)
            | Self::ListTokens(..) => String::new(),
        };
        digest(seed, &[&plain])
    }
}
