//! Which attributes of the context rules look at: making the others would be most of a decision's
//! cost.

use serde_json::Value;

/// The attributes that some rules look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The context is looked at as a whole.
    all: bool,
    names: Vec<String>,
}

impl Needs {
    /// Every attribute.
    pub(super) fn all() -> Self {
        Self { all: true, names: Vec::new() }
    }

    /// Those of a rule's conditions, in Cedar's JSON form.
    pub(super) fn of(conditions: &Value) -> Self {
        let mut needs = Self::default();
        needs.walk(conditions);
        needs
    }

    /// Adds another rule's.
    pub(super) fn add(&mut self, other: &Self) {
        self.all |= other.all;
        other.names.iter().for_each(|name| self.note(name));
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all || self.names.iter().any(|it| it == name)
    }

    fn note(&mut self, name: &str) {
        if !self.has(name) {
            self.names.push(name.to_owned());
        }
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                for (operator, operand) in members {
                    let is_access = operator == "." || operator == "has";
                    match operand["attr"].as_str() {
                        Some(name) if is_access && is_context(&operand["left"]) => self.note(name),
                        // Whoever names it otherwise may look at all of it.
                        _ if operator == "Var" && operand == "context" => self.all = true,
                        _ => self.walk(operand),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.walk(value)),
            _ => {}
        }
    }
}

fn is_context(value: &Value) -> bool {
    value["Var"] == "context"
}
