//! More calls than can be served. What can be served is set by the places at Zentra and the time
//! that each takes there, not by this machine.

use std::time::Duration;

use serde_json::json;

use super::calls::{Call, charge, percentile_ms, steady};
use super::world::World;

/// Requests at Zentra at once, and how long each is there: 200 a second.
const PLACES: u32 = 20;
const AT_ZENTRA: Duration = Duration::from_millis(100);
/// Offered, in hundredths of what can be served.
const STEPS: [u32; 5] = [50, 90, 100, 150, 300];
const TIME: Duration = Duration::from_secs(10);

pub(crate) async fn run(program: &str) {
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
         | refused p50, p99 | memory (peak) |\n|---|---|---|---|---|---|---|---|"
    );
    // The first step only warms up.
    for (step, share) in [STEPS[0]].into_iter().chain(STEPS).enumerate() {
        let rate = saturation * share / 100;
        let token = world.token.clone();
        let made = steady(&clients, rate, TIME, |number, client| {
            charge(client, token.clone(), format!("step-{step}-{number}"))
        });
        let made = made.await;
        if step > 0 {
            row(rate, share, &made, world.memory_kib());
        }
    }
    let ledger = world.ledger().await;
    let (posts, charges) = (&ledger["posts"], &ledger["charges"]);
    let counts = [posts, charges].map(|rows| rows.as_array().map_or(0, Vec::len));
    println!(
        "\nat Zentra: {} POSTs, {} charges, of which one saved the card",
        counts[0], counts[1]
    );
}

fn row(rate: u32, share: u32, calls: &[Call], (memory, peak): (u64, u64)) {
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
        "| {rate} | {share} % | {:.1} | {:.1} | {:.1} | {} | {} | {:.1} MiB ({:.1}) |",
        per_second(good.len()),
        per_second(refused.len()),
        per_second(other),
        times(&good),
        times(&refused),
        memory as f64 / 1024.0,
        peak as f64 / 1024.0,
    );
}
