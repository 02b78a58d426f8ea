//! What a payment costs: round trips, messages, memory.

use std::collections::HashMap;

use zentra_sidecar::idempotency::{Class, Store};

use crate::support::payment::{charge, outcome};
use crate::support::redis::{Program, Server, open};

/// How often the server was asked to do what, scripts' own commands left out.
async fn calls(server: &Server) -> HashMap<String, u64> {
    let text: String = server.ask(&["INFO", "commandstats"]).await;
    text.lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let count = rest.split(',').next()?.parse().ok()?;
            Some((name.to_owned(), count))
        })
        .collect()
}

/// Commands that clients sent while a payment was made, but for this test's own.
async fn sent(server: &Server) -> u64 {
    let text: String = server.ask(&["INFO", "stats"]).await;
    let line = text.lines().find(|it| it.starts_with("total_reads_processed:"));
    line.and_then(|it| it.split_once(':')?.1.trim().parse().ok()).unwrap()
}

#[tokio::test]
async fn a_first_call_costs_two_round_trips_and_a_replay_one() {
    let server = Server::start(Program::Redis, &[]).await;
    let store = open(&server.url(), "default");
    store.init().await.unwrap();
    let payment = charge("warm", "order-0");
    store.claim(&payment.claim(1)).await.unwrap();
    let paid = |key: &str| charge(key, key).evidence(1, 1, outcome(Class::Succeeded, "chg", 1));
    store.complete(&paid("warm")).await.unwrap();
    // What looking costs by itself.
    let (first, second) = (sent(&server).await, sent(&server).await);
    let look = second - first;

    server.ask::<()>(&["CONFIG", "RESETSTAT"]).await;
    let before = sent(&server).await;
    store.claim(&charge("key", "key").claim(1)).await.unwrap();
    store.complete(&paid("key")).await.unwrap();
    let after = sent(&server).await;
    assert_eq!(after - before - look, 2, "a first call");
    let commands = calls(&server).await;
    assert_eq!(commands.get("evalsha"), Some(&2));
    assert_eq!(commands.get("publish"), None, "nobody waits: {commands:?}");

    let before = sent(&server).await;
    store.claim(&charge("key", "key").claim(2)).await.unwrap();
    let after = sent(&server).await;
    assert_eq!(after - before - look, 1, "a replay");
    assert_eq!(calls(&server).await.get("evalsha"), Some(&3));
}

#[tokio::test]
async fn a_finished_payment_takes_less_than_four_kib() {
    let server = Server::start(Program::Redis, &[]).await;
    let store = open(&server.url(), "default");
    let used = async || {
        let text: String = server.ask(&["INFO", "memory"]).await;
        let line = text.lines().find(|it| it.starts_with("used_memory:"));
        line.and_then(|it| it.split_once(':')?.1.trim().parse::<u64>().ok()).unwrap()
    };
    let count = 1_000;
    let before = used().await;
    let mut payload = outcome(Class::Succeeded, "chg_01HZX5V5C3M8", 1);
    // As large as the answer of an ordinary charge.
    payload.payload = vec![b'x'; 300].into();
    for number in 0..count {
        let mut payment = charge(&format!("key-{number}"), &format!("order-{number}"));
        payment.subject.command = Some(vec![b'y'; 150].into());
        store.claim(&payment.claim(1)).await.unwrap();
        let evidence = payment.evidence(1, 1, payload.clone());
        store.complete(&evidence).await.unwrap();
    }
    let each = (used().await - before) / count;
    let keys: Vec<String> = server.ask(&["KEYS", "*:r:*"]).await;
    let mut hashes = 0;
    for key in &keys {
        hashes += server.ask::<u64>(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).await;
    }
    let hash = hashes / count;
    assert!(each < 4_096 && hash < each, "{each} bytes a payment, {hash} of them its record");
    // To be read with `--no-capture` when the documentation is brought up to date.
    let stats: String = server.ask(&["INFO", "commandstats"]).await;
    let steps = stats.lines().find(|it| it.starts_with("cmdstat_evalsha"));
    let line = format!("{each} bytes a payment, {hash} of them its record; {steps:?}\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
}
