//! One grep answers who was paid, and under which rule: also where the process that decided it has
//! died before it could tell, whoever finds the payment then.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::lab::Lab;
use super::sidecar::Launch;
use super::told::order;

/// The rule that a payment is begun under, and two that it is not.
const RULES: &str = "@id(\"checkout-may\")\npermit(principal, action, resource);\n";
const ANOTHER: &str = "@id(\"another\")\npermit(principal, action, resource);\n";
const FORBIDS: &str = "@id(\"another\")\npermit(principal, action, resource);\n\
                       @id(\"no-more\")\nforbid(principal, action == Action::\"Charge\", resource);\n";

/// A lab with a policy and an audit log.
struct Books {
    lab: Lab,
    policy: PathBuf,
    audit: PathBuf,
}

impl Books {
    async fn open() -> Self {
        let lab = Lab::start().await;
        let (policy, audit) =
            (lab.folder.path().join("policy"), lab.folder.path().join("audit.jsonl"));
        std::fs::create_dir(&policy).unwrap();
        Self { lab, policy, audit }
    }

    fn launch(&self) -> Launch<'_> {
        let flag = |path: &Path| path.display().to_string();
        let launch = self.lab.sidecar().flag("--policy", &flag(&self.policy));
        launch.flag("--audit-log", &flag(&self.audit))
    }

    fn rules(&self, text: &str) {
        std::fs::write(self.policy.join("rules.cedar"), text).unwrap();
    }

    /// Zentra has made `order-1` on behalf of Ada under the first rules, and the process that asked
    /// for it was killed before it could tell anybody.
    async fn a_process_dies(&self) {
        self.rules(RULES);
        let mut first = self.launch().failpoint("after_answer:kill").start().await;
        first.charge(&order("order-1").by("ada")).await.is_cut_off();
        first.ended().await;
        assert_eq!(self.lines(), Vec::<Value>::new(), "nobody has told of it");
        Lab::a_lease_passes().await;
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.audit).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[track_caller]
fn says(line: &Value, fields: &[(&str, Value)]) {
    for (field, value) in fields {
        assert_eq!(&line[field], value, "{field}: {line:#}");
    }
}

#[tokio::test]
async fn a_payment_whose_process_died_is_told_with_the_rule_that_it_was_begun_under() {
    let books = Books::open().await;
    books.a_process_dies().await;
    // Under another policy by now, which decided nothing of this.
    books.rules(ANOTHER);
    let mut second = books.launch().start().await;
    second.charge(&order("order-2")).await.is_paid("DIRECT");
    let request = zentra_sidecar::grpc::proto::GetChargeRequest { reference: "order-1".to_owned() };
    second.client.clone().get_charge(request).await.unwrap();
    second.signal("TERM").await;
    assert!(second.ended().await.success());
    let lines = books.lines();
    let of = |reference: &str| lines.iter().find(|line| line["reference"] == reference).unwrap();
    let (found, other) = (of("order-1"), of("order-2"));
    says(
        found,
        &[
            ("audit", json!("moved")),
            ("by", json!("read")),
            ("decision", json!("allowed")),
            ("policy", json!("permitted")),
            ("rule_id", json!("checkout-may")),
            ("actor", json!("ada")),
            ("outcome", json!("SUCCEEDED")),
            ("money_moved", json!("yes")),
            ("moved_minor", json!(1000)),
            ("moved_currency", json!("NGN")),
        ],
    );
    says(other, &[("rule_id", json!("another")), ("begun_earlier", Value::Null)]);
    assert_eq!(found["policy_hash"].as_str().unwrap().len(), 64, "{found:#}");
    assert_ne!(found["policy_hash"], other["policy_hash"]);
}

/// Who repeats a payment has not begun it: the lines of a recovery and of a replay say whose it was
/// and under which rule, beside what was decided of the repeat, also where that alone is forbidden.
#[tokio::test]
async fn a_repeat_is_told_with_the_rule_and_the_actor_that_the_payment_was_begun_with() {
    for (rules, verdict, rule) in
        [(ANOTHER, "permitted", "another"), (FORBIDS, "forbidden", "no-more")]
    {
        let books = Books::open().await;
        books.a_process_dies().await;
        books.rules(rules);
        let mut second = books.launch().start().await;
        let repeat = order("order-1").by("bo");
        second.charge(&repeat).await.is_paid("RECOVERED");
        second.charge(&repeat).await.is_paid("REPLAYED");
        second.signal("TERM").await;
        assert!(second.ended().await.success());
        let lines = books.lines();
        let [recovered, replayed] = &lines[..] else { panic!("two lines: {lines:#?}") };
        for (line, path) in [(recovered, "RECOVERED"), (replayed, "REPLAYED")] {
            says(
                line,
                &[
                    ("path", json!(path)),
                    ("decision", json!("allowed")),
                    ("money_moved", json!("yes")),
                    ("actor", json!("bo")),
                    ("policy", json!(verdict)),
                    ("rule_id", json!(rule)),
                    ("begun_earlier", json!(true)),
                    ("begun_actor", json!("ada")),
                    ("begun_policy", json!("permitted")),
                    ("begun_rule_id", json!("checkout-may")),
                ],
            );
            assert_eq!(line["begun_policy_hash"].as_str().unwrap().len(), 64, "{line:#}");
            assert_ne!(line["begun_policy_hash"], line["policy_hash"], "{line:#}");
        }
    }
}

/// Its owner gives a store that has lost the record another one, which is as the first was.
#[tokio::test]
async fn a_record_that_was_lost_comes_back_with_the_rule_and_the_actor_of_the_beginning() {
    let books = Books::open().await;
    books.a_process_dies().await;
    books.rules(ANOTHER);
    let launch = books.launch().flag("--lease-seconds", "30").failpoint("after_claim:wait");
    let second = launch.start().await;
    let repeat = order("order-1").by("bo");
    let (told, ()) = tokio::join!(second.charge(&repeat), async {
        second.reached("after_claim").await;
        let _: String = books.lab.redis().ask(&["FLUSHALL"]).await;
        second.release().await;
    });
    told.is_paid("RECOVERED");
    second.charge(&order("order-1").by("cy")).await.is_paid("REPLAYED");
    books.lab.agrees("order-1", 1, &[&told]);
    let mut second = second;
    second.signal("TERM").await;
    assert!(second.ended().await.success());
    let lines = books.lines();
    let [_, replayed] = &lines[..] else { panic!("two lines: {lines:#?}") };
    says(
        replayed,
        &[
            ("actor", json!("cy")),
            ("begun_actor", json!("ada")),
            ("begun_rule_id", json!("checkout-may")),
        ],
    );
}
