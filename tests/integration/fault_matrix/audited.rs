//! One grep answers who was paid, and under which rule: also where the process that decided it has
//! died before it could tell.

use serde_json::{Value, json};

use super::lab::Lab;
use super::told::order;

const RULES: &str = "@id(\"checkout-may\")\npermit(principal, action, resource);\n";

#[tokio::test]
async fn a_payment_whose_process_died_is_told_with_the_rule_that_it_was_begun_under() {
    let lab = Lab::start().await;
    let policy = lab.folder.path().join("policy");
    std::fs::create_dir(&policy).unwrap();
    std::fs::write(policy.join("rules.cedar"), RULES).unwrap();
    let audit = lab.folder.path().join("audit.jsonl");
    let launch = || {
        let policy = policy.display().to_string();
        lab.sidecar().flag("--policy", &policy).flag("--audit-log", &audit.display().to_string())
    };
    let mut first = launch().failpoint("after_answer:kill").start().await;
    first.charge(&order("order-1")).await.is_cut_off();
    first.ended().await;
    assert_eq!(std::fs::read_to_string(&audit).unwrap(), "", "nobody has told of it");
    Lab::a_lease_passes().await;
    // Under another policy by now, which decided nothing of this.
    std::fs::write(policy.join("rules.cedar"), RULES.replace("checkout-may", "another")).unwrap();
    let mut second = launch().start().await;
    second.charge(&order("order-2")).await.is_paid("DIRECT");
    let request = zentra_sidecar::grpc::proto::GetChargeRequest { reference: "order-1".to_owned() };
    second.client.clone().get_charge(request).await.unwrap();
    second.signal("TERM").await;
    assert!(second.ended().await.success());
    let text = std::fs::read_to_string(&audit).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |reference: &str| lines.iter().find(|line| line["reference"] == reference).unwrap();
    let (found, other) = (of("order-1"), of("order-2"));
    for (field, value) in [
        ("audit", json!("moved")),
        ("by", json!("read")),
        ("decision", json!("allowed")),
        ("policy", json!("permitted")),
        ("rule_id", json!("checkout-may")),
        ("outcome", json!("SUCCEEDED")),
        ("money_moved", json!("yes")),
        ("moved_minor", json!(1000)),
        ("moved_currency", json!("NGN")),
    ] {
        assert_eq!(found[field], value, "{field}: {found:#}");
    }
    assert_eq!(other["rule_id"], json!("another"));
    assert_eq!(found["policy_hash"].as_str().unwrap().len(), 64, "{found:#}");
    assert_ne!(found["policy_hash"], other["policy_hash"]);
}
