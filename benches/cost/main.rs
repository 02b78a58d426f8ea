//! What a call costs: the sidecar, with everything on, beside the floor, which is a bare tonic
//! handler that makes one reqwest POST. Same contract, same upstream, same load, same run.
//!
//! `scripts/bench` runs it, and hands it the program as production builds it: what `cargo bench`
//! builds has the features of the development dependencies too. Rounds of the contestants take
//! turns, and what is told are medians and ratios: machines differ, and the noise of one hits both.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench that cannot be set up has nothing to say; its report is printed"
)]

mod contestants;
mod floor;
mod load;
mod report;
mod telemetry;
mod upstream;

use std::time::Duration;

use contestants::{Contestant, Usage};
use load::{Load, Measured};
use report::Report;

/// A shape of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// So many calls at once, each followed by the next.
    InFlight(usize),
    /// So many calls a second, whatever becomes of them.
    Paced(u32),
}

const SHAPES: [(&str, Shape); 4] = [
    ("1 in flight", Shape::InFlight(1)),
    ("32 in flight", Shape::InFlight(32)),
    ("256 in flight", Shape::InFlight(256)),
    ("paced at 1,000/s", Shape::Paced(1000)),
];

/// What one round of one contestant came to.
#[derive(Clone, Debug)]
struct Round {
    measured: Measured,
    usage: Usage,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mode = arguments.iter().find(|it| !it.starts_with('-')).map(String::as_str);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match mode {
        Some("upstream") => runtime.block_on(upstream::serve()),
        Some("floor") => runtime.block_on(floor::serve(&arguments[1])),
        _ => {
            let program = program(&arguments);
            let quick = arguments.iter().any(|it| it == "--quick");
            match arguments.iter().any(|it| it == "--telemetry") {
                true => runtime.block_on(telemetry::run(&program, quick)),
                false => runtime.block_on(run(&program, quick)),
            }
        }
    }
}

/// The sidecar that is measured.
fn program(arguments: &[String]) -> String {
    let named = arguments.iter().find_map(|it| it.strip_prefix("--program="));
    let program =
        named.expect("--program=FILE names the sidecar; scripts/bench builds it").to_owned();
    let help = std::process::Command::new(&program).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let has_simulator = help.lines().any(|line| line.trim_start().starts_with("simulate "));
    assert!(help.contains("serve") && !has_simulator, "{program} is not the production build");
    program
}

async fn run(program: &str, quick: bool) {
    let (rounds, time) = if quick { (1, 1) } else { (5, 4) };
    let time = Duration::from_secs(time);
    let stage = contestants::Stage::start(program).await;
    let contestants = [stage.floor().await, stage.sidecar().await];
    for contestant in &contestants {
        load::answers_honestly(contestant).await;
    }
    let mut report = Report::new(&contestants, program);
    tokio::time::sleep(Duration::from_secs(1)).await;
    report.idle(&contestants);
    for (name, shape) in SHAPES {
        let mut all = vec![Vec::new(); contestants.len()];
        for _ in 0..rounds {
            for (contestant, rounds) in contestants.iter().zip(&mut all) {
                rounds.push(round(&stage, contestant, shape, time).await);
            }
        }
        report.shape(name, &all);
    }
    let sidecar = &contestants[1];
    let mut replays = Vec::new();
    let load = Load::replays(sidecar).await;
    for _ in 0..rounds {
        replays.push(round_of(&stage, sidecar, &load, Shape::InFlight(32), time).await);
    }
    report.replays(&replays);
    report.print();
}

async fn round(
    stage: &contestants::Stage,
    contestant: &Contestant,
    shape: Shape,
    time: Duration,
) -> Round {
    let load = Load::firsts(contestant).await;
    round_of(stage, contestant, &load, shape, time).await
}

async fn round_of(
    stage: &contestants::Stage,
    contestant: &Contestant,
    load: &Load,
    shape: Shape,
    time: Duration,
) -> Round {
    load.run(shape, time / 4).await;
    let before = stage.usage(contestant);
    let measured = load.run(shape, time).await;
    Round { measured, usage: stage.usage(contestant).since(&before) }
}
