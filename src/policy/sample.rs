//! A call as people write it, in scenarios and on the command line.

use super::{Action, ChargeOf, Fields, Question};
use crate::domain::{Caller, Currency, Initiator, Money};

/// A call that nobody made. What is not said has a usual value, so that a scenario says only what
/// it is about.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Who asks.
    pub caller: Caller,
    /// For what.
    pub action: Action,
    /// The payment's name.
    pub reference: Option<String>,
    /// How much, in the minor unit.
    pub amount: Option<i64>,
    /// Of which currency; that of the charge, for a refund.
    pub currency: Option<Currency>,
    /// Whose payment it is.
    pub customer: Option<String>,
    /// What it is paid with.
    pub token: Option<String>,
    /// Of Tokenize: true for a bank account.
    pub is_bank_account: bool,
    /// Of a refund: why.
    pub reason: Option<String>,
    /// Who is behind the call.
    pub actor: Option<String>,
    /// Of a refund: its charge's name.
    pub charge_reference: Option<String>,
    /// Of a refund: what its charge was for, in the minor unit.
    pub charge_amount: Option<i64>,
    /// Of a refund: how long ago its charge was made, in seconds.
    pub charge_age_seconds: Option<i64>,
    /// Of events: the group of consumers.
    pub consumer_group: Option<String>,
    /// Of a subscription: the types; none for all.
    pub types: Vec<String>,
}

impl Sample {
    /// A call of which no more is known.
    #[must_use]
    pub fn new(caller: Caller, action: Action) -> Self {
        Self {
            caller,
            action,
            reference: None,
            amount: None,
            currency: None,
            customer: None,
            token: None,
            is_bank_account: false,
            reason: None,
            actor: None,
            charge_reference: None,
            charge_amount: None,
            charge_age_seconds: None,
            consumer_group: None,
            types: Vec::new(),
        }
    }

    /// What is to be decided.
    ///
    /// # Errors
    /// Where the action needs an amount and has none, or has one that cannot be.
    pub fn question(&self) -> Result<Question<'_>, String> {
        let reference = Some(usual(&self.reference, "reference-1"));
        let customer = Some(usual(&self.customer, "customer-1"));
        let fields = Fields { actor: self.actor.as_deref(), ..Fields::default() };
        let fields = match self.action {
            Action::Tokenize => {
                let method = if self.is_bank_account { "bank_account" } else { "card" };
                Fields { customer, method: Some(method), ..fields }
            }
            Action::Charge | Action::Renew => Fields {
                reference,
                amount: Some(self.money(self.amount, "amount")?),
                customer,
                token: Some(usual(&self.token, "token-1")),
                initiator: Some(match self.action {
                    Action::Charge => Initiator::Customer,
                    _ => Initiator::Merchant,
                }),
                ..fields
            },
            Action::Refund => {
                let charge = self.money(self.charge_amount.or(self.amount), "charge_amount")?;
                let charge_of = ChargeOf {
                    reference: usual(&self.charge_reference, "charge-1"),
                    amount: charge,
                    age_seconds: self.charge_age_seconds,
                    all_that_is_left: self.amount.is_none(),
                };
                Fields {
                    reference,
                    amount: Some(match self.amount {
                        Some(_) => self.money(self.amount, "amount")?,
                        None => charge,
                    }),
                    charge: Some(charge_of),
                    reason: self.reason.as_deref(),
                    ..fields
                }
            }
            Action::Verify | Action::GetCharge | Action::GetRefund => {
                Fields { reference, ..Fields::default() }
            }
            Action::ListCharges => Fields::default(),
            Action::ListTokens => Fields { customer, ..Fields::default() },
            Action::Subscribe | Action::Acknowledge => Fields {
                consumer_group: Some(usual(&self.consumer_group, "group-1")),
                types: Some(&*self.types)
                    .filter(|types| self.action == Action::Subscribe && !types.is_empty()),
                ..Fields::default()
            },
        };
        Ok(Question { caller: &self.caller, action: self.action, fields })
    }

    fn money(&self, amount: Option<i64>, name: &str) -> Result<Money, String> {
        let amount = amount.ok_or_else(|| format!("{name}: is missing"))?;
        let currency = self.currency.ok_or_else(|| "currency: is missing".to_owned())?;
        Money::new(amount, currency).map_err(|fault| format!("{name}: {fault}"))
    }
}

fn usual<'a>(value: &'a Option<String>, usual: &'static str) -> &'a str {
    value.as_deref().unwrap_or(usual)
}
