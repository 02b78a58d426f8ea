//! A line of the audit log.

use std::sync::Arc;

use serde::Serialize;

use crate::domain::Money;
use crate::telemetry::{Beginning, PolicyNote};

/// All fields that there are, in their order; docs/LOGGING.md says what they are.
#[derive(Default, Serialize)]
pub(super) struct Line<'a> {
    pub(super) time: String,
    pub(super) audit: &'static str,
    pub(super) account: &'a str,
    pub(super) environment: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) caller: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) charge_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) customer_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payment_token_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) amount_minor: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) currency: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refund_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule_id: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy_hash: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) begun_earlier: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) begun_actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) begun_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) begun_rule_id: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) begun_policy_hash: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) money_moved: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) moved_minor: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) moved_currency: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stored: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sent: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unsaid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider_request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) act: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stage: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<&'a str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) request_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) trace_id: String,
}

impl<'a> Line<'a> {
    /// With what the policy decided.
    pub(super) fn decided(&mut self, note: &PolicyNote) {
        self.policy = Some(note.verdict);
        self.rule_id = note.rule_id.clone();
        self.policy_hash = Some(note.policy_hash.clone());
    }

    /// With how the payment was begun, by an earlier call.
    pub(super) fn begun(&mut self, beginning: &'a Beginning) {
        let policy = beginning.policy.as_ref();
        self.begun_earlier = Some(true);
        self.begun_actor = beginning.actor.as_ref().map(|it| it.as_str());
        self.begun_policy = policy.map(|note| note.verdict);
        self.begun_rule_id = policy.and_then(|note| note.rule_id.clone());
        self.begun_policy_hash = policy.map(|note| note.policy_hash.clone());
    }

    /// With what has moved: of a refund of all that is left, nobody has asked for an amount.
    pub(super) fn moves(&mut self, money: Option<Money>) {
        self.moved_minor = money.map(|it| it.amount_minor());
        self.moved_currency = money.map(|it| it.currency().code());
    }
}
