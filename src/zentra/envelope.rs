//! Opens the envelopes that Zentra's documentation shows, which contradict each other: all are
//! accepted.

use serde_json::Value;

use super::fields::{Fields, Unreadable};
use super::wire;
use crate::domain::ProviderText;

/// An opened answer.
pub(super) struct Envelope {
    /// Zentra's id of the request, where the body carries it.
    pub(super) request_id: Option<ProviderText>,
    /// What was inside.
    pub(super) content: Content,
}

/// What was inside an envelope.
pub(super) enum Content {
    /// A value, with the pagination that stood beside it.
    Data { data: Value, pagination: Option<Value> },
    /// An error, with its code where it is one that this release knows.
    Error { code: Option<KnownCode>, retry_after_seconds: Option<u64> },
}

/// A code that this release knows, with what it means beyond the HTTP status.
pub(super) type KnownCode = (&'static str, Option<super::TroubleKind>);

impl Envelope {
    /// Opens a body.
    ///
    /// # Errors
    /// [`Unreadable`] where it is no JSON object, or holds neither data nor error, or both.
    pub(super) fn open(body: &[u8]) -> Result<Self, Unreadable> {
        let mut value: Value = serde_json::from_slice(body).map_err(|_| Unreadable("JSON"))?;
        let fields = Fields::of(&value, "envelope")?;
        let request_id = fields
            .object("meta")
            .and_then(|meta| meta.text("request_id"))
            .or_else(|| fields.text("request_id"))
            .map(ProviderText::new);
        let said_to_fail = fields.get("success").is_some_and(|it| it == &Value::Bool(false))
            || fields.text("status") == Some("error");
        if let Some(error) = fields.object("error") {
            if fields.get("data").is_some() {
                return Err(Unreadable("both data and error"));
            }
            let retry_after_seconds = error
                .object("details")
                .and_then(|details| details.get("retry_after"))
                .and_then(Value::as_u64);
            let code = error.text("code").and_then(wire::known_code);
            return Ok(Self { request_id, content: Content::Error { code, retry_after_seconds } });
        }
        if said_to_fail {
            return Err(Unreadable("error"));
        }
        let object = value.as_object_mut().ok_or(Unreadable("envelope"))?;
        let data =
            object.remove("data").filter(|data| !data.is_null()).ok_or(Unreadable("data"))?;
        let pagination = object.remove("pagination");
        Ok(Self { request_id, content: Content::Data { data, pagination } })
    }
}
