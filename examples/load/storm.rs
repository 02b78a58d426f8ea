//! Zentra answers everything with 503 for a minute, under steady load.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;
use zentra_sidecar::clock::{Clock as _, SystemClock};
use zentra_sidecar::upstream::CircuitSettings;

use super::calls::{Call, charge, read, steady};
use super::chart::{Line, svg};
use super::judge;
use super::world::World;

const CALM: Duration = Duration::from_secs(10);
const STORM: Duration = Duration::from_secs(60);
const TIME: Duration = Duration::from_secs(90);
/// Four reads to one charge.
const PER_SECOND: u32 = 50;
const READS_TO_A_CHARGE: u32 = 4;
/// The time from a probe that is due to the answer of the call that is it.
const ONE_CALL: Duration = Duration::from_millis(500);

pub(crate) async fn run(program: &str, chart: &str) -> ExitCode {
    let world = World::start(program, &[]).await;
    let clients = world.clients(4).await;
    charge(clients[0].clone(), world.token.clone(), "paid".to_owned()).await.unwrap();
    let began = SystemClock.now();
    let token = world.token.clone();
    let load = steady(&clients, PER_SECOND, TIME, |number, client| {
        let (token, is_read) = (token.clone(), number % (READS_TO_A_CHARGE + 1) > 0);
        async move {
            match is_read {
                true => read(client, "paid".to_owned()).await,
                false => charge(client, token, format!("order-{number}")).await,
            }
        }
    });
    let weather = async {
        sleep(CALM).await;
        let fault = json!({"kind": "status", "status": 503, "times": 0});
        world.post("/_simulator/faults", &fault).await;
        sleep(STORM).await;
        world.clear_faults().await;
    };
    let (calls, ()) = tokio::join!(load, weather);
    let ledger = world.ledger().await;
    let reached = reached(&ledger, began);
    let repeats = repeats(&ledger, began);
    std::fs::write(chart, svg(&lines(&calls, &reached), (CALM, CALM + STORM))).unwrap();
    tell(&calls, &reached, &repeats);
    judge(&promises(&calls, &repeats))
}

/// What holds of every storm.
fn promises(calls: &[Call], repeats: &[Duration]) -> Vec<(bool, String)> {
    let end = CALM + STORM;
    let within = |at: Duration| (CALM..end).contains(&at);
    let stormy: Vec<&Call> = calls.iter().filter(|it| within(it.at)).collect();
    let repeats = repeats.iter().filter(|at| within(**at)).count();
    let refused = stormy.iter().filter(|it| it.outcome == "CIRCUIT_OPEN").count();
    let after = || calls.iter().filter(|it| it.at >= end);
    let first = after().filter(|it| it.outcome == "OK").map(|it| it.at).min();
    let wait = CircuitSettings::default().longest_wait.mul_f64(1.1);
    let late = after().filter(|it| first.is_some_and(|at| it.at > at) && it.outcome != "OK");
    vec![
        (repeats * 10 <= stormy.len(), format!("{repeats} repeats are no tenth of the calls")),
        (refused * 2 > stormy.len(), format!("the circuit refuses most calls, not {refused}")),
        (
            first.is_some_and(|at| at <= end + wait + ONE_CALL),
            format!("the first OK comes {wait:?} after the storm at the latest: {first:?}"),
        ),
        (late.count() == 0, "after the first OK every call is answered OK".to_owned()),
    ]
}

/// When each repeat reached Zentra: what a call asked for once more, be it by the way to Zentra or
/// by the engine. Each call has a trace of its own, and the first request of it to each route is
/// none.
fn repeats(ledger: &Value, began: Timestamp) -> Vec<Duration> {
    let mut known = BTreeSet::new();
    let mut again = Vec::new();
    for seen in ["posts", "reads"].into_iter().flat_map(|name| ledger[name].as_array().unwrap()) {
        let Some(at) = since(seen, began) else { continue };
        // Background look-ups have no caller, and are no repeats.
        let Some(trace) = seen["traceparent"].as_str().and_then(|it| it.get(3..35)) else {
            continue;
        };
        if !known.insert((trace, seen["route"].as_str().unwrap())) {
            again.push(at);
        }
    }
    assert!(!known.is_empty(), "no request carries its caller's trace");
    again
}

/// When each request reached Zentra, from the start on.
fn reached(ledger: &Value, began: Timestamp) -> Vec<Duration> {
    let seen = ["posts", "reads"].into_iter().flat_map(|name| ledger[name].as_array().unwrap());
    seen.filter_map(|seen| since(seen, began)).collect()
}

/// When a request reached Zentra; none where it was before the start.
fn since(seen: &Value, began: Timestamp) -> Option<Duration> {
    let at: Timestamp = seen["at"].as_str()?.parse().ok()?;
    Duration::try_from(at.duration_since(began)).ok()
}

fn seconds() -> usize {
    usize::try_from(TIME.as_secs()).unwrap()
}

fn per_second(times: impl Iterator<Item = Duration>) -> Vec<u32> {
    let mut counts = vec![0; seconds()];
    for time in times {
        if let Some(count) = counts.get_mut(usize::try_from(time.as_secs()).unwrap()) {
            *count += 1;
        }
    }
    counts
}

fn lines(calls: &[Call], reached: &[Duration]) -> Vec<Line> {
    let of = |is: &dyn Fn(&str) -> bool| {
        per_second(calls.iter().filter(|it| is(&it.outcome)).map(|it| it.at))
    };
    let known = ["OK", "CIRCUIT_OPEN"];
    vec![
        Line::new("calls offered", "#888888", of(&|_| true)),
        Line::new("requests that reached Zentra", "#c0392b", per_second(reached.iter().copied())),
        Line::new("answered OK", "#27ae60", of(&|it| it == known[0])),
        Line::new("answered CIRCUIT_OPEN", "#2980b9", of(&|it| it == known[1])),
        Line::new("answered otherwise", "#8e44ad", of(&|it| !known.contains(&it))),
    ]
}

fn tell(calls: &[Call], reached: &[Duration], repeats: &[Duration]) {
    let end = CALM + STORM;
    println!(
        "| time | calls offered | requests at Zentra | of them repeats | answers |\n\
         |---|---|---|---|---|"
    );
    for (name, from, until) in
        [("before", Duration::ZERO, CALM), ("storm", CALM, end), ("after", end, TIME)]
    {
        let within = |at: &Duration| (from..until).contains(at);
        let mut outcomes = std::collections::BTreeMap::new();
        let offered: Vec<&Call> = calls.iter().filter(|it| within(&it.at)).collect();
        for call in &offered {
            *outcomes.entry(call.outcome.as_str()).or_insert(0) += 1;
        }
        let [requests, repeats] =
            [reached, repeats].map(|times| times.iter().filter(|at| within(at)).count());
        let answers: Vec<String> = outcomes.iter().map(|it| format!("{} {}", it.1, it.0)).collect();
        let (offered, answers) = (offered.len(), answers.join(", "));
        println!("| {name} | {offered} | {requests} | {repeats} | {answers} |");
    }
    let after = calls.iter().filter(|it| it.at >= end);
    let first = after.clone().filter(|it| it.outcome == "OK").map(|it| it.at).min().unwrap();
    let late = after.filter(|it| it.at > first && it.outcome != "OK").count();
    println!("\nfirst answer OK {:.2} s after the storm", (first - end).as_secs_f64());
    println!("calls after that one that were not answered OK: {late}");
}
