//! Reads control requests. Every fault is reported, fields that are not known are too.

use std::time::Duration;

use http::Uri;
use serde_json::{Map, Value};

use super::{Refused, Result};
use crate::simulator::core::{
    Action, DeclineForm, EnvelopeForm, Fault, FieldFault, Fields, RefundReference, ResendOrder,
    Route, SettingsChange, SignatureForm, Tamper, Text,
};

/// The longest time that may be named: ten years.
const MOST_MS: u64 = 315_360_000_000;
const MOST_FAULTS_AT_ONCE: usize = 100;
const BILLION: u64 = 1_000_000_000;

fn done<T>(fields: Fields<'_>, value: T) -> Result<T> {
    let faults = fields.finish_strict();
    if faults.is_empty() { Ok(value) } else { Err(Refused::Fields(faults)) }
}

/// A body with no fields.
pub(super) fn nothing(body: &Map<String, Value>) -> Result<()> {
    done(Fields::new(body, ""), ())
}

/// `{"advance_ms": …}` or `{"advance_seconds": …}`.
pub(super) fn advance(body: &Map<String, Value>) -> Result<Duration> {
    let mut fields = Fields::new(body, "");
    let ms = fields.whole("advance_ms", (0, MOST_MS)).map(Duration::from_millis);
    let seconds = fields.whole("advance_seconds", (0, MOST_MS / 1000)).map(Duration::from_secs);
    done(fields, ms.unwrap_or_default() + seconds.unwrap_or_default())
}

/// Which events to send again.
pub(super) struct Resend {
    pub(super) event_id: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) copies: u32,
    pub(super) order: ResendOrder,
}

pub(super) fn resend(body: &Map<String, Value>) -> Result<Resend> {
    let mut fields = Fields::new(body, "");
    let words = [("as_made", ResendOrder::AsMade), ("reversed", ResendOrder::Reversed)];
    let resend = Resend {
        event_id: fields.text("event_id", Text::ID),
        kind: fields.text("type", Text::ID),
        copies: number(&mut fields, "copies", 100).unwrap_or(1),
        order: fields.word("order", &words).unwrap_or_default(),
    };
    done(fields, resend)
}

/// Which charge to settle, and how.
pub(super) struct Settle {
    pub(super) reference: String,
    pub(super) status: String,
    pub(super) failure_code: Option<String>,
}

pub(super) fn settle(body: &Map<String, Value>) -> Result<Settle> {
    let mut fields = Fields::new(body, "");
    let settle = Settle {
        reference: fields.required_text("reference", Text::ID),
        status: fields.text("status", Text::ID).unwrap_or_else(|| "successful".to_owned()),
        failure_code: fields.text("failure_code", Text::ID),
    };
    done(fields, settle)
}

pub(super) fn settings(body: &Map<String, Value>) -> Result<SettingsChange> {
    let mut fields = Fields::new(body, "");
    let forms = [("a", EnvelopeForm::A), ("b", EnvelopeForm::B), ("c", EnvelopeForm::C)];
    let signatures = [("hex", SignatureForm::Hex), ("timestamped", SignatureForm::Timestamped)];
    let declines = [("object", DeclineForm::Object), ("error", DeclineForm::Error)];
    let references = [("caller", RefundReference::Caller), ("own", RefundReference::Own)];
    let change = SettingsChange {
        secret_keys: fields.texts("secret_keys", 10),
        expired_keys: fields.texts("expired_keys", 10),
        envelope: fields.word("envelope", &forms),
        dedupe_by_key: fields.flag("dedupe_by_key"),
        dedupe_by_reference: fields.flag("dedupe_by_reference"),
        key_retention: fields
            .whole("key_retention_seconds", (0, MOST_MS / 1000))
            .map(Duration::from_secs),
        requests_per_minute: number(&mut fields, "requests_per_minute", BILLION),
        declines: fields.word("declines", &declines),
        refund_reference: fields.word("refund_reference", &references),
        check_refunds: fields.flag("check_refunds"),
        webhook_url: webhook_url(&mut fields),
        webhook_secret: fields.text("webhook_secret", Text::LONG),
        webhook_signature: fields.word("webhook_signature", &signatures),
        webhook_hold: fields.flag("webhook_hold"),
        webhook_attempts: number(&mut fields, "webhook_attempts", 100),
        webhook_backoff: milliseconds(&mut fields, "webhook_backoff_ms"),
    };
    done(fields, change)
}

/// A URL, or an empty text to switch deliveries off.
fn webhook_url(fields: &mut Fields<'_>) -> Option<String> {
    let value = fields.take("webhook_url")?;
    let good = |text: &str| {
        text.is_empty()
            || text.parse::<Uri>().is_ok_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
            })
    };
    let url = value.as_str().filter(|text| good(text));
    if url.is_none() {
        fields.malformed("webhook_url", "an http or https URL, or empty to switch it off");
    }
    url.map(str::to_owned)
}

