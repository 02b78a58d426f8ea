//! Lines that cannot be written are lost, and that is told: by the metric, and once on the other
//! stream.

use std::fs::File;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::process::{Serving, get};
use crate::support::requests;
use crate::support::soon;

/// Nobody is there: what is told of is refused before anything is sent.
const NO_ZENTRA: &str = "http://127.0.0.1:1";

#[tokio::test]
async fn a_full_disk_under_the_audit_log_is_counted_and_told_in_the_log() {
    let mut serving = Serving::start(NO_ZENTRA, &["--audit-log=/dev/full"]).await;
    let mut client = serving.client().await;
    client.charge(requests::charge("..")).await.unwrap_err();
    serving.logged("the audit log cannot be written").await;
    let (_, text) = get(&serving.admin, "/metrics").await;
    let lost = "zentra_sidecar_telemetry_lines_dropped_total{target=\"audit\"} 1\n";
    assert!(text.contains(lost), "{text}");
    client.charge(requests::charge("..")).await.unwrap_err();
    serving.signal("TERM").await;
    let (status, rest) = serving.end().await;
    assert!(status.success());
    assert!(!rest.contains("the audit log cannot be written"), "once: {rest}");
}

#[tokio::test]
async fn a_full_disk_under_the_log_is_told_in_the_audit_logs_place() {
    let mut command = Serving::command(NO_ZENTRA, &[]);
    command.stderr(File::options().write(true).open("/dev/full").unwrap());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = soon(lines.next_line()).await.unwrap().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["message"], "the log cannot be written", "{line:#}");
    assert_eq!(line["level"], "ERROR");
    assert!(line["fault"].as_str().unwrap().contains("No space left on device"), "{line:#}");
    process.kill().await.unwrap();
    let rest = soon(lines.next_line()).await.unwrap();
    assert_eq!(rest, None, "once");
}
