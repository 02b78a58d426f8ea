//! Reads the fields of a JSON object and collects **every** fault, not only the first.

use serde_json::{Map, Value};

/// What is wrong with one field. Holds nothing of the value: it may be a card number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field's path, such as `card.number`.
    pub field: String,
    /// `missing_required_field`, `invalid_format` or `validation_error`.
    pub code: &'static str,
    /// What is expected.
    pub message: String,
}

/// What a text may be.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    most: usize,
    allowed: fn(char) -> bool,
    expected: &'static str,
}

impl Text {
    /// A reference or an id.
    pub const ID: Self = Self {
        most: 128,
        allowed: |c| c.is_ascii_alphanumeric() || "_.:-".contains(c),
        expected: "1 to 128 letters, digits, '_', '.', ':' or '-'",
    };
    /// An idempotency key.
    pub const KEY: Self = Self {
        most: 255,
        allowed: |c| c.is_ascii_graphic(),
        expected: "1 to 255 visible ASCII characters",
    };
    /// A text for people.
    pub const FREE: Self = Self {
        most: 255,
        allowed: |c| !c.is_control(),
        expected: "1 to 255 characters without control characters",
    };
    /// A URL, a secret or a body given to the control API.
    pub const LONG: Self =
        Self { most: 65_536, allowed: |_| true, expected: "a text of at most 65536 characters" };
    /// A number written in digits.
    pub const DIGITS: Self =
        Self { most: 34, allowed: |c| c.is_ascii_digit(), expected: "digits only" };
}

/// The fields of one object. Whatever is taken with a fault gives the type's default.
#[derive(Debug)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    prefix: &'static str,
    taken: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl<'a> Fields<'a> {
    /// Reads `map`; `prefix` (such as `card.`) goes before the names in the faults.
    #[must_use]
    pub fn new(map: &'a Map<String, Value>, prefix: &'static str) -> Self {
        Self { map, prefix, taken: Vec::new(), faults: Vec::new() }
    }

    /// The value of a field; absent and null are the same.
    pub fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.taken.push(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Adds a fault.
    pub fn fault(&mut self, name: &str, code: &'static str, message: impl Into<String>) {
        let field = format!("{}{name}", self.prefix);
        self.faults.push(Fault { field, code, message: message.into() });
    }

    /// Says that a field has not the expected form.
    pub fn malformed(&mut self, name: &str, expected: &str) {
        self.fault(name, "invalid_format", format!("must be {expected}"));
    }

    /// Says that a field is missing.
    pub fn missing(&mut self, name: &str) {
        self.fault(name, "missing_required_field", "is required");
    }

    /// A text that may be absent.
    pub fn text(&mut self, name: &'static str, rule: Text) -> Option<String> {
        let value = self.take(name)?;
        let text = value.as_str().filter(|text| {
            (1..=rule.most).contains(&text.chars().count()) && text.chars().all(rule.allowed)
        });
        if text.is_none() {
            self.malformed(name, rule.expected);
        }
        text.map(str::to_owned)
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &'static str, rule: Text) -> String {
        self.require(name);
        self.text(name, rule).unwrap_or_default()
    }

    /// A whole number from 1 to 2⁶³−1 that may be absent.
    pub fn amount(&mut self, name: &'static str) -> Option<i64> {
        let value = self.take(name)?;
        let Some(amount) = value.as_i64() else {
            self.malformed(name, "a whole number of minor units");
            return None;
        };
        if amount <= 0 {
            self.fault(name, "validation_error", "must be greater than 0");
        }
        Some(amount)
    }

    /// A whole number within a range (both ends included), as a number or in digits.
    pub fn whole(&mut self, name: &'static str, range: (u64, u64)) -> Option<u64> {
        let value = self.take(name)?;
        let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        let number = number.filter(|number| (range.0..=range.1).contains(number));
        if number.is_none() {
            self.malformed(name, &format!("a whole number from {} to {}", range.0, range.1));
        }
        number
    }

    /// A yes or no that may be absent.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let value = self.take(name)?;
        if value.as_bool().is_none() {
            self.malformed(name, "true or false");
        }
        value.as_bool()
    }

    /// One of some words, which may be absent.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let value = self.take(name)?;
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.malformed(name, &format!("one of {}", words.join(", ")));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// A list of texts that may be absent.
    pub fn texts(&mut self, name: &'static str, most: usize) -> Option<Vec<String>> {
        let value = self.take(name)?;
        let texts = value.as_array().filter(|list| list.len() <= most).and_then(|list| {
            list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        if texts.is_none() {
            self.malformed(name, &format!("a list of at most {most} texts"));
        }
        texts
    }

    /// An object inside this one; where it is missing, says so and reads an empty one.
    pub fn required_object(
        &mut self,
        name: &'static str,
        empty: &'a Map<String, Value>,
    ) -> &'a Map<String, Value> {
        match self.take(name) {
            None => self.missing(name),
            Some(Value::Object(map)) => return map,
            Some(_) => self.malformed(name, "an object"),
        }
        empty
    }

    /// Says that a field is missing, if it is.
    pub fn require(&mut self, name: &'static str) {
        if self.map.get(name).is_none_or(Value::is_null) {
            self.missing(name);
        }
    }

    /// Takes over the faults found by another reader.
    pub fn absorb(&mut self, other: Vec<Fault>) {
        self.faults.extend(other);
    }

    /// The faults; fields that were never taken are left alone, as most APIs do.
    #[must_use]
    pub fn finish(self) -> Vec<Fault> {
        self.faults
    }

    /// The faults, with one for each field that was never taken.
    #[must_use]
    pub fn finish_strict(mut self) -> Vec<Fault> {
        let unknown = self.map.keys().filter(|name| !self.taken.contains(&name.as_str()));
        for name in unknown.cloned().collect::<Vec<_>>() {
            let known = self.taken.join(", ");
            self.fault(&name, "validation_error", format!("is not known here; known: {known}"));
        }
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_reported_at_once() {
        let json = serde_json::json!({"amount": 1.5, "flag": "yes", "odd": 1, "id": "a b"});
        let mut fields = Fields::new(json.as_object().unwrap(), "");
        fields.amount("amount");
        fields.flag("flag");
        fields.text("id", Text::ID);
        fields.required_text("name", Text::FREE);
        let faults = fields.finish_strict();
        let named: Vec<_> = faults.iter().map(|f| (f.field.as_str(), f.code)).collect();
        assert_eq!(
            named,
            [
                ("amount", "invalid_format"),
                ("flag", "invalid_format"),
                ("id", "invalid_format"),
                ("name", "missing_required_field"),
                ("odd", "validation_error"),
            ]
        );
    }
}
