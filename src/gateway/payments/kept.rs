//! The canonical form of commands: what is compared, and what the record keeps of a payment so
//! that anybody can look it up. Its text never changes; a new field needs a new version.

use std::sync::Arc;

use bytes::Bytes;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::{
    Actor, Charge, ChargeCommand, Currency, CustomerId, Initiator, Money, Operation, PaymentMethod,
    PaymentTokenId, Reason, Reference, Refund, RefundCommand, TokenizeCommand,
};
use crate::policy::Verdict;
use crate::telemetry::{Asked, Beginning, PolicyNote};

/// The version of all forms here.
const VERSION: u8 = 1;

/// A command as a record keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum KeptCommand {
    /// Of Charge and Renew.
    Charge(KeptCharge),
    /// Of Refund.
    Refund(KeptRefund),
}

/// A charge or renewal as a record keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCharge {
    v: u8,
    reference: String,
    amount_minor: i64,
    currency: String,
    customer_id: String,
    payment_token_id: String,
    merchant_initiated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<KeptPolicy>,
}

/// A refund as a record keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRefund {
    v: u8,
    reference: String,
    charge_reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_minor: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<KeptPolicy>,
}

/// What the policy decided of a payment that was begun, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptPolicy {
    verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule_id: Option<Arc<str>>,
    hash: Arc<str>,
}

impl KeptCommand {
    /// Reads a record's command; none where a newer release wrote it.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let command: Self = serde_json::from_slice(bytes).ok()?;
        let version = match &command {
            Self::Charge(charge) => charge.v,
            Self::Refund(refund) => refund.v,
        };
        (version == VERSION).then_some(command)
    }

    /// With who is behind it and what the policy has decided, which are kept for the audit log and
    /// compared by nobody.
    pub(super) fn with_background(mut self, by: Option<&Actor>) -> Self {
        let (Self::Charge(KeptCharge { actor, policy, .. })
        | Self::Refund(KeptRefund { actor, policy, .. })) = &mut self;
        *actor = by.map(ToString::to_string);
        *policy = PolicyNote::current().map(|note| KeptPolicy {
            verdict: note.verdict.to_owned(),
            rule_id: note.rule_id,
            hash: note.policy_hash,
        });
        self
    }

    /// What the policy decided when the payment was begun; none where there was none, or where a newer
    /// release decided it by a word that this one does not know.
    pub(super) fn policy(&self) -> Option<PolicyNote> {
        let (Self::Charge(KeptCharge { policy, .. }) | Self::Refund(KeptRefund { policy, .. })) =
            self;
        let kept = policy.as_ref()?;
        let verdict = Verdict::ALL.iter().find(|it| it.as_str() == kept.verdict)?;
        Some(PolicyNote {
            verdict: verdict.as_str(),
            rule_id: kept.rule_id.clone(),
            policy_hash: kept.hash.clone(),
        })
    }

    /// How the payment was begun; nothing of it where a newer release wrote the record.
    pub(super) fn beginning(bytes: &[u8]) -> Beginning {
        let Some(kept) = Self::read(bytes) else { return Beginning::default() };
        Beginning { actor: kept.actor(), policy: kept.policy() }
    }

    /// Who was behind it.
    fn actor(&self) -> Option<Actor> {
        let (Self::Charge(KeptCharge { actor, .. }) | Self::Refund(KeptRefund { actor, .. })) =
            self;
        actor.as_deref().and_then(|it| Actor::new(it).ok())
    }

    /// What was asked, as operators read it.
    pub(super) fn asked(&self, operation: Operation) -> Asked {
        let nothing = Asked { actor: self.actor(), ..Asked::nothing(operation) };
        match self {
            Self::Charge(kept) => Asked {
                customer_id: CustomerId::new(&kept.customer_id).ok(),
                payment_token_id: PaymentTokenId::new(&kept.payment_token_id).ok(),
                amount: money(Some(kept.amount_minor), Some(&kept.currency)),
                ..nothing
            },
            Self::Refund(kept) => Asked {
                charge_reference: Reference::new(&kept.charge_reference).ok(),
                amount: money(kept.amount_minor, kept.currency.as_deref()),
                reason: kept.reason.as_deref().and_then(|it| Reason::new(it).ok()),
                ..nothing
            },
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        // Plain data: writing it into memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl From<&ChargeCommand> for KeptCharge {
    fn from(command: &ChargeCommand) -> Self {
        Self {
            v: VERSION,
            reference: command.reference.to_string(),
            amount_minor: command.amount.amount_minor(),
            currency: command.amount.currency().code().to_owned(),
            customer_id: command.customer_id.to_string(),
            payment_token_id: command.payment_token_id.to_string(),
            merchant_initiated: command.initiator == Initiator::Merchant,
            actor: None,
            policy: None,
        }
    }
}

impl KeptCharge {
    /// True where `found` is this charge: all that Zentra tells of it is the same. `strictly`: and
    /// it tells whose it is.
    ///
    /// After a failover a record may stand under a reference that another key has used since: the
    /// amount alone does not tell the two apart.
    #[must_use]
    pub fn is(&self, found: &Charge, strictly: bool) -> bool {
        let text = |text: &Option<crate::domain::ProviderText>, kept: &str| {
            text.as_ref().map_or(!strictly, |text| text.as_str() == kept)
        };
        let same_initiator =
            found.initiator.is_none_or(|it| (it == Initiator::Merchant) == self.merchant_initiated);
        let same_payment = found.reference.as_str() == self.reference
            && is_money(found.amount, self.amount_minor, &self.currency);
        let same_rest = text(&found.customer_id, &self.customer_id)
            && text(&found.payment_token_id, &self.payment_token_id)
            && same_initiator;
        same_payment && same_rest
    }
}

impl From<&RefundCommand> for KeptRefund {
    fn from(command: &RefundCommand) -> Self {
        Self {
            v: VERSION,
            reference: command.reference.to_string(),
            charge_reference: command.charge_reference.to_string(),
            amount_minor: command.amount.map(Money::amount_minor),
            currency: command.amount.map(|amount| amount.currency().code().to_owned()),
            reason: command.reason.as_ref().map(ToString::to_string),
            actor: None,
            policy: None,
        }
    }
}

impl KeptRefund {
    /// The charge that it gives back.
    #[must_use]
    pub fn charge_reference(&self) -> &str {
        &self.charge_reference
    }

    /// True where `found` is this refund.
    #[must_use]
    pub fn is(&self, found: &Refund) -> bool {
        let same_amount = match (self.amount_minor, &self.currency) {
            (Some(amount), Some(currency)) => is_money(found.amount, amount, currency),
            _ => true,
        };
        found.charge_reference.as_str() == self.charge_reference && same_amount
    }
}

fn money(amount_minor: Option<i64>, currency: Option<&str>) -> Option<Money> {
    Money::new(amount_minor?, Currency::new(currency?).ok()?).ok()
}

fn is_money(money: Money, amount_minor: i64, currency: &str) -> bool {
    money.amount_minor() == amount_minor && money.currency().code() == currency
}

/// The canonical form of a Tokenize: compared under a key, never kept. It has no security code,
/// which may be stored in no form.
#[derive(Serialize)]
struct CanonicalTokenize<'a> {
    v: u8,
    customer_id: &'a str,
    number: &'a str,
    expiry: Option<(u8, u16)>,
    bank_code: Option<&'a str>,
    name: Option<&'a str>,
}

