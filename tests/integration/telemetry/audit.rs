//! Each write has its line, whatever became of it and whoever still listens.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::Request;
use zentra_sidecar::simulator::{self, Action, Fault, Options, Route, Simulator};

use super::{Lines, kept};
use crate::support::logs::Logs;
use crate::support::requests::{self, DECLINED_CARD, GOOD_CARD};
use crate::support::sidecar::{Client, Sidecar, StandingClock, transport};

pub(super) async fn rig(flags: &[&str]) -> (Simulator, Sidecar, Lines) {
    let (telemetry, _, lines) = kept();
    let options = Options { seed: 7, ..Options::default() };
    let simulator = simulator::start(options, std::sync::Arc::new(StandingClock)).await.unwrap();
    let sidecar = Sidecar::telling(&simulator.url(), flags, transport(), telemetry).await;
    (simulator, sidecar, lines)
}

async fn token(client: &mut Client, card: &str) -> String {
    client.tokenize(requests::card(card)).await.unwrap().into_inner().token.unwrap().id
}

pub(super) fn line_of<'a>(lines: &'a [Value], reference: &str) -> &'a Value {
    let mut found = lines.iter().filter(|line| line["reference"] == reference);
    let line = found.next().unwrap_or_else(|| panic!("{reference}: {lines:#?}"));
    assert!(found.next().is_none(), "one line a write: {lines:#?}");
    line
}

#[tokio::test]
async fn one_line_tells_who_refunded_what() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "@id(\"support-may-refund\")\npermit(principal, action, resource);\n";
    std::fs::write(folder.path().join("rules.cedar"), rules).unwrap();
    let flag = format!("--policy={}", folder.path().display());
    let (_simulator, sidecar, lines) = rig(&[&flag]).await;
    let mut client = sidecar.client();
    let payment_token_id = token(&mut client, GOOD_CARD).await;
    let charge = requests::charge("order-1");
    client.charge(proto_with(charge, &payment_token_id)).await.unwrap();
    let mut refund = requests::refund("refund-1", "order-1", Some(2000));
    refund.actor = "jo@support".to_owned();
    refund.reason = "it broke".to_owned();
    let answer = client.refund(refund).await.unwrap().into_inner();

    let lines = lines.all();
    let line = line_of(&lines, "refund-1");
    for (field, value) in [
        ("audit", json!("payment")),
        ("operation", json!("refund")),
        ("caller", json!("local")),
        ("actor", json!("jo@support")),
        ("account", json!("default")),
        ("environment", json!("simulated")),
        ("charge_reference", json!("order-1")),
        ("amount_minor", json!(2000)),
        ("currency", json!("NGN")),
        ("refund_reason", json!("it broke")),
        ("decision", json!("allowed")),
        ("policy", json!("permitted")),
        ("rule_id", json!("support-may-refund")),
        ("outcome", json!("SUCCEEDED")),
        ("money_moved", json!("yes")),
        ("path", json!("DIRECT")),
        ("attempts", json!(1)),
        ("provider_id", json!(answer.refund.unwrap().id)),
        ("provider_request_id", json!(answer.execution.unwrap().provider_request_id)),
    ] {
        assert_eq!(line[field], value, "{field}: {line:#}");
    }
    assert_eq!(line["policy_hash"].as_str().unwrap().len(), 64);
    assert_eq!(line["request_id"].as_str().unwrap().len(), 32);
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
    assert_eq!(line["key_digest"].as_str().unwrap().len(), 64);
    assert!(lines.iter().all(|line| !line.to_string().contains(GOOD_CARD)));
}

fn proto_with(
    charge: zentra_sidecar::grpc::proto::ChargeRequest,
    token: &str,
) -> zentra_sidecar::grpc::proto::ChargeRequest {
    zentra_sidecar::grpc::proto::ChargeRequest { payment_token_id: token.to_owned(), ..charge }
}

#[tokio::test]
async fn a_decline_and_a_replay_have_their_lines_too() {
    let (_simulator, sidecar, lines) = rig(&[]).await;
    let mut client = sidecar.client();
    let payment_token_id = token(&mut client, DECLINED_CARD).await;
    let charge = proto_with(requests::charge("order-1"), &payment_token_id);
    client.charge(charge.clone()).await.unwrap();
    client.charge(charge).await.unwrap();
    let lines: Vec<_> =
        lines.all().into_iter().filter(|line| line["reference"] == "order-1").collect();
    let told: Vec<_> =
        lines.iter().map(|line| (&line["outcome"], &line["money_moved"], &line["path"])).collect();
    let failed = json!("FAILED");
    let (no, direct, replayed) = (json!("no"), json!("DIRECT"), json!("REPLAYED"));
    assert_eq!(told, [(&failed, &no, &direct), (&failed, &no, &replayed)]);
}

