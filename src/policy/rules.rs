//! Rules as they are read: parsed, checked against the schema, and taken apart.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, ValidationMode, Validator};
use serde_json::json;

use super::complaint::{Complaints, Source};
use super::needs::Needs;
use super::scan::{Statement, scan};
use super::schema::schema;

/// The most rules of a policy.
const MOST_RULES: usize = 1000;
/// The most words and signs of one rule, and brackets within one another. Cedar's parser has no
/// bounds of its own: it would run out of stack, and its checks take the square of a rule's length.
const MOST_WORDS: usize = 500;
const MOST_DEPTH: usize = 50;
/// The longest message of a rule, in characters.
pub(super) const LONGEST_MESSAGE: usize = 200;

/// One rule, as operators and callers are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its `@id`; where it has none, its file's name and its number there, such as `checkout#2`.
    pub id: Arc<str>,
    /// Its `@message`.
    pub message: Option<Arc<str>>,
    /// True where it forbids.
    pub forbids: bool,
    /// Its file.
    pub file: String,
    /// Its line there, from 1.
    pub line: usize,
}

/// All rules of a policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// In the order of files and lines.
    pub(super) list: Vec<Rule>,
    /// The same rules taken apart, in the same order.
    pub(super) parts: Vec<Parts>,
}

/// A rule taken apart. Who, what and where stays the same over many calls, so that Cedar is asked
/// once whether a rule's scope fits; what is left to each call is its conditions.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// Permits within the rule's scope, whatever the rule itself does and asks for.
    pub(super) scope: Policy,
    /// The rule without its scope.
    pub(super) conditions: Policy,
    /// What the conditions look at.
    pub(super) needs: Needs,
}

impl Rules {
    /// Reads every file; whatever is wrong with any goes to `complaints`.
    pub(super) fn read(files: &[(String, String)], complaints: &mut Complaints) -> Self {
        let mut rules = Self::default();
        let schema = match schema() {
            Ok(schema) => schema,
            Err(fault) => {
                complaints.about("the schema of this program", fault);
                return rules;
            }
        };
        let validator = Validator::new(schema.clone());
        let mut places = BTreeMap::new();
        for (file, text) in files {
            let source = Source { file, text };
            let statements = scan(text);
            if !is_bounded(&statements, source, complaints) {
                continue;
            }
            let set = match PolicySet::from_str(text) {
                Ok(set) => set,
                Err(faults) => {
                    faults.iter().for_each(|fault| complaints.of(source, fault));
                    continue;
                }
            };
            // Where the two disagree a rule could be left out, and a forbid with it.
            let parsed = set.policies().count() + set.templates().count();
            if parsed != statements.len() {
                let text = format!(
                    "has {parsed} rules to Cedar and {} to this program; write it with plain spaces \
                     and line ends",
                    statements.len()
                );
                complaints.about(file, text);
                continue;
            }
            validate(&validator, &set, source, complaints);
            rules.take(&set, &statements, source, &mut places, complaints);
        }
        rules
    }

    /// Names the rules of a file, and takes them apart.
    fn take(
        &mut self,
        set: &PolicySet,
        statements: &[Statement],
        source: Source<'_>,
        places: &mut BTreeMap<String, String>,
        complaints: &mut Complaints,
    ) {
        // Cedar numbers what it parses: policy0, policy1 and so on.
        for (number, Statement { start, .. }) in statements.iter().enumerate() {
            let (start, called) = (*start, PolicyId::new(format!("policy{number}")));
            let Some(policy) = set.policy(&called) else {
                if set.template(&called).is_some() {
                    let text = "is a template (?principal or ?resource); write a rule";
                    complaints.at(source, start, text);
                }
                continue;
            };
            if self.list.len() == MOST_RULES {
                complaints.at(source, start, format!("one more rule: {MOST_RULES} are the most"));
            }
            let stem = source.file.strip_suffix(".cedar").unwrap_or(source.file);
            let id = policy.annotation("id").map(str::to_owned);
            let id = id.unwrap_or_else(|| format!("{stem}#{}", number + 1));
            let message = policy.annotation("message").map(Arc::from);
            let line = source.text[..start].matches('\n').count() + 1;
            check_annotations(policy, source, start, complaints);
            if let Some(other) = places.insert(id.clone(), format!("{}:{line}", source.file)) {
                complaints.at(source, start, format!("the id \"{id}\" is that of {other} too"));
                continue;
            }
            match take_apart(policy, &PolicyId::new(self.list.len().to_string())) {
                Ok(parts) => self.parts.push(parts),
                Err(fault) => complaints.at(source, start, fault),
            }
            let forbids = policy.effect() == Effect::Forbid;
            let id = id.into();
            self.list.push(Rule { id, message, forbids, file: source.file.to_owned(), line });
        }
    }

    /// The rule that Cedar calls by this id.
    pub(super) fn of(&self, id: &PolicyId) -> Option<(usize, &Rule)> {
        let number = AsRef::<str>::as_ref(id).parse().ok()?;
        Some((number, self.list.get(number)?))
    }
}

fn is_bounded(statements: &[Statement], source: Source<'_>, complaints: &mut Complaints) -> bool {
    let is_good = |it: &Statement| it.words <= MOST_WORDS && it.depth <= MOST_DEPTH;
    for Statement { start, .. } in statements.iter().filter(|it| !is_good(it)) {
        let text = format!(
            "the rule has more than {MOST_WORDS} words and operators, or more than {MOST_DEPTH} \
             brackets within one another"
        );
        complaints.at(source, *start, text);
    }
    statements.iter().all(is_good)
}

fn validate(
    validator: &Validator,
    set: &PolicySet,
    source: Source<'_>,
    complaints: &mut Complaints,
) {
    let result = validator.validate(set, ValidationMode::Strict);
    result.validation_errors().for_each(|fault| complaints.of(source, fault));
    // A rule that can never apply, or an identifier that only looks like another: nobody means it.
    result.validation_warnings().for_each(|fault| complaints.of(source, fault));
}

fn check_annotations(
    policy: &Policy,
    source: Source<'_>,
    start: usize,
    complaints: &mut Complaints,
) {
    for (name, value) in policy.annotations() {
        let fault = match name {
            "id" if !is_name(value) => {
                "an @id must be 1 to 64 characters of A-Z a-z 0-9 _ . -".to_owned()
            }
            "message" if !is_message(value) => format!(
                "a @message must be 1 to {LONGEST_MESSAGE} characters without control characters"
            ),
            "id" | "message" => continue,
            _ => format!("@{name} is not known: rules have @id and @message"),
        };
        complaints.at(source, start, fault);
    }
}

/// What rules and limits may be called, as it stands in logs and metrics.
pub(super) fn is_name(text: &str) -> bool {
    let is_known = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.' | b'-');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(is_known)
}

/// What callers may be told.
pub(super) fn is_message(text: &str) -> bool {
    let length = text.chars().count();
    (1..=LONGEST_MESSAGE).contains(&length) && !text.chars().any(char::is_control)
}

fn take_apart(policy: &Policy, id: &PolicyId) -> Result<Parts, String> {
    let mut conditions = policy.to_json().map_err(|fault| fault.to_string())?;
    let mut scope = conditions.clone();
    let needs = Needs::of(&conditions["conditions"]);
    for part in ["principal", "action", "resource"] {
        conditions[part] = json!({ "op": "All" });
    }
    scope["conditions"] = json!([]);
    scope["effect"] = json!("permit");
    let read = |json| Policy::from_json(Some(id.clone()), json).map_err(|fault| fault.to_string());
    Ok(Parts { scope: read(scope)?, conditions: read(conditions)?, needs })
}
