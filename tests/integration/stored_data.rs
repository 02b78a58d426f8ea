//! docs/PCI.md says of everything that is stored how long it is, and what an outcome holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use zentra_sidecar::domain::{Actor, Operation, Reason, Reference};
use zentra_sidecar::engine::EngineSettings;
use zentra_sidecar::idempotency::{
    Binding, Class, CounterId, FingerprintKeys, LimitName, Quantity, ReconcilerLease, SetStop,
    Stop, StopScope, Store, Take,
};

use crate::support::payment::{LONG_MS, Payment, charge, key_line, outcome, owner};
use crate::support::redis::{Program, Server, open};

const HOUR: Duration = Duration::from_secs(3600);
/// What may pass between a step and the look at what it left.
const SLACK: Duration = Duration::from_secs(60);

fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// The rows of the table of docs/PCI.md whose first column has this heading.
fn table(heading: &str) -> Vec<Vec<String>> {
    let document = text("docs/PCI.md");
    let head = format!("| {heading} |");
    let lines = document.lines().skip_while(|line| !line.starts_with(&head)).skip(2);
    let rows: Vec<_> = lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|it| it.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "docs/PCI.md has no table of {heading}");
    rows
}

/// What stands between backticks.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// A time to live as the document writes it; what follows the number says from when.
fn documented(cell: &str) -> Option<Duration> {
    let mut words = cell.split([' ', ';', ':']);
    let first = words.next().unwrap();
    if first == "none" {
        return None;
    }
    let hours = match words.next() {
        Some("h") => 1,
        Some("days") => 24,
        _ => panic!("{cell} is no time to live"),
    };
    Some(HOUR * hours * first.parse::<u32>().unwrap_or_else(|_| panic!("{cell}")))
}

/// The time to live of a key, as the server has it.
async fn lives(server: &Server, key: &str) -> Option<Duration> {
    match server.ask::<i64>(&["PTTL", key]).await {
        -1 => None,
        left => Some(Duration::from_millis(u64::try_from(left).expect(key))),
    }
}

fn agree(what: &str, found: Option<Duration>, documented: Option<Duration>) {
    let agree = match (found, documented) {
        (None, None) => true,
        (Some(found), Some(documented)) => found <= documented && found + SLACK > documented,
        _ => false,
    };
    assert!(agree, "{what} lives for {found:?}; docs/PCI.md says {documented:?}");
}

fn token(key: &str) -> Payment {
    Payment::new("shop/checkout", Operation::Tokenize, key, None).lease_ms(0)
}

/// A record in each state that the document names, by the row's words.
async fn records(store: &dyn Store) -> Vec<(&'static str, Payment)> {
    let run = async |payment: Payment| {
        let payment = payment.takes(vec![]);
        store.claim(&payment.claim(1)).await.unwrap();
        payment
    };
    let told = async |payment: Payment, outcomes: &[(Class, &str)]| {
        let payment = run(payment).await;
        for (class, id) in outcomes {
            let evidence = payment.evidence(1, 1, outcome(*class, id, 1));
            store.complete(&evidence).await.unwrap();
        }
        payment
    };
    let doubted = async |payment: Payment, expires| {
        let payment = run(payment).await;
        let doubt = zentra_sidecar::idempotency::Doubt { expires, ..payment.doubt(1, 1) };
        store.doubt(&doubt).await.unwrap();
        payment
    };
    let (final_one, both) =
        ([(Class::Succeeded, "chg_1")], [(Class::Succeeded, "one"), (Class::Succeeded, "two")]);
    let taken_over = doubted(charge("again", "order-6"), true).await;
    store.claim(&taken_over.claim(2)).await.unwrap();
    vec![
        ("done, with a final outcome", told(charge("final", "order-1"), &final_one).await),
        ("done, with an open outcome", told(charge("open", "order-2"), &[(Class::Open, "")]).await),
        ("under way, or unknown", run(charge("sent", "order-3")).await),
        ("under way, or unknown", doubted(charge("unknown", "order-4"), false).await),
        ("unknown, refused by Zentra under a doubt", doubted(charge("no", "order-5"), true).await),
        ("under way, or unknown", taken_over),
        ("in conflict", told(charge("two", "order-7"), &both).await),
        ("of a Tokenize, under way or unknown", run(token("t-sent")).await),
        ("of a Tokenize, under way or unknown", doubted(token("t-unknown"), false).await),
        ("of a Tokenize, in conflict", told(token("t-two"), &both).await),
        ("done, with a final outcome", told(token("t-final"), &final_one).await),
    ]
}

