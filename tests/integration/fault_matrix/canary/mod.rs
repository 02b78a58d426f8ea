//! Card data goes to Zentra and nowhere else: ten thousand calls over every success and error
//! path, and then a search of everything that they left behind.

mod cards;
mod paths;
mod planting;
mod reasons;
mod records;
mod routes;
mod scanner;
mod sinks;

use std::sync::Mutex;

use futures_util::StreamExt as _;
use futures_util::stream;
use zentra_sidecar::grpc::proto::payment_service_client::PaymentServiceClient;

use self::paths::{At, Path, Told, paths};
use self::planting::planted;
use self::scanner::Scanner;
use self::sinks::{COLLECTOR_TOKEN, STORE_PASSWORD, Watched};
use super::lab::KEY;

const CALLS: usize = 10_000;
const AT_ONCE: usize = 48;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_leave_no_card_data_anywhere() {
    let watched = Watched::start("info,zentra_sidecar=trace").await;
    let calls_each = CALLS.div_ceil(paths().len());
    leave_nothing(&watched, calls_each, AT_ONCE).await;
    planted(watched).await;
}

/// The libraries below say at this level what goes over their sockets, and how.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_calls_whose_every_trace_line_is_written() {
    let watched = Watched::start("trace").await;
    leave_nothing(&watched, 4, 1).await;
    let stderr = String::from_utf8(watched.sinks().await.remove("stderr").unwrap()).unwrap();
    for library in ["h2::", "hyper", "tonic"] {
        let told = stderr.contains(&format!("\"target\":\"{library}"));
        assert!(told, "{library} says nothing at this level, and is not looked at");
    }
}

/// Makes calls over every path, and looks through everything that they left behind.
async fn leave_nothing(watched: &Watched, calls_each: usize, at_once: usize) {
    let paths = paths();
    let answers = Mutex::new(Vec::new());
    for (number, path) in paths.iter().enumerate() {
        let indices = number * calls_each..(number + 1) * calls_each;
        let told = drive(watched, path, indices, at_once, &answers).await;
        let some = told.iter().any(|answer| answer.contains(path.told));
        let few = &told[..told.len().min(3)];
        assert!(some, "{} never told {}: {few:#?}", path.name, path.told);
    }
    watched.look_up_in_the_background().await;
    watched.operate_on_records().await;
    let scanner = scanner(calls_each * paths.len());
    watched.until_all_has_left().await;
    let mut sinks = watched.sinks().await;
    sinks.insert("answers", answers.into_inner().unwrap());
    for (sink, text) in &sinks {
        // A page has a word or two.
        let least = if *sink == "pages" { 100 } else { 1000 };
        assert!(text.len() > least, "{sink} was looked at, and is all but empty");
    }
    let hits = scanner.hits(&sinks);
    assert!(hits.is_empty(), "{} hits, such as {:?}", hits.len(), &hits[..hits.len().min(10)]);
    let holding = scanner::holding_code(&sinks, cards::is_security_code);
    assert!(holding.is_empty(), "a security code stands in {holding:?}");
}

/// Looks for all that so many calls bring along, and for what the processes themselves keep secret.
fn scanner(calls: usize) -> Scanner {
    let of_cards = (0..calls).chain([paths::ECHOED, cards::KEPT]).flat_map(cards::secrets);
    let of_processes = [KEY, STORE_PASSWORD, COLLECTOR_TOKEN].map(str::to_owned);
    Scanner::new(beginnings(), of_cards.chain(of_processes))
}

/// How all of that begins; what is there but once is whole.
fn beginnings() -> Vec<String> {
    let of_cards = [cards::NUMBERS, cards::ACCOUNTS, cards::HOLDERS];
    let of_processes = [KEY, STORE_PASSWORD, COLLECTOR_TOKEN];
    let texts = of_cards.into_iter().chain(of_processes).map(str::to_owned);
    texts.chain([crate::support::payment::key_line(1)]).collect()
}

/// Runs a path's calls, keeps all that callers get to see, and gives it.
async fn drive(
    watched: &Watched,
    path: &Path,
    indices: std::ops::Range<usize>,
    at_once: usize,
    answers: &Mutex<Vec<u8>>,
) -> Vec<String> {
    (path.prepare)(&watched.lab);
    let ending = match path.at {
        At::Ending => Some(watched.ending().await),
        _ => None,
    };
    let sidecar = ending.as_ref().unwrap_or_else(|| &watched.sidecars[&path.at]);
    let client = || match path.at {
        // Its connections end, and each call needs one of its own.
        At::Ending => PaymentServiceClient::new(sidecar.channel_in_time()),
        _ => sidecar.client.clone(),
    };
    let calls: Vec<Told> = match path.bytes {
        None => indices.map(|index| (path.call)(client(), index)).collect(),
        Some(bytes) => {
            let channel = sidecar.channel().await;
            indices.map(|index| paths::send_bytes(channel.clone(), bytes(index))).collect()
        }
    };
    let told: Vec<String> = stream::iter(calls).buffer_unordered(at_once).collect().await;
    watched.lab.zentra.clear_faults();
    if let Some(logged) = path.logged {
        sidecar.said(logged).await;
    }
    if let Some(sidecar) = ending {
        watched.end(sidecar, "USR1").await;
    }
    let mut answers = answers.lock().unwrap();
    for text in &told {
        answers.extend_from_slice(text.as_bytes());
        answers.push(b'\n');
    }
    told
}
