//! Refunds: partial and repeated, never beyond the charge.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::charges::{Applied, duplicate_reference};
use super::command::NewRefund;
use super::{Answer, Charge, Refund, RefundReference, Zentra, status};

impl Zentra {
    pub(crate) fn create_refund(
        &mut self,
        now: Timestamp,
        new: NewRefund,
    ) -> Result<Applied, Answer> {
        let asked =
            new.reference.filter(|_| self.settings.refund_reference == RefundReference::Caller);
        let taken = asked.as_deref().is_some_and(|name| self.ledger.refund(name).is_some());
        if self.settings.dedupe_by_reference && taken {
            return Err(duplicate_reference());
        }
        let row = self.ledger.charge_row(&new.charge_reference);
        let charge = row.and_then(|row| self.ledger.charges.get(row));
        let (Some(row), Some(charge)) = (row, charge) else {
            return Err(Self::not_found("charge").with(Some("charge_reference"), None));
        };
        let checks = self.settings.check_refunds;
        let amount_minor = refundable(charge, new.amount_minor, new.currency.as_deref(), checks)?;
        let (charge_id, currency) = (charge.id.clone(), charge.currency.clone());
        let id = self.ids.next("rfd");
        let refund = Refund {
            id: id.clone(),
            reference: asked.unwrap_or_else(|| self.ids.next("ref")),
            idempotency_key: new.key,
            charge_reference: new.charge_reference,
            charge_id,
            status: status::SUCCESSFUL.to_owned(),
            amount_minor,
            currency,
            reason: new.reason,
            created_at: now,
        };
        let shown = refund.show();
        let refund_row = self.ledger.add_refund(refund);
        self.give_back(now, row, amount_minor);
        self.emit(now, "refund.successful", shown.clone());
        Ok(Applied::made(refund_row, id, shown))
    }

    fn give_back(&mut self, now: Timestamp, row: u64, amount_minor: i64) {
        let Some(charge) = self.ledger.charges.get_mut(row) else {
            return;
        };
        charge.refunded_minor += amount_minor;
        let all = charge.refunded_minor >= charge.amount_minor;
        let word = if all { status::REFUNDED } else { status::PARTIALLY_REFUNDED };
        self.set_status(now, row, word, None);
    }

    pub(crate) fn get_refund(&self, reference: &str) -> Result<Applied, Answer> {
        let refund = self.ledger.refund(reference).ok_or_else(|| Self::not_found("refund"))?;
        Ok(Applied::read(Answer::one(200, refund.show())))
    }
}

/// The amount to give back: what was asked, or all that is left. Where that is not checked, what was
/// asked may be more; all that is left is what it is either way, and nothing is no refund.
fn refundable(
    charge: &Charge,
    asked: Option<i64>,
    currency: Option<&str>,
    checks: bool,
) -> Result<i64, Answer> {
    let refuse = |field, message: &str, details| {
        Err(Answer::problem(422, "validation_error", message).with(Some(field), Some(details)))
    };
    if !status::is_paid(&charge.status) {
        let details = json!({"status": charge.status});
        return refuse("charge_reference", "The charge has not succeeded", details);
    }
    if currency.is_some_and(|currency| currency != charge.currency) {
        let details = json!({"currency": charge.currency});
        return refuse("currency", "The charge is in another currency", details);
    }
    let remaining = charge.amount_minor - charge.refunded_minor;
    let amount = asked.unwrap_or(remaining);
    if amount <= 0 || (checks && amount > remaining) {
        let details = json!({"remaining_minor": remaining});
        return refuse("amount_minor", "More than is left of the charge", details);
    }
    Ok(amount)
}

impl Refund {
    /// The refund as the API shows it.
    pub(crate) fn show(&self) -> Value {
        let mut shown = json!({
            "id": self.id,
            "reference": self.reference,
            "charge_reference": self.charge_reference,
            "status": self.status,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "created_at": self.created_at.to_string(),
        });
        if let Some(reason) = &self.reason {
            shown["reason"] = json!(reason);
        }
        shown
    }
}