pub(super) fn canonical_tokenize(command: &TokenizeCommand) -> Zeroizing<Vec<u8>> {
    let customer_id = command.customer_id.as_str();
    let canonical = match &command.payment_method {
        PaymentMethod::Card(card) => CanonicalTokenize {
            v: VERSION,
            customer_id,
            number: card.number().expose_secret(),
            expiry: Some((card.expiry_month(), card.expiry_year())),
            bank_code: None,
            name: card.holder_name().map(ExposeSecret::expose_secret),
        },
        PaymentMethod::BankAccount(account) => CanonicalTokenize {
            v: VERSION,
            customer_id,
            number: account.number().expose_secret(),
            expiry: None,
            bank_code: Some(account.bank_code()),
            name: account.name().map(ExposeSecret::expose_secret),
        },
    };
    // Larger than any of these, so that the text is never moved while it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2048));
    // Plain data: writing it into memory cannot fail.
    let _ = serde_json::to_writer(&mut *bytes, &canonical);
    bytes
}

pub(super) fn kept_bytes(command: &KeptCommand) -> Bytes {
    command.bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_kept_command_never_changes() {
        let charge = KeptCommand::Charge(KeptCharge {
            v: VERSION,
            reference: "order-1".into(),
            amount_minor: 125_000,
            currency: "NGN".into(),
            customer_id: "cus_1".into(),
            payment_token_id: "tok_1".into(),
            merchant_initiated: true,
            actor: None,
            policy: None,
        });
        let text = String::from_utf8(charge.bytes()).unwrap();
        assert_eq!(
            text,
            r#"{"kind":"charge","v":1,"reference":"order-1","amount_minor":125000,"currency":"NGN","customer_id":"cus_1","payment_token_id":"tok_1","merchant_initiated":true}"#
        );
        assert_eq!(KeptCommand::read(text.as_bytes()), Some(charge));
        let newer = text.replace(r#""v":1"#, r#""v":2"#);
        assert_eq!(KeptCommand::read(newer.as_bytes()), None);
    }
}
