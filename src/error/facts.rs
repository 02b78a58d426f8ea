//! What log lines and the audit log read off an error.

use std::sync::Arc;

use super::{Error, MoneyMoved, Reason};

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

/// Where there was no room for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// Among the calls at work, when it came.
    Door,
    /// Among them again, after it had only waited.
    Wait,
    /// At Zentra, before its time was over.
    Queue,
    /// Among the calls of health and reflection.
    Aside,
}

impl Overload {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Door, Self::Wait, Self::Queue, Self::Aside];

    /// The word in the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Door => "door",
            Self::Wait => "wait",
            Self::Queue => "queue",
            Self::Aside => "aside",
        }
    }
}

impl Error {
    /// `OVERLOADED`, and where.
    #[must_use]
    pub fn overloaded(at: Overload) -> Self {
        let mut error = Self::new(Reason::Overloaded);
        error.details.overload = Some(at);
        error
    }

    /// Where there was no room; none of any other error.
    #[must_use]
    pub fn overload(&self) -> Option<Overload> {
        self.details.overload
    }

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
