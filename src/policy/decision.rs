//! What a policy says of a call.

use super::rules::Rule;
use super::{Action, Question};
use crate::domain::Caller;

/// What came of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// A rule permits it, and none forbids it.
    Permitted,
    /// A rule forbids it.
    Forbidden,
    /// No rule permits it.
    NoRule,
    /// A rule could not be evaluated, which denies whatever the others say.
    Failed,
}

/// What the rules say of a call, and which of them did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// What came of it.
    pub verdict: Verdict,
    /// The rules that decided, in the order of files and lines.
    pub rules: Vec<&'a Rule>,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Permitted, Self::Forbidden, Self::NoRule, Self::Failed];

    /// The word in logs, metrics and scenarios.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Forbidden => "forbidden",
            Self::NoRule => "no_rule",
            Self::Failed => "failed",
        }
    }
}

impl Decision<'_> {
    /// True where the call may go on.
    #[must_use]
    pub fn is_permitted(&self) -> bool {
        self.verdict == Verdict::Permitted
    }

    /// The first of the rules that decided.
    #[must_use]
    pub fn rule_id(&self) -> Option<&str> {
        self.rules.first().map(|rule| &*rule.id)
    }

    /// What the caller of a denied call reads.
    #[must_use]
    pub fn message(&self, question: &Question<'_>) -> String {
        let Question { caller, action, .. } = question;
        match (self.verdict, self.rules.first()) {
            (Verdict::Failed, _) => "the rule could not be evaluated".to_owned(),
            (Verdict::NoRule, _) => no_rule(caller, *action),
            (_, Some(Rule { message: Some(message), .. })) => message.to_string(),
            (_, Some(rule)) => format!("the rule {} decides so", rule.id),
            (_, None) => String::new(),
        }
    }
}

fn no_rule(caller: &Caller, action: Action) -> String {
    format!("no rule permits {caller} to {}", action.as_str())
}
