//! What log lines and the audit log read off an error.

use std::sync::Arc;

use super::{Error, MoneyMoved};

/// What refused a call: a rule or a limit of the policy, or an operator's stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// Its name; none where no rule permits the call.
    pub rule_id: Option<Arc<str>>,
    /// What the caller reads: its author's sentence where there is one.
    pub message: Option<Arc<str>>,
    /// The policy, by its content; none of a stop.
    pub policy_hash: Option<Arc<str>>,
}

impl Error {
    /// Whether the key's payment was made, as far as this error tells.
    #[must_use]
    pub fn moved(&self) -> MoneyMoved {
        self.details.money_moved
    }

    /// Whether the call sent anything to Zentra that could have an effect.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        self.details.sent
    }

    /// Says what the policy decided, and by which rule.
    #[must_use]
    pub fn ruled(mut self, ruled: Ruled) -> Self {
        self.details.ruled = Some(ruled);
        self
    }

    /// Names the rule, the limit or the stop that refused, and says what its author wrote for
    /// callers; an empty text says nothing.
    #[must_use]
    pub fn rule(self, id: &str, message: &str) -> Self {
        self.ruled(Ruled {
            rule_id: Some(id.into()),
            message: (!message.is_empty()).then(|| message.into()),
            policy_hash: None,
        })
    }

    /// What the policy decided, where it denied the call.
    #[must_use]
    pub fn policy(&self) -> Option<&Ruled> {
        self.details.ruled.as_ref()
    }

    /// The audit log has a line of this error, or will have one when the work ends.
    #[must_use]
    pub fn audited(mut self) -> Self {
        self.details.is_audited = true;
        self
    }

    /// True where nobody need write a line of it to the audit log any more.
    #[must_use]
    pub fn is_audited(&self) -> bool {
        self.details.is_audited
    }
}
