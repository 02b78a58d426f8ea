//! Charges: made, read, verified, completed by the customer.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::command::NewCharge;
use super::effects::Timer;
use super::instrument::{Instrument, SETTLES_AFTER, SLOW_BY};
use super::{Answer, CaptureMode, Charge, Failure, Outcome, Token, Zentra, later, status};

/// A request that has been applied.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) answer: Answer,
    pub(crate) outcome: Outcome,
    /// How long the answer is held back.
    pub(crate) hold: Duration,
    /// The row that it made.
    pub(crate) row: Option<u64>,
}

impl Applied {
    pub(crate) fn read(answer: Answer) -> Self {
        Self { answer, outcome: Outcome::Read, hold: Duration::ZERO, row: None }
    }

    pub(crate) fn refused(answer: Answer) -> Self {
        Self { outcome: Outcome::refused(&answer), ..Self::read(answer) }
    }

    pub(crate) fn made(row: u64, id: String, shown: Value) -> Self {
        let outcome = Outcome::Effect { id };
        Self { outcome, row: Some(row), ..Self::read(Answer::one(201, shown)) }
    }
}

/// How a new charge starts out.
struct Start {
    status: &'static str,
    failure: Option<&'static str>,
    hold: Duration,
}

impl Start {
    fn of(instrument: Option<Instrument>, mode: CaptureMode) -> Self {
        let start = |status| Self { status, failure: None, hold: Duration::ZERO };
        let renewal = mode == CaptureMode::MerchantInitiated;
        match instrument {
            Some(Instrument::Good) => start(status::SUCCESSFUL),
            Some(Instrument::Declined(code)) => {
                Self { failure: Some(code), ..start(status::FAILED) }
            }
            Some(Instrument::RenewalsDeclined) if renewal => {
                Self { failure: Some("card_declined"), ..start(status::FAILED) }
            }
            Some(Instrument::CustomerActs) if renewal => start(status::SUCCESSFUL),
            Some(Instrument::RenewalsDeclined) => start(status::SUCCESSFUL),
            Some(Instrument::Settles) => start(status::PENDING),
            Some(Instrument::Slow) => Self { hold: SLOW_BY, ..start(status::SUCCESSFUL) },
            // With no saved method the customer has to choose one.
            Some(Instrument::CustomerActs) | None => start(status::REQUIRES_ACTION),
        }
    }
}

impl Zentra {
    pub(crate) fn create_charge(
        &mut self,
        now: Timestamp,
        new: NewCharge,
    ) -> Result<Applied, Answer> {
        if self.settings.dedupe_by_reference && self.ledger.charge(&new.reference).is_some() {
            return Err(duplicate_reference());
        }
        let token = new.token.as_deref().map(|id| self.usable_token(id, &new)).transpose()?;
        let start = Start::of(token.map(|token| token.instrument), new.mode);
        if let Some(code) = start.failure
            && self.settings.declines == super::DeclineForm::Error
        {
            return Err(Answer::problem(422, code, Failure::new(code).message));
        }
        let id = self.ids.next("chg");
        let acts = start.status == status::REQUIRES_ACTION;
        let redirect = format!("{}/_simulator/customer/{id}", self.settings.public_url);
        let charge = Charge {
            id: id.clone(),
            reference: new.reference,
            idempotency_key: new.key,
            status: start.status.to_owned(),
            amount_minor: new.amount_minor,
            currency: new.currency,
            customer_id: new.customer_id,
            payment_token_id: new.token,
            capture_mode: new.mode,
            refunded_minor: 0,
            verified: false,
            failure: start.failure.map(Failure::new),
            redirect_url: acts.then_some(redirect),
            created_at: now,
            updated_at: now,
        };
        let shown = charge.show();
        let row = self.ledger.add_charge(charge);
        if start.status == status::PENDING {
            self.timers.add(later(now, SETTLES_AFTER), Timer::Settle(row));
        }
        self.emit(now, &format!("charge.{}", start.status), shown.clone());
        Ok(Applied { hold: start.hold, ..Applied::made(row, id, shown) })
    }

