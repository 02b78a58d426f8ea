//! The control API under `/_simulator/`: the ledger, the faults, the clock, the settings.
//!
//! It has no authentication: whoever reaches the port controls the simulator.

mod read;

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use super::core::{FieldFault, Request, Response};
use super::shared::Shared;

/// All paths of the control API begin so.
pub(crate) const PREFIX: &str = "/_simulator/";

type Result<T> = std::result::Result<T, Refused>;

/// Why a control request was refused.
enum Refused {
    /// No such path or method.
    Path,
    /// The named object does not exist.
    Missing(&'static str),
    /// The body is no JSON object.
    Body,
    /// These fields are wrong.
    Fields(Vec<FieldFault>),
}

/// Answers a control request. It never waits.
pub(crate) fn handle(shared: &Shared, request: &Request) -> Response {
    let path = request.path.strip_prefix(PREFIX).unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    if let ["customer", charge_id] = segments.as_slice() {
        return customer(shared, request, charge_id);
    }
    match route(shared, request, &segments) {
        Ok(value) => json_response(200, &value),
        Err(refused) => refused.response(),
    }
}

fn route(shared: &Shared, request: &Request, segments: &[&str]) -> Result<Value> {
    match (request.method.as_str(), segments) {
        ("GET", ["health"]) => Ok(json!({"status": "ok"})),
        ("GET", ["ledger"]) => Ok(ledger(shared, request)),
        ("POST", ["reset"]) => {
            read::nothing(&body(request)?)?;
            shared.with(|zentra, _| zentra.reset());
            Ok(json!({}))
        }
        (_, ["faults", ..]) => faults(shared, request, segments),
        ("GET", ["clock"]) => Ok(clock(shared.advance(Duration::ZERO))),
        ("POST", ["clock"]) => {
            let by = read::advance(&body(request)?)?;
            Ok(clock(shared.advance(by)))
        }
        ("GET", ["options"]) => Ok(options(shared)),
        ("POST", ["options"]) => {
            let change = read::settings(&body(request)?)?;
            shared.with(|zentra, _| zentra.configure(change));
            Ok(options(shared))
        }
        ("POST", ["webhooks", "resend"]) => resend(shared, &body(request)?),
        ("POST", ["charges", "settle"]) => settle(shared, &body(request)?),
        _ => Err(Refused::Path),
    }
}

fn ledger(shared: &Shared, request: &Request) -> Value {
    let view = shared.with(|zentra, now| zentra.ledger(now));
    let view = match request.parameter("reference") {
        Some(reference) => view.only(&reference),
        None => view,
    };
    serde_json::to_value(view).unwrap_or_default()
}

fn faults(shared: &Shared, request: &Request, segments: &[&str]) -> Result<Value> {
    match (request.method.as_str(), segments) {
        ("POST", ["faults"]) => {
            let faults = read::faults(&request.body)?;
            let ids = shared.with(|zentra, _| {
                faults.into_iter().map(|fault| zentra.faults().inject(fault)).collect::<Vec<_>>()
            });
            Ok(json!({ "ids": ids }))
        }
        ("GET", ["faults"]) => Ok(json!({"faults": shared.with(|z, _| z.faults().view())})),
        ("DELETE", ["faults"]) => {
            shared.with(|zentra, _| zentra.faults().clear());
            Ok(json!({}))
        }
        ("DELETE", ["faults", id]) => {
            let id = id.parse().map(super::core::FaultId).map_err(|_| Refused::Missing("fault"))?;
            let found = shared.with(|zentra, _| zentra.faults().remove(id));
            if found { Ok(json!({})) } else { Err(Refused::Missing("fault")) }
        }
        _ => Err(Refused::Path),
    }
}

fn clock(now: jiff::Timestamp) -> Value {
    json!({"now": now.to_string()})
}

fn options(shared: &Shared) -> Value {
    shared.with(|zentra, _| serde_json::to_value(zentra.settings()).unwrap_or_default())
}

fn resend(shared: &Shared, body: &Map<String, Value>) -> Result<Value> {
    let read::Resend { event_id, kind, copies, order } = read::resend(body)?;
    let events = shared.with(|zentra, now| {
        zentra.resend_webhooks(
            now,
            |event| {
                event_id.as_ref().is_none_or(|id| *id == event.id)
                    && kind.as_ref().is_none_or(|kind| *kind == event.kind)
            },
            copies,
            order,
        )
    });
    Ok(json!({ "events": events }))
}

fn settle(shared: &Shared, body: &Map<String, Value>) -> Result<Value> {
    let read::Settle { reference, status, failure_code } = read::settle(body)?;
    let charge =
        shared.with(|zentra, now| zentra.settle(now, &reference, &status, failure_code.as_deref()));
    let charge = charge.ok_or(Refused::Missing("charge"))?;
    Ok(serde_json::to_value(charge).unwrap_or_default())
}

/// The page that `redirect_url` leads to: opening it completes the payment.
fn customer(shared: &Shared, request: &Request, charge_id: &str) -> Response {
    if request.method != Method::GET {
        return Refused::Path.response();
    }
    let completes = match request.parameter("result").as_deref() {
        None | Some("ok") => true,
        Some("fail") => false,
        Some(_) => return Response::new(422, "text/plain", "result must be ok or fail\n"),
    };
    if !shared.with(|zentra, now| zentra.customer_acts(now, charge_id, completes)) {
        return Response::new(404, "text/plain", "No charge of this id waits for its customer\n");
    }
    let done = if completes { "completed" } else { "refused" };
    Response::new(200, "text/plain", format!("The customer {done} the payment\n"))
}

/// The body as an object; no body is an empty one.
fn body(request: &Request) -> Result<Map<String, Value>> {
    if request.body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&request.body).map_err(|_| Refused::Body)
}

fn json_response(status: u16, value: &Value) -> Response {
    Response::new(status, "application/json", format!("{value}\n"))
}

impl Refused {
    fn response(self) -> Response {
        let problem = |status, message: &str, errors: Vec<Value>| {
            json_response(status, &json!({"error": {"message": message, "errors": errors}}))
        };
        match self {
            Self::Path => problem(404, "No such path or method in the control API", vec![]),
            Self::Missing(what) => problem(404, &format!("No such {what}"), vec![]),
            Self::Body => problem(400, "The body must be a JSON object", vec![]),
            Self::Fields(faults) => {
                let errors = faults
                    .iter()
                    .map(|fault| json!({"field": fault.field, "message": fault.message}))
                    .collect();
                problem(422, "Some fields are wrong", errors)
            }
        }
    }
}