/// One fault, or `{"faults": […]}` with several; none is added if any of them is wrong.
pub(super) fn faults(body: &[u8]) -> Result<Vec<Fault>> {
    let body: Map<String, Value> = serde_json::from_slice(body).map_err(|_| Refused::Body)?;
    let Some(list) = body.get("faults") else {
        return fault(&body).map(|fault| vec![fault]).map_err(Refused::Fields);
    };
    let mut fields = Fields::new(&body, "");
    fields.take("faults");
    let list = list.as_array().filter(|list| list.len() <= MOST_FAULTS_AT_ONCE);
    if list.is_none() {
        fields.malformed("faults", "a list of at most 100 faults");
    }
    let mut read = Vec::new();
    for (number, item) in list.into_iter().flatten().enumerate() {
        let name = format!("faults[{number}]");
        let Some(item) = item.as_object() else {
            fields.malformed(&name, "an object");
            continue;
        };
        match fault(item) {
            Ok(fault) => read.push(fault),
            Err(faults) => fields.absorb(
                faults
                    .into_iter()
                    .map(|f| FieldFault { field: format!("{name}.{}", f.field), ..f })
                    .collect(),
            ),
        }
    }
    done(fields, read)
}

fn fault(body: &Map<String, Value>) -> std::result::Result<Fault, Vec<FieldFault>> {
    let mut fields = Fields::new(body, "");
    let routes: Vec<(&str, Option<Route>)> = Route::ALL
        .into_iter()
        .map(|route| (route.name(), Some(route)))
        .chain([("any", None)])
        .collect();
    let route = fields.word("route", &routes).flatten();
    let reference = fields.text("reference", Text::ID);
    let key = fields.text("key", Text::KEY);
    let skip = number(&mut fields, "skip", BILLION).unwrap_or(0);
    let probability = fields.take("probability").map(|value| {
        value.as_f64().filter(|p| (0.0..=1.0).contains(p)).unwrap_or_else(|| {
            fields.malformed("probability", "a number from 0 to 1");
            0.0
        })
    });
    let times = number(&mut fields, "times", BILLION);
    let times = times.unwrap_or(u32::from(probability.is_none()));
    let action = action(&mut fields);
    let faults = fields.finish_strict();
    match action {
        Some(action) if faults.is_empty() => {
            Ok(Fault { route, reference, key, skip, times, probability, action })
        }
        _ => Err(faults),
    }
}

/// The fields of a kind. `None` where a fault has been noted.
fn action(fields: &mut Fields<'_>) -> Option<Action> {
    const KINDS: [&str; 12] = [
        "delay_before",
        "delay_after",
        "status",
        "reset_before",
        "reset_after",
        "answer_lost",
        "late_effect",
        "truncated",
        "not_json",
        "huge",
        "redirect",
        "wrong",
    ];
    fields.require("kind");
    let kind = fields.word("kind", &KINDS.map(|kind| (kind, kind)))?;
    Some(match kind {
        "delay_before" => Action::DelayBefore(required_ms(fields, "ms")),
        "delay_after" => Action::DelayAfter(required_ms(fields, "ms")),
        "status" => Action::Status {
            status: required_status(fields, (200, 599)),
            effect: fields.flag("effect").unwrap_or(false),
            code: fields.text("code", Text::ID),
            body: fields.text("body", Text::LONG),
            retry_after: fields.text("retry_after", Text::FREE),
        },
        "reset_before" => Action::ResetBefore,
        "reset_after" => Action::ResetAfter,
        "answer_lost" => Action::AnswerLost { close_after: milliseconds(fields, "close_after_ms") },
        "late_effect" => Action::LateEffect {
            after: required_ms(fields, "after_ms"),
            status: status(fields, (200, 599)),
            lock: fields.flag("lock").unwrap_or(false),
        },
        "truncated" => {
            let keep = fields.whole("keep_bytes", (0, BILLION));
            Action::Truncated { keep: keep.and_then(|keep| usize::try_from(keep).ok()) }
        }
        "not_json" => Action::NotJson { body: fields.text("body", Text::LONG) },
        "huge" => {
            fields.require("bytes");
            Action::Huge { bytes: fields.whole("bytes", (0, 1 << 30)).unwrap_or_default() }
        }
        "redirect" => Action::Redirect {
            status: status(fields, (300, 399)).unwrap_or(302),
            location: fields.required_text("location", Text::FREE),
            effect: fields.flag("effect").unwrap_or(false),
        },
        _ => Action::Wrong(wrong(fields)?),
    })
}

fn wrong(fields: &mut Fields<'_>) -> Option<Tamper> {
    let words = ["amount", "currency", "reference"];
    fields.require("field");
    Some(match fields.word("field", &words.map(|word| (word, word)))? {
        "amount" => Tamper::Amount(fields.amount("value")),
        "currency" => Tamper::Currency(fields.text("value", Text::ID)),
        _ => Tamper::Reference(fields.text("value", Text::ID)),
    })
}

fn number(fields: &mut Fields<'_>, name: &'static str, most: u64) -> Option<u32> {
    fields.whole(name, (0, most)).and_then(|number| u32::try_from(number).ok())
}

fn milliseconds(fields: &mut Fields<'_>, name: &'static str) -> Option<Duration> {
    fields.whole(name, (0, MOST_MS)).map(Duration::from_millis)
}

fn required_ms(fields: &mut Fields<'_>, name: &'static str) -> Duration {
    fields.require(name);
    milliseconds(fields, name).unwrap_or_default()
}

fn status(fields: &mut Fields<'_>, range: (u64, u64)) -> Option<u16> {
    fields.whole("status", range).and_then(|status| u16::try_from(status).ok())
}

fn required_status(fields: &mut Fields<'_>, range: (u64, u64)) -> u16 {
    fields.require("status");
    status(fields, range).unwrap_or_default()
}