    fn usable_token(&self, id: &str, new: &NewCharge) -> Result<&Token, Answer> {
        let field = Some("payment_token_id");
        let Some(token) = self.ledger.token(id) else {
            return Err(Self::not_found("payment token").with(field, None));
        };
        if token.customer_id != new.customer_id {
            let message = "The payment token belongs to another customer";
            return Err(Answer::problem(422, "validation_error", message).with(field, None));
        }
        if new.mode == CaptureMode::MerchantInitiated && token.bound_by.is_none() {
            let message = "No successful set-up charge of this token has been verified";
            return Err(Answer::problem(409, "token_not_ready", message).with(field, None));
        }
        Ok(token)
    }

    pub(crate) fn get_charge(&self, reference: &str) -> Result<Applied, Answer> {
        let charge = self.ledger.charge(reference).ok_or_else(|| Self::not_found("charge"))?;
        Ok(Applied::read(Answer::one(200, charge.show())))
    }

    /// Tells the present status; for a paid set-up charge it binds the authorisation to the token.
    pub(crate) fn verify(&mut self, reference: &str) -> Result<Applied, Answer> {
        let row = self.ledger.charge_row(reference);
        let charge = row.and_then(|row| self.ledger.charges.get_mut(row));
        let charge = charge.ok_or_else(|| Self::not_found("charge"))?;
        let first = status::is_paid(&charge.status) && !charge.verified;
        charge.verified |= first;
        let (id, shown) = (charge.id.clone(), charge.show());
        let setup = charge.capture_mode == CaptureMode::CustomerActionRequired;
        let token = charge.payment_token_id.clone().filter(|_| first && setup);
        if let Some(token) = token.and_then(|token| self.ledger.token_mut(&token)) {
            token.bound_by.get_or_insert_with(|| id.clone());
        }
        let outcome = if first { Outcome::Effect { id } } else { Outcome::Read };
        Ok(Applied { outcome, ..Applied::read(Answer::one(200, shown)) })
    }

    /// Completes a charge as its customer would. False where it does not wait for that.
    pub fn customer_acts(&mut self, now: Timestamp, charge_id: &str, completes: bool) -> bool {
        self.tick(now);
        let Some(row) = self.ledger.charge_row_by_id(charge_id) else {
            return false;
        };
        let waits = |charge: &Charge| charge.status == status::REQUIRES_ACTION;
        if !self.ledger.charges.get(row).is_some_and(waits) {
            return false;
        }
        if completes {
            self.set_status(now, row, status::SUCCESSFUL, None);
        } else {
            self.set_status(now, row, status::FAILED, Some("authentication_failed"));
        }
        true
    }
}

pub(crate) fn duplicate_reference() -> Answer {
    Answer::problem(409, "duplicate_reference", "This reference has been used")
        .with(Some("reference"), None)
}

impl Failure {
    pub(crate) fn new(code: &str) -> Self {
        let message = match code {
            "card_declined" => "The card was declined",
            "insufficient_funds" => "There is not enough money on the account",
            "expired_card" => "The card has expired",
            "do_not_honor" => "The bank refused the payment",
            "authentication_failed" => "The customer did not complete the payment",
            _ => "The payment failed",
        };
        Self { code: code.to_owned(), message: message.to_owned() }
    }
}

impl Charge {
    /// The charge as the API shows it.
    pub(crate) fn show(&self) -> Value {
        let mut shown = json!({
            "id": self.id,
            "reference": self.reference,
            "status": self.status,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "customer_id": self.customer_id,
            "capture_mode": self.capture_mode,
            "refunded_minor": self.refunded_minor,
            "created_at": self.created_at.to_string(),
            "updated_at": self.updated_at.to_string(),
        });
        if let Some(token) = &self.payment_token_id {
            shown["payment_token_id"] = json!(token);
        }
        if let Some(failure) = &self.failure {
            shown["failure_code"] = json!(failure.code);
            shown["failure_message"] = json!(failure.message);
        }
        if let Some(url) = &self.redirect_url {
            shown["redirect_url"] = json!(url);
        }
        shown
    }
}
