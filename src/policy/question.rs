//! What is decided: who asks for what. It holds no card data.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy_core::ast::{Context, Value};

use super::Action;
use super::needs::Needs;
use crate::domain::{Caller, Initiator, Money};

/// One call, as far as rules and limits may look at it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// For what.
    pub action: Action,
    /// What the call says.
    pub fields: Fields<'a>,
}

/// What a call says; what its action does not have is none. The schema says what each has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    /// The payment's name.
    pub reference: Option<&'a str>,
    /// How much; of a refund of all that is left, the charge's whole amount.
    pub amount: Option<Money>,
    /// Whose payment it is.
    pub customer: Option<&'a str>,
    /// What it is paid with.
    pub token: Option<&'a str>,
    /// Who set it off.
    pub initiator: Option<Initiator>,
    /// Of Tokenize: what is saved, `card` or `bank_account`.
    pub method: Option<&'static str>,
    /// Of a refund: its charge.
    pub charge: Option<ChargeOf<'a>>,
    /// Of a refund: why.
    pub reason: Option<&'a str>,
    /// The person or job behind the call, as the caller says.
    pub actor: Option<&'a str>,
    /// Of events: the group of consumers.
    pub consumer_group: Option<&'a str>,
    /// Of a subscription: the types; none in it for all.
    pub types: Option<&'a [String]>,
}

/// The charge that a refund gives back, as it was read.
#[derive(Clone, Copy, Debug)]
pub struct ChargeOf<'a> {
    /// Its name.
    pub reference: &'a str,
    /// What it was for.
    pub amount: Money,
    /// How long ago it was made, in seconds; none where Zentra does not tell.
    pub age_seconds: Option<i64>,
    /// The refund asks for all that is left.
    pub all_that_is_left: bool,
}

impl Fields<'_> {
    /// What Cedar reads as `context`, as far as rules look at it.
    pub(super) fn context(&self, needs: &Needs) -> Context {
        let mut values = BTreeMap::new();
        let mut note = |name: &'static str, value: Option<Value>| {
            if let Some(value) = value {
                values.insert(name.into(), value);
            }
        };
        let text = |name: &'static str, value: Option<&str>| {
            let value = value.filter(|_| needs.has(name));
            (name, value.map(Value::from))
        };
        let currency = |amount: Money| amount.currency().code();
        for (name, value) in [
            text("reference", self.reference),
            text("currency", self.amount.map(currency)),
            text("customer", self.customer),
            text("token", self.token),
            text("initiator", self.initiator.map(initiator)),
            text("method", self.method),
            text("reason", self.reason),
            text("actor", self.actor),
            text("consumer_group", self.consumer_group),
            text("charge_reference", self.charge.map(|charge| charge.reference)),
            text("charge_currency", self.charge.map(|charge| currency(charge.amount))),
        ] {
            note(name, value);
        }
        let long = |name: &'static str, value: Option<i64>| {
            (name, value.filter(|_| needs.has(name)).map(Value::from))
        };
        for (name, value) in [
            long("amount", self.amount.map(Money::amount_minor)),
            long("charge_amount", self.charge.map(|charge| charge.amount.amount_minor())),
            long("charge_age_seconds", self.charge.and_then(|charge| charge.age_seconds)),
        ] {
            note(name, value);
        }
        let all = self.charge.map(|charge| charge.all_that_is_left);
        let name = "all_that_is_left";
        note(name, all.filter(|_| needs.has(name)).map(Value::from));
        let types = self.types.filter(|_| needs.has("types"));
        let set = |types: &[String]| Value::set(types.iter().map(|it| it.as_str().into()), None);
        note("types", types.map(set));
        Context::Value(Arc::new(values))
    }
}

/// The word in rules and scenarios.
pub(super) fn initiator(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::Customer => "customer",
        Initiator::Merchant => "merchant",
    }
}
