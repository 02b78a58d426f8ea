//! An operator's word ends what nothing else can end, and the audit log tells whose word it was.

use serde_json::{Value, json};
use tonic::Code;
use zentra_sidecar::simulator::{Action, Tamper};

use super::lab::{CUSTOMER, Lab};
use super::told::order;

/// A charge that Zentra has taken, with a record that says CONFLICT.
async fn conflict() -> Lab {
    let lab = Lab::start().await;
    lab.next_post("order-1", Action::Wrong(Tamper::Amount(None)));
    let sidecar = lab.sidecar().start().await;
    let told = sidecar.charge(&order("order-1")).await;
    told.is_fault(Code::FailedPrecondition, "OUTCOME_CONFLICT", "unknown");
    lab
}

/// Runs `records settle`; its exit code, what it said, and its lines of the audit log.
async fn settle(lab: &Lab, outcome: &str) -> (Option<i32>, String, Vec<Value>) {
    let file = lab.folder.path().join("audit.jsonl");
    let sidecar = lab.sidecar().flag("--audit-log", &file.display().to_string());
    let word = ["--reference=order-1", "--by=ada", "--reason=Zentra ticket 4711"];
    let outcome = format!("--outcome={outcome}");
    let ended = sidecar.operate(&[&["records", "settle", &outcome], &word[..]].concat()).await;
    let lines = std::fs::read_to_string(file).unwrap_or_default();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (ended.code, ended.stdout + &ended.stderr, lines)
}

#[tokio::test]
async fn what_zentra_shows_is_taken_over_and_told_line_by_line() {
    let lab = conflict().await;
    let (code, said, lines) = settle(&lab, "happened").await;
    assert_eq!(code, Some(0), "{said}");
    let stages: Vec<_> = lines.iter().map(|line| (&line["stage"], &line["money_moved"])).collect();
    let (begun, done) = ((json!("begun"), json!("unknown")), (json!("done"), json!("yes")));
    assert_eq!(stages, [(&begun.0, &begun.1), (&done.0, &done.1)]);
    for (field, value) in [
        ("audit", json!("operator")),
        ("act", json!("settle")),
        ("by", json!("ada")),
        ("why", json!("Zentra ticket 4711")),
        ("caller", json!("shop/checkout")),
        ("operation", json!("charge")),
        ("reference", json!("order-1")),
        ("customer_id", json!(CUSTOMER)),
        ("amount_minor", json!(1000)),
        ("currency", json!("NGN")),
        ("outcome", json!("SUCCEEDED")),
    ] {
        assert_eq!(lines[1][field], value, "{field}: {:#}", lines[1]);
    }
    let told = lab.sidecar().start().await.charge(&order("order-1")).await;
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!(lines[1]["provider_id"], json!(told.outcome().id));
    assert!(lines[1]["provider_request_id"].is_string(), "{:#}", lines[1]);
}

#[tokio::test]
async fn a_word_against_what_zentra_shows_is_refused_and_changes_nothing() {
    let lab = conflict().await;
    let (code, said, lines) = settle(&lab, "not-happened").await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Zentra shows this payment: it happened"), "{said}");
    let stages: Vec<_> = lines.iter().map(|line| (&line["stage"], &line["outcome"])).collect();
    let said = json!("NOT_HAPPENED");
    assert_eq!(stages, [(&json!("begun"), &said), (&json!("refused"), &said)]);
    assert_eq!(lines[1]["money_moved"], json!("unknown"));
    let why = "Zentra shows this payment: it happened; see `records show`";
    assert_eq!(lines[1]["detail"], json!(why));
    let told = lab.sidecar().start().await.charge(&order("order-1")).await;
    told.is_fault(Code::FailedPrecondition, "OUTCOME_CONFLICT", "unknown");
}
