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
    /// Of a subscription: the types; none where it is for all.
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

/// The attributes of the context that are texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Reference,
    Currency,
    Customer,
    Token,
    Initiator,
    Method,
    Reason,
    Actor,
    ConsumerGroup,
    ChargeReference,
    ChargeCurrency,
}

/// The attributes of the context that are whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Amount,
    ChargeAmount,
    ChargeAgeSeconds,
}

/// The one attribute that is true or false.
pub(super) const ALL_THAT_IS_LEFT: &str = "all_that_is_left";

impl Text {
    /// All of them, by their names in rules.
    pub(super) const ALL: [(&str, Self); 11] = [
        ("reference", Self::Reference),
        ("currency", Self::Currency),
        ("customer", Self::Customer),
        ("token", Self::Token),
        ("initiator", Self::Initiator),
        ("method", Self::Method),
        ("reason", Self::Reason),
        ("actor", Self::Actor),
        ("consumer_group", Self::ConsumerGroup),
        ("charge_reference", Self::ChargeReference),
        ("charge_currency", Self::ChargeCurrency),
    ];
}

impl Number {
    /// All of them, by their names in rules.
    pub(super) const ALL: [(&str, Self); 3] = [
        ("amount", Self::Amount),
        ("charge_amount", Self::ChargeAmount),
        ("charge_age_seconds", Self::ChargeAgeSeconds),
    ];
}

impl Fields<'_> {
    /// A text; none where the call has none.
    pub(super) fn text(&self, text: Text) -> Option<&str> {
        let currency = |amount: Money| amount.currency().code();
        match text {
            Text::Reference => self.reference,
            Text::Currency => self.amount.map(currency),
            Text::Customer => self.customer,
            Text::Token => self.token,
            Text::Initiator => self.initiator.map(initiator),
            Text::Method => self.method,
            Text::Reason => self.reason,
            Text::Actor => self.actor,
            Text::ConsumerGroup => self.consumer_group,
            Text::ChargeReference => self.charge.map(|charge| charge.reference),
            Text::ChargeCurrency => self.charge.map(|charge| currency(charge.amount)),
        }
    }

    /// A number; none where the call has none.
    pub(super) fn number(&self, number: Number) -> Option<i64> {
        match number {
            Number::Amount => self.amount.map(Money::amount_minor),
            Number::ChargeAmount => self.charge.map(|charge| charge.amount.amount_minor()),
            Number::ChargeAgeSeconds => self.charge.and_then(|charge| charge.age_seconds),
        }
    }

    /// Of a refund, whether it is for all that is left.
    pub(super) fn all_that_is_left(&self) -> Option<bool> {
        self.charge.map(|charge| charge.all_that_is_left)
    }

    /// What Cedar reads as `context`, as far as rules look at it.
    pub(super) fn context(&self, needs: &Needs) -> Context {
        let mut values = BTreeMap::new();
        let mut note = |name: &'static str, value: Option<Value>| {
            if let Some(value) = value {
                values.insert(name.into(), value);
            }
        };
        for (name, text) in Text::ALL.into_iter().filter(|(name, _)| needs.has(name)) {
            note(name, self.text(text).map(Value::from));
        }
        for (name, number) in Number::ALL.into_iter().filter(|(name, _)| needs.has(name)) {
            note(name, self.number(number).map(Value::from));
        }
        if needs.has(ALL_THAT_IS_LEFT) {
            note(ALL_THAT_IS_LEFT, self.all_that_is_left().map(Value::from));
        }
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
