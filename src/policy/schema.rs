//! The schema that ships with the program.

use std::sync::LazyLock;

use cedar_policy::Schema;

/// The schema's text, in Cedar's own syntax.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

static READ: LazyLock<Result<Schema, String>> = LazyLock::new(|| {
    let read = Schema::from_cedarschema_str(SCHEMA).map_err(|fault| fault.to_string());
    read.map(|(schema, _warnings)| schema)
});

/// The schema, read once.
pub(super) fn schema() -> Result<&'static Schema, &'static str> {
    READ.as_ref().map_err(String::as_str)
}
