//! An operator's stop, over real processes: what has not begun does not, and what has is told as it
//! is. Rows 33 and 37 for stops.

use serde_json::{Value, json};
use tonic::Code;

use super::lab::Lab;
use super::told::order;

const WORD: [&str; 2] = ["--by=ada", "--reason=provider incident"];

/// Runs `stop` or `resume` with the settings of the sidecars; what it printed.
async fn operate(lab: &Lab, command: &[&str]) -> String {
    let audit = lab.folder.path().join("audit.jsonl");
    let sidecar = lab.sidecar().flag("--audit-log", &audit.display().to_string());
    let ended = sidecar.operate(&[command, &WORD[..]].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

fn audited(lab: &Lab) -> Vec<Value> {
    let text = std::fs::read_to_string(lab.folder.path().join("audit.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_stop_holds_on_every_sidecar_at_once_and_is_lifted_by_its_name() {
    let lab = Lab::start().await;
    let written = lab.folder.path().join("payments.jsonl");
    let tells = lab.sidecar().flag("--audit-log", &written.display().to_string());
    let (one, mut two) = (lab.sidecar().start().await, tells.start().await);
    let printed = operate(&lab, &["stop", "--only-action=charge", "--only-currency=NGN"]).await;
    let name = printed.split([' ', ':']).find(|word| word.starts_with("stop-")).unwrap();
    for sidecar in [&one, &two] {
        let told = sidecar.charge(&order("order-1")).await;
        told.is_fault(Code::Unavailable, "STOPPED", "no");
    }
    assert_eq!(lab.posts("order-1"), 0);
    operate(&lab, &["resume", name]).await;
    two.charge(&order("order-1")).await.is_paid("DIRECT");
    one.charge(&order("order-1")).await.is_paid("REPLAYED");

    // The lines of a process that has ended are all there.
    two.signal("TERM").await;
    assert!(two.ended().await.success());
    let told = std::fs::read_to_string(written).unwrap();
    let refused: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(
        ["decision", "reason", "stop"].map(|field| &refused[field]),
        [&json!("refused"), &json!("STOPPED"), &json!(name)]
    );

    let lines = audited(&lab);
    let told: Vec<_> = lines.iter().map(|line| (&line["act"], &line["stage"])).collect();
    let word = |act: &str, stage: &str| (json!(act), json!(stage));
    let wanted = [
        word("stop", "begun"),
        word("stop", "done"),
        word("resume", "begun"),
        word("resume", "done"),
    ];
    assert_eq!(told, wanted.each_ref().map(|(act, stage)| (act, stage)));
    for line in &lines {
        for (field, value) in [
            ("audit", json!("operator")),
            ("operation", json!("charge")),
            ("currency", json!("NGN")),
            ("stop", json!(name)),
            ("until", Value::Null),
            ("by", json!("ada")),
            ("why", json!("provider incident")),
        ] {
            assert_eq!(line[field], value, "{field}: {line:#}");
        }
    }
}

/// Who reads the audit log alone has to know whether it still holds.
#[tokio::test]
async fn a_stop_for_a_while_is_told_with_its_end() {
    let lab = Lab::start().await;
    let printed = operate(&lab, &["stop", "--for=2h"]).await;
    let name = printed.split([' ', ':']).find(|word| word.starts_with("stop-")).unwrap();
    operate(&lab, &["resume", name]).await;
    let moment = |line: &Value, field: &str| -> jiff::Timestamp {
        line[field].as_str().unwrap_or_else(|| panic!("{field}: {line:#}")).parse().unwrap()
    };
    let lines = audited(&lab);
    assert_eq!(lines.len(), 4, "{lines:#?}");
    let set = moment(&lines[0], "time");
    for line in &lines {
        // By the clock of the command, or by the store's.
        let seconds = (moment(line, "until") - set).total(jiff::Unit::Second).unwrap();
        assert!((seconds - 7200.0).abs() < 20.0, "{seconds}: {line:#}");
    }
}

#[tokio::test]
async fn what_is_refused_to_an_operator_is_told_too() {
    let lab = Lab::start().await;
    let audit = lab.folder.path().join("audit.jsonl");
    let operated = async |command: &[&str]| {
        let sidecar = lab.sidecar().flag("--audit-log", &audit.display().to_string());
        sidecar.operate(&[command, &WORD[..]].concat()).await.code
    };
    assert_eq!(operated(&["store", "init"]).await, Some(0));
    lab.sidecar().start().await.charge(&order("order-1")).await.is_paid("DIRECT");
    assert_eq!(operated(&["store", "init"]).await, Some(1));
    assert_eq!(operated(&["resume", "stop-00000000"]).await, Some(1));
    let lines = audited(&lab);
    let told: Vec<_> = lines
        .iter()
        .map(|line| ["act", "stage", "by"].map(|field| line[field].as_str().unwrap()))
        .collect();
    let wanted = [
        ["init", "begun", "ada"],
        ["init", "done", "ada"],
        ["init", "begun", "ada"],
        ["init", "refused", "ada"],
        ["resume", "begun", "ada"],
        ["resume", "refused", "ada"],
    ];
    assert_eq!(told, wanted);
    assert_eq!(lines[5]["stop"], json!("stop-00000000"));
    assert_eq!(lines[5]["detail"], json!("no stop stop-00000000 is in force; see `stop --list`"));
}

/// Whether it was done is not known then, which is another thing than a refusal.
#[tokio::test]
async fn what_failed_for_an_operator_is_told_as_failed() {
    let lab = Lab::start().await;
    let audit = lab.folder.path().join("audit.jsonl");
    // The store answers reads and takes nothing more.
    lab.redis().ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let sidecar = lab.sidecar().flag("--audit-log", &audit.display().to_string());
    let ended = sidecar.operate(&[&["stop"], &WORD[..]].concat()).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines = audited(&lab);
    let told: Vec<_> = lines.iter().map(|line| line["stage"].as_str().unwrap()).collect();
    assert_eq!(told, ["begun", "failed"]);
    let detail = lines[1]["detail"].as_str().unwrap();
    assert!(detail.contains("memory"), "{detail}");
}

/// In a container standard output is the serving process's: an operator's command does not reach
/// it, and says so.
#[tokio::test]
async fn lines_that_nobody_collects_are_told_to_be_so() {
    let lab = Lab::start().await;
    let ended = lab.sidecar().operate(&[&["stop"], &WORD[..]].concat()).await;
    let lines: Vec<Value> =
        ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines.iter().map(|line| (&line["level"], &line["stage"])).collect();
    let (none, warn) = (Value::Null, json!("WARN"));
    assert_eq!(told, [(&warn, &none), (&none, &json!("begun")), (&none, &json!("done"))]);
    let warning = lines[0]["message"].as_str().unwrap();
    assert!(warning.ends_with("keep them, or name a file"), "{warning}");
}

/// Row 33: it is looked up, and not sent; a finished one is replayed.
#[tokio::test]
async fn what_was_begun_gets_its_truth_under_a_stop() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    for (reference, point) in [("order-2", "after_answer"), ("order-3", "after_claim")] {
        let mut first = lab.sidecar().failpoint(&format!("{point}:kill")).start().await;
        first.charge(&order(reference)).await.is_cut_off();
        first.ended().await;
    }
    operate(&lab, &["stop"]).await;
    Lab::a_lease_passes().await;
    sidecar.charge(&order("order-1")).await.is_paid("REPLAYED");
    sidecar.charge(&order("order-2")).await.is_paid("RECOVERED");
    sidecar.charge(&order("order-3")).await.is_unknown();
    assert_eq!(lab.posts("order-3"), 0, "it was looked up alone");
    operate(&lab, &["resume", "--all"]).await;
    sidecar.charge(&order("order-3")).await.is_paid("DIRECT");
}

/// Row 37: the store has forgotten, and so has the stop's `no`.
#[tokio::test]
async fn after_a_store_loss_a_stop_never_says_no() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    lab.redis().ask::<()>(&["FLUSHALL"]).await;
    operate(&lab, &["stop"]).await;
    let told = sidecar.charge(&order("order-1")).await;
    told.is_fault(Code::Unavailable, "STOPPED", "unknown");
    assert_eq!(lab.charges("order-1"), 1);
}
