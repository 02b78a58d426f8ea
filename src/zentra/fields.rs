//! Reads the fields of a JSON object of Zentra's, whichever case its names are in.

use serde_json::{Map, Value};

/// An answer that cannot be understood: which part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unreadable: {0}")]
pub(super) struct Unreadable(pub(super) &'static str);

/// A JSON object whose fields are asked for in `snake_case` and found in `camelCase` too.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// Takes an object; anything else is unreadable.
    pub(super) fn of(value: &'a Value, what: &'static str) -> Result<Self, Unreadable> {
        value.as_object().map(Self).ok_or(Unreadable(what))
    }

    /// The field, unless it is missing or null.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).or_else(|| self.0.get(&camel_case(name)?)).filter(|value| !value.is_null())
    }

    /// The first of several names that is there.
    pub(super) fn first(self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| self.get(name))
    }

    /// A text; none where it is missing, empty or no text.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A text without which the object cannot be understood.
    pub(super) fn required_text(self, name: &'static str) -> Result<&'a str, Unreadable> {
        self.text(name).ok_or(Unreadable(name))
    }

    /// A whole number without which the object cannot be understood.
    pub(super) fn required_integer(self, name: &'static str) -> Result<i64, Unreadable> {
        self.get(name).and_then(Value::as_i64).ok_or(Unreadable(name))
    }

    /// An object inside; none where it is missing or no object.
    pub(super) fn object(self, name: &str) -> Option<Self> {
        self.get(name).and_then(Value::as_object).map(Self)
    }
}

/// `created_at` as `createdAt`; none where it reads the same.
fn camel_case(name: &str) -> Option<String> {
    if !name.contains('_') {
        return None;
    }
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    Some(camel)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_cases_are_read_and_null_is_absent() {
        let value = json!({"createdAt": "x", "amount_minor": 5, "id": null, "reason": ""});
        let fields = Fields::of(&value, "object").unwrap();
        assert_eq!(fields.text("created_at"), Some("x"));
        assert_eq!(fields.required_integer("amount_minor"), Ok(5));
        assert_eq!(fields.text("id"), None);
        assert_eq!(fields.text("reason"), None);
        assert_eq!(fields.required_text("reference"), Err(Unreadable("reference")));
    }

    #[test]
    fn amounts_are_whole_numbers_and_nothing_else() {
        for amount in [json!("5"), json!(5.0), json!(5.5), json!(u64::MAX), json!(null), json!([5])]
        {
            let value = json!({"amount_minor": amount});
            let fields = Fields::of(&value, "object").unwrap();
            assert_eq!(fields.required_integer("amount_minor"), Err(Unreadable("amount_minor")));
        }
    }
}
