//! What telemetry costs: the same sidecar three times, with traces and pushed metrics off, with one
//! call in a hundred sampled, and with every call sampled. Log lines, the audit log and `/metrics`
//! are on in all three.

use std::time::Duration;

use super::report::{cost_us, median};
use super::{Shape, contestants, load, round};

const SHAPES: [(&str, Shape); 2] =
    [("32 in flight", Shape::InFlight(32)), ("256 in flight", Shape::InFlight(256))];

pub(crate) async fn run(program: &str, quick: bool) {
    let (rounds, time) = if quick { (1, 1) } else { (25, 1) };
    let time = Duration::from_secs(time);
    let stage = contestants::Stage::start(program).await;
    let (_collector, endpoint) = stage.collector().await;
    let told = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        // The standard's default is a minute, which is longer than most rounds.
        ("OTEL_METRIC_EXPORT_INTERVAL", "10000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "65536"),
    ];
    let sampler = ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
    let with = |more: &[(&'static str, &'static str)]| -> Vec<(&str, &str)> {
        told.iter().copied().chain(more.iter().copied()).collect()
    };
    let contestants = [
        stage.sidecar_with("off", &with(&[("OTEL_SDK_DISABLED", "true")])).await,
        stage.sidecar_with("1 %", &with(&[sampler, ("OTEL_TRACES_SAMPLER_ARG", "0.01")])).await,
        stage.sidecar_with("100 %", &with(&[sampler, ("OTEL_TRACES_SAMPLER_ARG", "1")])).await,
    ];
    for contestant in &contestants {
        load::answers_honestly(contestant).await;
    }
    println!("| processor time a call | off | 1 % | to off | 100 % | to off |");
    println!("|---|---|---|---|---|---|");
    for (name, shape) in SHAPES {
        let mut all = vec![Vec::new(); contestants.len()];
        for number in 0..rounds {
            // Each is first in one of three: none always comes after the same one.
            for place in 0..contestants.len() {
                let which = (number + place) % contestants.len();
                all[which].push(round(&stage, &contestants[which], shape, time).await);
            }
        }
        let [off, few, every] = [0, 1, 2].map(|at| median(&all[at], cost_us));
        // Each round beside its neighbours: what slows the machine slows all three.
        let to_off = |at: usize| {
            let mut ratios: Vec<f64> =
                all[0].iter().zip(&all[at]).map(|(off, on)| cost_us(on) / cost_us(off)).collect();
            ratios.sort_by(f64::total_cmp);
            ratios[ratios.len() / 2]
        };
        println!(
            "| {name} | {off:.1} µs | {few:.1} µs | {:.3} | {every:.1} µs | {:.3} |",
            to_off(1),
            to_off(2)
        );
    }
}