#[tokio::test]
async fn what_was_refused_at_the_door_is_told_with_its_reason() {
    let (_simulator, sidecar, lines) = rig(&["--card-data=refuse"]).await;
    let mut client = sidecar.client();
    client.tokenize(requests::card(GOOD_CARD)).await.unwrap_err();
    let mut hasty = Request::new(requests::charge("too-hasty"));
    hasty.set_timeout(Duration::from_millis(1));
    let _ = client.charge(hasty).await;
    let mut wrong = requests::charge("wrong");
    wrong.amount = None;
    client.charge(wrong).await.unwrap_err();
    client.get_charge(requests::get_charge("a-read")).await.unwrap_err();
    let told: Vec<_> = lines
        .all()
        .into_iter()
        .map(|line| {
            assert_eq!(line["decision"], "refused", "{line:#}");
            (line["operation"].clone(), line["reason"].clone())
        })
        .collect();
    let wanted = [
        ("tokenize", "CARD_DATA_REFUSED"),
        ("charge", "DEADLINE_TOO_SHORT"),
        ("charge", "INVALID_REQUEST"),
    ];
    assert_eq!(told, wanted.map(|(operation, reason)| (json!(operation), json!(reason))));
}

/// What refused is not the rule that allowed.
#[tokio::test]
async fn a_full_limit_is_named_beside_the_rule() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "@id(\"all\")\npermit(principal, action, resource);\n";
    std::fs::write(folder.path().join("rules.cedar"), rules).unwrap();
    let limits = "[[limit]]\nname = \"one-a-day\"\nmeasure = \"count\"\nmost = 1\n\
                  window = \"1d\"\nby = [\"caller\"]\nactions = [\"Charge\"]\n";
    std::fs::write(folder.path().join("limits.toml"), limits).unwrap();
    let flag = format!("--policy={}", folder.path().display());
    let (_simulator, sidecar, lines) = rig(&[&flag]).await;
    let mut client = sidecar.client();
    let payment_token_id = token(&mut client, GOOD_CARD).await;
    client.charge(proto_with(requests::charge("order-1"), &payment_token_id)).await.unwrap();
    let mut second = proto_with(requests::charge("order-2"), &payment_token_id);
    second.idempotency_key = "key-2".to_owned();
    client.charge(second).await.unwrap_err();
    let lines = lines.all();
    let fields = ["decision", "reason", "limit", "policy", "rule_id"];
    let told = fields.map(|field| line_of(&lines, "order-2")[field].clone());
    let wanted = ["refused", "LIMIT_EXCEEDED", "one-a-day", "permitted", "all"];
    assert_eq!(told, wanted.map(|word| json!(word)));
    assert_eq!(line_of(&lines, "order-1")["limit"], Value::Null);
}

/// Of all that is left nobody has asked for an amount; what moved is told all the same.
#[tokio::test]
async fn a_refund_of_all_that_is_left_tells_how_much_that_was() {
    let (_simulator, sidecar, lines) = rig(&[]).await;
    let mut client = sidecar.client();
    let payment_token_id = token(&mut client, GOOD_CARD).await;
    client.charge(proto_with(requests::charge("order-1"), &payment_token_id)).await.unwrap();
    client.refund(requests::refund("some", "order-1", Some(20_000))).await.unwrap();
    client.refund(requests::refund("the-rest", "order-1", None)).await.unwrap();
    let lines = lines.all();
    let told = ["order-1", "some", "the-rest"].map(|reference| {
        let line = line_of(&lines, reference);
        ["amount_minor", "moved_minor", "moved_currency"].map(|field| line[field].clone())
    });
    let ngn = json!("NGN");
    assert_eq!(
        told,
        [
            [json!(50_000), json!(50_000), ngn.clone()],
            [json!(20_000), json!(20_000), ngn.clone()],
            [Value::Null, json!(30_000), ngn],
        ]
    );
}

/// Whoever is woken by it needs to know what was tried, and what to ask Zentra about.
#[tokio::test]
async fn a_write_that_failed_tells_its_attempts_and_zentras_request() {
    let logs = Logs::capture_own();
    let (simulator, sidecar, lines) = rig(&[]).await;
    let mut client = sidecar.client();
    let payment_token_id = token(&mut client, GOOD_CARD).await;
    let fails =
        Action::Status { status: 500, effect: false, code: None, body: None, retry_after: None };
    simulator.inject(Fault::on(Route::CreateCharge, fails).times(0));
    logs.take();
    client.charge(proto_with(requests::charge("order-1"), &payment_token_id)).await.unwrap_err();
    let posts = simulator.ledger().posts_of("order-1").len();
    let last = simulator.ledger().posts_of("order-1").last().unwrap().request_id.clone();
    assert_eq!(posts, 3);
    let lines = lines.all();
    let audited = line_of(&lines, "order-1");
    let text = logs.text();
    let called = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].clone())
        .find(|fields| fields["message"] == "call")
        .unwrap();
    for line in [audited, &called] {
        let told = ["attempts", "provider_request_id"].map(|field| line[field].clone());
        assert_eq!(told, [json!(posts), json!(last)], "{line:#}");
    }
    assert_eq!(audited["reason"], json!("OUTCOME_UNKNOWN"));
}