#[tokio::test]
async fn every_record_lives_as_long_as_the_document_on_card_data_says() {
    let server = Server::start(Program::Redis, &[]).await;
    let store = open(&server.url(), "default");
    let prefix = "{zs:default:simulated}:";
    let told: BTreeMap<String, Option<Duration>> =
        table("a record").into_iter().map(|row| (row[0].clone(), documented(&row[1]))).collect();
    let mut seen = BTreeSet::new();
    for (state, payment) in records(&store).await {
        let expected = *told.get(state).unwrap_or_else(|| panic!("docs/PCI.md lacks {state}"));
        let found = lives(&server, &format!("{prefix}r:{}", payment.subject.digest)).await;
        agree(state, found, expected);
        if let Some(reference) = &payment.subject.reference {
            let index = format!("{prefix}ref:charge:{reference}");
            agree(&format!("{index}, {state}"), lives(&server, &index).await, expected);
        }
        seen.insert(state.to_owned());
    }
    // Only the engine knows whether Zentra gave a reference of its own.
    let own = "done, of a refund with a reference of Zentra's own";
    agree(own, Some(EngineSettings::default().own_reference_retention), told[own]);
    seen.insert(own.to_owned());
    assert_eq!(seen, told.into_keys().collect());
}

#[tokio::test]
async fn every_other_key_lives_as_long_as_the_document_on_card_data_says() {
    // So long that it hardly ever ends in the midst of the story.
    const WINDOW_MS: u64 = 1000 * 24 * LONG_MS;
    let server = Server::start(Program::Redis, &[]).await;
    let store = open(&server.url(), "default");
    let counter = |name: &str, window_ms| Take {
        limit: LimitName::new(name).unwrap(),
        counter: CounterId::new([name]),
        window_ms,
        quantity: Quantity::One,
        most: 8,
        binding: Binding::Enforced,
    };
    let takes = vec![counter("daily", WINDOW_MS), counter("charge", 0)];
    store.claim(&charge("key", "order-1").takes(takes).claim(1)).await.unwrap();
    let refund =
        Payment::new("shop/checkout", Operation::Refund, "refund", Some("refund-1")).takes(vec![]);
    store.claim(&refund.claim(1)).await.unwrap();
    // Those in conflict, for their index.
    records(&store).await;
    let keys = FingerprintKeys::parse(&key_line(1)).ok().unwrap().checks();
    assert_eq!(store.readiness(&keys).await, Ok(vec![]));
    let lease = ReconcilerLease { owner: owner(1), lease_ms: LONG_MS };
    assert!(store.reconciler_lease(&lease).await.unwrap().answer);
    let stop = Stop {
        id: Reference::new("drill").unwrap(),
        scope: StopScope::default(),
        reason: Reason::new("a drill").unwrap(),
        by: Actor::new("jo").unwrap(),
        since_ms: 0,
        until_ms: None,
    };
    store.stop(&SetStop { stop, for_ms: Some(LONG_MS) }).await.unwrap();

    let [seconds, micros] = server.ask::<[u64; 2]>(&["TIME"]).await;
    let now_ms = seconds * 1000 + micros / 1000;
    let window_left = Duration::from_millis(WINDOW_MS - now_ms % WINDOW_MS);
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    for row in table("other key") {
        rows.extend(names(&row[0]).map(|name| (name.to_owned(), row[2].clone())));
    }
    let without_window = CounterId::new(["charge"]).to_string();
    let mut seen = BTreeSet::new();
    for key in server.ask::<Vec<String>>(&["KEYS", "*"]).await {
        if key.contains("}:r:") {
            continue;
        }
        let left = lives(&server, &key).await;
        let own = key.strip_prefix("{zs:default:simulated}:").unwrap();
        let parts: Vec<_> = own.split(':').collect();
        let name = match parts[..] {
            ["ref", space, _] => format!("ref:{space}:…"),
            ["l", _] => "l:<counter>".to_owned(),
            _ => own.to_owned(),
        };
        let cell = rows.get(&name).unwrap_or_else(|| panic!("docs/PCI.md lacks {name}"));
        let both = cell.split_once("to the end of its window; one without a window ");
        match parts[..] {
            ["ref", ..] => assert_eq!(cell, "that of its record"),
            ["l", counter] if counter == without_window => {
                agree(&key, left, documented(both.expect(cell).1));
            }
            ["l", _] => agree(&key, left, both.map(|_| window_left)),
            _ => agree(&key, left, documented(cell)),
        }
        seen.insert(name);
    }
    assert_eq!(seen, rows.into_keys().collect(), "each is there to be looked at");
}

/// The fields of the stored forms: of structs, and of an enum's variants.
fn stored_fields(code: &str) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    let mut is_form = false;
    for line in code.lines() {
        is_form = match line {
            "}" => false,
            _ => is_form || line.contains("struct Stored") || line.contains("enum Stored"),
        };
        if !is_form || line.trim_start().starts_with('#') {
            continue;
        }
        for part in line.split(['{', ',', '}']) {
            let Some((name, _)) = part.split_once(": ") else { continue };
            fields.insert(name.trim().trim_start_matches("pub ").to_owned());
        }
    }
    fields
}

#[test]
fn every_field_of_an_outcome_stands_in_the_document_on_card_data() {
    let fields = stored_fields(&text("src/gateway/payments/stored.rs"));
    assert!(fields.len() > 20, "{fields:?}");
    let rows = table("field of `outcome`");
    let mut documented: BTreeSet<String> =
        rows.iter().flat_map(|row| names(&row[0])).map(ToOwned::to_owned).collect();
    // Which of the two forms of `display` it is, is told by serde.
    assert!(documented.remove("kind"), "{documented:?}");
    assert_eq!(documented, fields);
}
