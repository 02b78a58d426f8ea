//! What an HTTP answer of Zentra's means: a pure function. Silence means doubt.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use super::envelope::{Content, Envelope, KnownCode};
use super::fields::Unreadable;
use super::routes::Route;
use super::trouble::{Trouble, TroubleKind};
use super::wire;
use crate::domain::ProviderText;
use crate::error::ProviderNote;
use crate::retry_after::{LONGEST_WAIT, retry_after};

/// A good answer: what was in the envelope.
pub(super) struct Opened {
    pub(super) data: serde_json::Value,
    pub(super) pagination: Option<serde_json::Value>,
    pub(super) note: ProviderNote,
}

/// Reads an answer.
///
/// A refusal counts only in Zentra's own error form: a proxy on the way that answers 404 or 422
/// knows nothing of payments.
pub(super) fn classify(
    route: Route<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Opened, Trouble> {
    let opened = Envelope::open(body);
    let in_header = headers.get(wire::REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
    let request_id = match &opened {
        Ok(Envelope { request_id: Some(id), .. }) => Some(id.clone()),
        _ => in_header.map(ProviderText::word),
    };
    let mut note = ProviderNote { request_id, code: None, http_status: Some(status.as_u16()) };
    match opened.map(|envelope| envelope.content) {
        Ok(Content::Data { data, pagination })
            if matches!(status, StatusCode::OK | StatusCode::CREATED) =>
        {
            Ok(Opened { data, pagination, note })
        }
        Ok(Content::Data { .. }) => {
            let detail = format!("HTTP {} with data", status.as_u16());
            Err(Trouble::new(TroubleKind::Doubt, detail).with_provider(note))
        }
        Ok(Content::Error { code, retry_after_seconds }) => {
            note.code = code.map(|(code, _)| code);
            let in_body = retry_after_seconds.map(Duration::from_secs);
            let retry_after = retry_after(headers, now).or(in_body).map(|it| it.min(LONGEST_WAIT));
            let kind = refusal(route, status, code);
            let detail = format!("HTTP {}", status.as_u16());
            Err(Trouble::new(kind, detail).with_provider(note).with_asked_wait(retry_after))
        }
        // A load balancer may say "too many" in its own words; whoever does has passed nothing on.
        Err(_) if status == StatusCode::TOO_MANY_REQUESTS => {
            let trouble = Trouble::new(TroubleKind::RateLimited, "HTTP 429").with_provider(note);
            Err(trouble.with_asked_wait(retry_after(headers, now)))
        }
        Err(Unreadable(part)) => {
            let detail = format!("HTTP {} with an unreadable body ({part})", status.as_u16());
            let trouble = Trouble::new(TroubleKind::Doubt, detail).with_provider(note);
            Err(trouble.with_asked_wait(retry_after(headers, now)))
        }
    }
}

/// What an error answer says about the effect of its request.
fn refusal(route: Route<'_>, status: StatusCode, code: Option<KnownCode>) -> TroubleKind {
    let meaning = code.and_then(|(_, meaning)| meaning);
    let decline =
        code.filter(|_| route.can_be_declined()).and_then(|(code, _)| wire::decline(code));
    match status {
        StatusCode::TOO_MANY_REQUESTS => TroubleKind::RateLimited,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => TroubleKind::Unauthorized,
        StatusCode::NOT_FOUND => TroubleKind::NotFound,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => match (decline, meaning) {
            (Some(failure), _) => TroubleKind::Declined(failure),
            (None, Some(meaning)) => meaning,
            (None, None) => TroubleKind::Rejected,
        },
        StatusCode::CONFLICT | StatusCode::PAYMENT_REQUIRED => match (decline, meaning) {
            (Some(failure), _) => TroubleKind::Declined(failure),
            (None, Some(meaning)) => meaning,
            (None, None) => TroubleKind::Doubt,
        },
        _ => TroubleKind::Doubt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FailureCode;

    fn kind(route: Route<'_>, status: u16, body: &str) -> TroubleKind {
        let status = StatusCode::from_u16(status).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        classify(route, status, &HeaderMap::new(), body.as_bytes(), now).err().unwrap().kind
    }

    fn error(code: &str) -> String {
        format!(r#"{{"success":false,"error":{{"code":"{code}","message":"m"}}}}"#)
    }

    #[test]
    fn refusals_are_told_apart_by_status_and_code() {
        use TroubleKind as Kind;
        for (status, code, expected) in [
            (400, "validation_error", Kind::Rejected),
            (422, "something_new", Kind::Rejected),
            (422, "card_declined", Kind::Declined(FailureCode::CardDeclined)),
            (400, "INSUFFICIENT_FUNDS", Kind::Declined(FailureCode::InsufficientFunds)),
            (402, "do_not_honor", Kind::Declined(FailureCode::CardDeclined)),
            (402, "something_new", Kind::Doubt),
            (401, "wrong_environment", Kind::Unauthorized),
            (403, "insufficient_permissions", Kind::Unauthorized),
            (404, "not_found", Kind::NotFound),
            (409, "idempotency_key_in_use", Kind::InProgress),
            (409, "idempotency_key_mismatch", Kind::KeyReused),
            (422, "idempotency_key_mismatch", Kind::KeyReused),
            (409, "duplicate_reference", Kind::DuplicateReference),
            (422, "token_not_ready", Kind::TokenNotReady),
            (409, "something_new", Kind::Doubt),
            (429, "rate_limit_exceeded", Kind::RateLimited),
            (500, "not_found", Kind::Doubt),
            (503, "card_declined", Kind::Doubt),
            (408, "validation_error", Kind::Doubt),
            (302, "validation_error", Kind::Doubt),
            (200, "validation_error", Kind::Doubt),
        ] {
            assert_eq!(
                kind(Route::CreateCharge, status, &error(code)),
                expected,
                "{status} {code}"
            );
        }
    }

    #[test]
    fn only_a_charge_can_be_declined() {
        assert_eq!(
            kind(Route::CreateRefund, 422, &error("insufficient_balance")),
            TroubleKind::Rejected
        );
        assert_eq!(kind(Route::TokenizeCard, 422, &error("card_declined")), TroubleKind::Rejected);
    }

    #[test]
    fn a_refusal_in_foreign_words_is_doubt() {
        for body in ["", "<html>404</html>", "{}", "[]", r#"{"message":"no"}"#, r#"{"data":{}}"#] {
            for status in [200, 201, 204, 301, 400, 401, 403, 404, 409, 422, 500, 502] {
                if status < 202 && body.contains("data") {
                    continue;
                }
                assert_eq!(
                    kind(Route::CreateCharge, status, body),
                    TroubleKind::Doubt,
                    "{status} {body}"
                );
            }
        }
        assert_eq!(kind(Route::CreateCharge, 429, "slow down"), TroubleKind::RateLimited);
    }

    #[test]
    fn only_known_codes_are_passed_on() {
        let answer = |code: &str| {
            let body = error(code);
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            classify(
                Route::CreateCharge,
                status,
                &HeaderMap::new(),
                body.as_bytes(),
                Timestamp::UNIX_EPOCH,
            )
            .err()
            .unwrap()
        };
        assert_eq!(answer("VALIDATION_ERROR").provider.code, Some("validation_error"));
        for code in ["4111111111111111", "sk_live_abc", "new_code"] {
            let trouble = answer(code);
            assert_eq!(trouble.provider.code, None);
            assert!(!format!("{trouble:?}").contains(code));
        }
    }
}
