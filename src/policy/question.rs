//! What is decided: who asks for what. It holds no card data.

use cedar_policy::{Context, ContextCreationError, RestrictedExpression};

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
    pub(super) fn context(&self, needs: &Needs) -> Result<Context, ContextCreationError> {
        let mut pairs = Vec::with_capacity(needs.most());
        let mut text = |name: &str, value: Option<&str>| {
            if let Some(value) = value
                && needs.has(name)
            {
                let value = RestrictedExpression::new_string(value.to_owned());
                pairs.push((name.to_owned(), value));
            }
        };
        text("reference", self.reference);
        text("currency", self.amount.map(|amount| amount.currency().code()));
        text("customer", self.customer);
        text("token", self.token);
        text("initiator", self.initiator.map(initiator));
        text("method", self.method);
        text("reason", self.reason);
        text("actor", self.actor);
        text("consumer_group", self.consumer_group);
        text("charge_reference", self.charge.map(|charge| charge.reference));
        text("charge_currency", self.charge.map(|charge| charge.amount.currency().code()));
        let mut long = |name: &str, value: Option<i64>| {
            if let Some(value) = value
                && needs.has(name)
            {
                pairs.push((name.to_owned(), RestrictedExpression::new_long(value)));
            }
        };
        long("amount", self.amount.map(Money::amount_minor));
        long("charge_amount", self.charge.map(|charge| charge.amount.amount_minor()));
        long("charge_age_seconds", self.charge.and_then(|charge| charge.age_seconds));
        if let Some(charge) = self.charge
            && needs.has("all_that_is_left")
        {
            let all = RestrictedExpression::new_bool(charge.all_that_is_left);
            pairs.push(("all_that_is_left".to_owned(), all));
        }
        if let Some(types) = self.types
            && needs.has("types")
        {
            let types = types.iter().cloned().map(RestrictedExpression::new_string);
            pairs.push(("types".to_owned(), RestrictedExpression::new_set(types)));
        }
        Context::from_pairs(pairs)
    }
}

/// The word in rules and scenarios.
pub(super) fn initiator(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::Customer => "customer",
        Initiator::Merchant => "merchant",
    }
}
