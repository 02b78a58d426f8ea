//! What telemetry costs: the same sidecar with traces and pushed metrics off, with one call in a hundred
//! sampled, and with every call sampled. Log lines, the audit log and `/metrics` are on in all.
//!
//! Two processes of one program differ by some percent for as long as they live, as by where their
//! memory lies. So each round has processes of its own, in another order than the one before, and one
//! more that is off like the first: what those two differ by is what the other ratios are good for. It
//! takes many rounds to tell a percent from that, and each ratio comes with what it may be off by.

use std::time::Duration;

use super::report::{cost_us, median};
use super::{Round, Shape, contestants, load, round};

const SHAPES: [(&str, Shape); 2] =
    [("32 in flight", Shape::InFlight(32)), ("256 in flight", Shape::InFlight(256))];
const NAMES: [&str; 4] = ["off", "off again", "1 %", "100 %"];

pub(crate) async fn run(program: &str, quick: bool) {
    let (rounds, time) = if quick { (1, 1) } else { (41, 2) };
    let time = Duration::from_secs(time);
    let stage = contestants::Stage::start(program).await;
    let (_collector, endpoint) = stage.collector().await;
    let mut all = vec![vec![Vec::new(); NAMES.len()]; SHAPES.len()];
    for number in 0..rounds {
        let contestants = contestants(&stage, &endpoint).await;
        for (at, (_, shape)) in SHAPES.into_iter().enumerate() {
            for place in 0..NAMES.len() {
                let place = if number % 2 == 0 { place } else { NAMES.len() - 1 - place };
                let which = (number / 2 + place) % NAMES.len();
                all[at][which].push(round(&stage, &contestants[which], shape, time).await);
            }
        }
    }
    println!(
        "| processor time a call | off | off again | to off | 1 % | to off | 100 % | to off |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for ((name, _), all) in SHAPES.into_iter().zip(&all) {
        let told: Vec<String> = (1..NAMES.len())
            .map(|at| format!("{:.1} µs | {}", median(&all[at], cost_us), to_off(all, at)))
            .collect();
        println!("| {name} | {:.1} µs | {} |", median(&all[0], cost_us), told.join(" | "));
    }
}

/// One of each, all of one store, upstream and collector.
async fn contestants(
    stage: &contestants::Stage,
    endpoint: &str,
) -> [contestants::Contestant; NAMES.len()] {
    let told = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        // The standard's default is a minute, which most rounds would see nothing of: six times as often.
        ("OTEL_METRIC_EXPORT_INTERVAL", "10000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "65536"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
    ];
    let with = |more: (&'static str, &'static str)| [&told[..], &[more]].concat();
    let [few, every] = ["0.01", "1"].map(|part| with(("OTEL_TRACES_SAMPLER_ARG", part)));
    let off = [&every[..], &[("OTEL_SDK_DISABLED", "true")]].concat();
    let contestants = [
        stage.sidecar_with(NAMES[0], &off).await,
        stage.sidecar_with(NAMES[1], &off).await,
        stage.sidecar_with(NAMES[2], &few).await,
        stage.sidecar_with(NAMES[3], &every).await,
    ];
    for contestant in &contestants {
        load::answers_honestly(contestant).await;
    }
    contestants
}

/// The median over the rounds of each one's own ratio, as what slows the machine slows all of a round;
/// and between which two of them the true median lies in 95 of 100 such runs at least. Of few rounds
/// nothing can be said.
fn to_off(all: &[Vec<Round>], at: usize) -> String {
    let mut ratios: Vec<f64> =
        all[0].iter().zip(&all[at]).map(|(off, on)| cost_us(on) / cost_us(off)).collect();
    ratios.sort_by(f64::total_cmp);
    // How many rounds fall below the median is as with coins; 1.96 of their deviations are the 95.
    let (rounds, middle) = (ratios.len(), format!("{:.3}", ratios[ratios.len() / 2]));
    let below = ((rounds as f64 - 1.96 * (rounds as f64).sqrt()) / 2.0) as usize;
    match below {
        0 => middle,
        _ => format!("{middle} ({:.3} to {:.3})", ratios[below - 1], ratios[rounds - below]),
    }
}
