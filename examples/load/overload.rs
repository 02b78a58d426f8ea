//! More calls than can be served. What can be served is set by the places at Zentra and the time
//! that each takes there, not by this machine.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::calls::{Call, charge, percentile_ms, steady};
use super::judge;
use super::world::World;

/// Requests at Zentra at once, and how long each is there: 200 a second.
const PLACES: u32 = 20;
const AT_ZENTRA: Duration = Duration::from_millis(100);
/// Offered, in hundredths of what can be served.
const STEPS: [u32; 5] = [50, 90, 100, 150, 300];
const TIME: Duration = Duration::from_secs(10);

pub(crate) async fn run(program: &str) -> ExitCode {
    let places = format!("--zentra-requests-in-flight={PLACES}");
    let calls = format!("--calls-in-flight={}", 2 * PLACES);
    let world = World::start(program, &[&places, &calls]).await;
    let ms = u64::try_from(AT_ZENTRA.as_millis()).unwrap();
    let delay = json!({"route": "create_charge", "kind": "delay_after", "ms": ms, "times": 0});
    world.post("/_simulator/faults", &delay).await;
    let clients = world.clients(8).await;
    let saturation = 1000 * PLACES / u32::try_from(ms).unwrap();
    println!(
        "| offered/s | of what can be served | goodput/s | refused/s | other/s | OK p50, p99 \
         | refused p50, p99 | processor | memory (peak) |\n|---|---|---|---|---|---|---|---|---|"
    );
    let mut rows = Vec::new();
    // The first step only warms up.
    for (step, share) in [STEPS[0]].into_iter().chain(STEPS).enumerate() {
        let rate = saturation * share / 100;
        let token = world.token.clone();
        let before = world.processor_ms();
        let made = steady(&clients, rate, TIME, |number, client| {
            charge(client, token.clone(), format!("step-{step}-{number}"))
        });
        let made = made.await;
        if step > 0 {
            let used = world.processor_ms() - before;
            rows.push(row(rate, share, &made, used, world.memory_kib()));
        }
    }
    let ledger = world.ledger().await;
    let rows_of = |name: &str| ledger[name].as_array().cloned().unwrap_or_default();
    let mut posts = rows_of("posts");
    // The one that saved the card is no charge.
    posts.retain(|post| post["route"] == "create_charge");
    let counts = [posts.len(), rows_of("charges").len()];
    println!("\nat Zentra: {} POSTs of charges, {} charges", counts[0], counts[1]);
    for post in twice(&posts) {
        println!("not the only POST of its reference: {post}");
    }
    judge(&promises(&rows, counts))
}

/// The POSTs whose reference another one has too, as they stand in the ledger.
fn twice(posts: &[Value]) -> Vec<&Value> {
    let mut by_reference = BTreeMap::<_, Vec<_>>::new();
    for post in posts {
        by_reference.entry(post["reference"].to_string()).or_default().push(post);
    }
    by_reference.into_values().filter(|posts| posts.len() > 1).flatten().collect()
}

/// What a row of the table comes to.
struct Row {
    goodput: f64,
    refused_p99_ms: f64,
    peak_kib: u64,
}

/// What holds at three times the load that can be served.
fn promises(rows: &[Row], [posts, charges]: [usize; 2]) -> Vec<(bool, String)> {
    let peak = rows.iter().map(|it| it.goodput).fold(0.0, f64::max);
    let (at_capacity, overloaded) = (&rows[2], &rows[rows.len() - 1]);
    let (goodput, p99) = (overloaded.goodput, overloaded.refused_p99_ms);
    let memory = (at_capacity.peak_kib, overloaded.peak_kib);
    vec![
        (goodput >= 0.9 * peak, format!("goodput {goodput:.1}/s is 90 % of the peak {peak:.1}/s")),
        (p99 < 10.0, format!("refusals take under 10 ms at p99, not {p99:.1} ms")),
        (memory.1 * 4 <= memory.0 * 5, format!("memory stays bounded: {memory:?} KiB")),
        (posts == charges, format!("each charge is one POST: {posts} POSTs, {charges} charges")),
    ]
}

fn row(rate: u32, share: u32, calls: &[Call], used_ms: u64, (memory, peak): (u64, u64)) -> Row {
    let with = |wanted: &str| -> Vec<Duration> {
        calls.iter().filter(|it| it.outcome == wanted).map(|it| it.took).collect()
    };
    let (good, refused) = (with("OK"), with("OVERLOADED"));
    let other = calls.len() - good.len() - refused.len();
    let per_second = |count: usize| count as f64 / TIME.as_secs_f64();
    let times = |times: &[Duration]| match times {
        [] => "–".to_owned(),
        times => {
            let [half, most] = [0.5, 0.99].map(|share| percentile_ms(times.to_vec(), share));
            format!("{half:.1}, {most:.1} ms")
        }
    };
    println!(
        "| {rate} | {share} % | {:.1} | {:.1} | {:.1} | {} | {} | {:.1} ms/s | {:.1} MiB ({:.1}) |",
        per_second(good.len()),
        per_second(refused.len()),
        per_second(other),
        times(&good),
        times(&refused),
        used_ms as f64 / TIME.as_secs_f64(),
        memory as f64 / 1024.0,
        peak as f64 / 1024.0,
    );
    let refused_p99_ms = if refused.is_empty() { 0.0 } else { percentile_ms(refused, 0.99) };
    Row { goodput: per_second(good.len()), refused_p99_ms, peak_kib: peak }
}
