//! The four writes.

use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use super::charge_facts::ChargeFacts;
use super::policy;
use super::ruler::{Ruling, limit_told};
use super::{Call, CardData, Gateway, trouble};
use crate::domain::{
    Charge, ChargeCommand, Fault, Money, PaymentToken, Reference, Refund, RefundCommand,
    TokenizeCommand, Violations,
};
use crate::engine::{Executed, Payment, Terms};
use crate::error::{Error, MoneyMoved, Reason, Retry};
use crate::idempotency::{Binding, CounterId, LimitName, MAX_SUM, Quantity, Take};
use crate::policy::Action;
use crate::telemetry::audit::Promised;

impl Gateway {
    /// Saves a payment method.
    ///
    /// # Errors
    /// `CARD_DATA_REFUSED` where this sidecar takes no card data, and those of every write.
    pub async fn tokenize(
        &self,
        call: Call,
        command: TokenizeCommand,
    ) -> Result<Executed<PaymentToken>, Error> {
        if self.shared.card_data == CardData::Refuse {
            let error = Error::new(Reason::CardDataRefused).money_moved(MoneyMoved::No);
            return Err(self.refuse(&call, &command, error));
        }
        self.admit(&call, &command)?;
        let ruling = self.rule(&call, Action::Tokenize, policy::of_tokenize(&command));
        self.execute(call, command, ruling).await
    }

    /// Takes money, for `Charge` and `Renew`. A decline is a charge that failed, not an error.
    ///
    /// # Errors
    /// Those of every write.
    pub async fn charge(
        &self,
        call: Call,
        command: ChargeCommand,
    ) -> Result<Executed<Charge>, Error> {
        self.admit(&call, &command)?;
        let ruling = self.rule(&call, command.operation().into(), policy::of_charge(&command));
        self.execute(call, command, ruling).await
    }

    /// Gives money back. The charge is read first: a refund has no currency of its own at
    /// Zentra, so that an amount in another one would be taken as the charge's.
    ///
    /// # Errors
    /// `CHARGE_NOT_REFUNDABLE`, `REFUND_EXCEEDS_CHARGE`, and those of every write. They are told
    /// only where the key has no record: a refund that was made is told as it was.
    pub async fn refund(
        &self,
        call: Call,
        mut command: RefundCommand,
    ) -> Result<Executed<Refund>, Error> {
        self.admit(&call, &command)?;
        // Its caller may leave before anything is decided.
        Promised::keep(command.asked());
        let (ruling, tally) = match self.charge_facts(&call, &command.charge_reference).await {
            Ok(charge) => {
                command.charge_amount = Some(charge.amount);
                let now = self.engine().clock().now();
                let fields = policy::of_refund(&command, charge, now);
                let ruling = self.rule(&call, Action::Refund, fields);
                let refusal = ruling.refusal.or_else(|| check_refund(&command, charge).err());
                (Ruling { refusal, ..ruling }, Some(refunded(&command, charge)))
            }
            Err(error) => (Ruling::refused(error), None),
        };
        let takes = ruling.takes.into_iter().chain(tally).collect();
        self.execute(call, command, Ruling { takes, ..ruling }).await
    }

    fn admit(&self, call: &Call, payment: &impl Payment) -> Result<(), Error> {
        self.shared.readiness.admit_write().map_err(|error| self.refuse(call, payment, error))
    }

    /// Tells the audit log of a refusal before any work.
    fn refuse(&self, call: &Call, payment: &impl Payment, error: Error) -> Error {
        let (asked, audit) = (payment.asked(), self.engine().telemetry().audit());
        audit.refused(&call.caller, &asked, &error);
        error.audited()
    }

    /// A circuit that is open is one more refusal beside the policy's, which a payment under way beats.
    async fn execute<P: Payment>(
        &self,
        call: Call,
        payment: P,
        ruling: Ruling,
    ) -> Result<Executed<P::Value>, Error> {
        let Call { caller, answer_by, admitted } = call;
        let circuit = || {
            let wait = self.engine().zentra().refuses_for()?;
            Some(Error::new(Reason::CircuitOpen).retry(Retry::After(wait)))
        };
        let Ruling { refusal, takes, note, policy } = ruling;
        let terms = Terms { refusal: refusal.or_else(circuit), takes };
        let work = self.engine().execute(&caller, answer_by, payment, terms, admitted);
        let result = match note {
            // It goes where the lines of the audit log are written.
            Some(note) => work.with_context(Context::current_with_value(note)).await,
            None => work.await,
        };
        result.map_err(|error| match &policy {
            Some(policy) => limit_told(error, policy),
            None => error,
        })
    }

    async fn charge_facts(&self, call: &Call, reference: &Reference) -> Result<ChargeFacts, Error> {
        if let Some(facts) = self.shared.paid_charges.get(reference) {
            return Ok(facts);
        }
        // Half of the time at most: the record, where there is one, has to be reached too.
        let now = Instant::now();
        let until = now + call.answer_by.saturating_duration_since(now) / 2;
        let read = timeout_at(until, self.engine().zentra().by(until).get_charge(reference)).await;
        let reply = read.map_err(|_| {
            Error::new(Reason::UpstreamUnavailable)
                .operator_text("the charge could not be read in time")
        })?;
        let facts = ChargeFacts::of(&reply.map_err(trouble::of_charge_to_refund)?.value);
        self.shared.paid_charges.note(reference, facts);
        Ok(facts)
    }
}

/// What a refund takes from what is left of its charge, over all sidecars of the account.
fn refunded(command: &RefundCommand, charge: ChargeFacts) -> Take {
    let minor = |money: Money| u64::try_from(money.amount_minor()).unwrap_or(MAX_SUM);
    Take {
        limit: LimitName::refunds_of_a_charge(),
        counter: CounterId::refunded(&command.charge_reference),
        window_ms: 0,
        quantity: command.amount.map_or(Quantity::Rest, |it| Quantity::Amount(minor(it))),
        most: minor(charge.amount),
        binding: Binding::Enforced,
    }
}

fn check_refund(command: &RefundCommand, charge: ChargeFacts) -> Result<(), Error> {
    if !charge.was_paid {
        return Err(Error::new(Reason::ChargeNotRefundable));
    }
    let Some(amount) = command.amount else { return Ok(()) };
    if amount.currency() != charge.amount.currency() {
        let violations = Violations::one("amount.currency", Fault::CurrencyOfCharge);
        return Err(Error::invalid(violations));
    }
    let most = charge.amount.amount_minor();
    if amount.amount_minor() > most {
        let error = Error::new(Reason::RefundExceedsCharge);
        // Where part of it was given back already, only Zentra knows what is left.
        return Err(if charge.is_untouched { error.remaining_minor(most) } else { error });
    }
    Ok(())
}
