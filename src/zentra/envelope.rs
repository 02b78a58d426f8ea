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
            .map(ProviderText::word);
        // An envelope that does not say that it went well is not taken for one that did.
        let said_to_fail = fields.get("success").is_some_and(|it| it != &Value::Bool(true))
            || fields.get("status").is_some_and(is_failure);
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
        let pagination = object.remove("pagination").filter(|it| !it.is_null());
        Ok(Self { request_id, content: Content::Data { data, pagination } })
    }
}

/// Whether an envelope's `status` says that the request failed. Only `success` is documented;
/// any other word leaves it to the data to be what was asked for.
fn is_failure(status: &Value) -> bool {
    match status {
        Value::Bool(good) => !good,
        Value::String(word) => {
            ["error", "fail", "failed", "failure"].iter().any(|it| word.eq_ignore_ascii_case(it))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::ListPage;
    use crate::zentra::{paging, wire};

    fn data(body: &Value) -> Option<Value> {
        match Envelope::open(body.to_string().as_bytes()).ok()?.content {
            Content::Data { data, .. } => Some(data),
            Content::Error { .. } => None,
        }
    }

    #[test]
    fn only_an_envelope_that_does_not_speak_of_failure_holds_data() {
        for good in [
            json!({"success": true, "data": 1}),
            json!({"status": "success", "data": 1}),
            json!({"data": 1, "meta": {"requestId": "req_1"}}),
            json!({"success": true, "data": 1, "error": null}),
        ] {
            assert_eq!(data(&good), Some(json!(1)), "{good}");
        }
        for bad in [
            json!({"success": false, "data": 1}),
            json!({"success": "false", "data": 1}),
            json!({"success": 0, "data": 1}),
            json!({"status": "error", "data": 1}),
            json!({"status": "FAILED", "data": 1}),
            json!({"status": false, "data": 1}),
            json!({"data": 1, "error": {"code": "not_found"}}),
            json!({"data": null}),
            json!({"success": true}),
            json!([{"data": 1}]),
            json!("data"),
        ] {
            assert_eq!(data(&bad), None, "{bad}");
        }
    }

    /// Any JSON, with names that the readers know among its names.
    fn any_json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            prop::sample::select(vec![
                "data",
                "error",
                "success",
                "status",
                "meta",
                "pagination",
                "items",
                "code",
                "id",
                "reference",
                "amount_minor",
                "amountMinor",
                "currency",
                "created_at",
                "card",
                "details",
                "retry_after",
                "has_more",
                "total",
                "pages",
                "next_action",
                "requestId",
            ])
            .prop_map(str::to_owned),
            "\\PC{0,5}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,20}|https?://\\PC{0,9}|[0-9]{4}-[0-9]{2}-[0-9]{2}T00:00:00Z|success"
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(name.clone(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_body_makes_a_reader_panic(body in any_json()) {
            let page = ListPage { number: 1, size: 20 };
            for value in [Some(body.clone()), data(&body)].into_iter().flatten() {
                let _ = wire::charge(&value);
                let _ = wire::refund(&value);
                let _ = wire::token(&value);
                let _ = paging::read(&value, Some(&body), page, wire::charge);
                let _ = paging::read(&value, None, page, wire::token);
            }
        }

        #[test]
        fn no_bytes_make_the_envelope_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Envelope::open(&body);
        }
    }
}
