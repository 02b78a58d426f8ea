//! `dev`: a simulated Zentra and a sidecar in one process, and the payment flow run once.

mod flow;
mod screen;

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser};
use secrecy::SecretString;

use super::serve::until_signalled;
use super::{failed, say, wrong_settings};
use crate::app::{self, Parts, Running};
use crate::clock::SystemClock;
use crate::config::{Faults, ServeArgs, Settings};
use crate::shutdown::Signals;
use crate::simulator::{self, Simulator};
use crate::telemetry::audit::Audit;
use crate::telemetry::lines::Lines;
use crate::telemetry::logs;
use crate::telemetry::settings::OtelSettings;
use crate::telemetry::start::{self as telemetry, Exports, FLUSH};

/// Which ports, and how much to do.
#[derive(Args, Clone, Debug)]
pub struct DevArgs {
    /// Where gRPC is served [default: 127.0.0.1:50051, or a free port where that is taken]
    #[arg(long, env = "SIDECAR_LISTEN", value_name = "ADDRESS")]
    listen: Option<String>,

    /// Where health is served over HTTP [default: 127.0.0.1:9464, or a free port]
    #[arg(long, env = "SIDECAR_ADMIN_LISTEN", value_name = "ADDRESS")]
    admin_listen: Option<String>,

    /// Where the simulated Zentra is served [default: 127.0.0.1:8089, or a free port]
    #[arg(long, env = "SIMULATOR_LISTEN", value_name = "ADDRESS")]
    simulator_listen: Option<SocketAddr>,

    /// End after the payment flow: with 0 where each step went as expected, else with 1
    #[arg(long, conflicts_with = "no_flow")]
    once: bool,

    /// Serve without running the payment flow
    #[arg(long)]
    no_flow: bool,
}

/// Serve's settings, read as `serve` reads them.
#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    args: ServeArgs,
}

/// Starts both, runs the flow, and goes on serving.
pub async fn run(args: DevArgs) -> ExitCode {
    let read = read(&args, "http://127.0.0.1:1", &simulator_options(&args));
    if let Err(faults) = Faults::with(read, logs::check()) {
        return wrong_settings(faults);
    }
    let signals = match (logs::start("warn"), Signals::listen()) {
        (Ok(()), Ok(signals)) => signals,
        (Err(fault), _) => return wrong_settings(fault),
        (_, Err(fault)) => return failed(format!("cannot listen for signals: {fault}")),
    };
    let (simulator, running, mut exports) = match start(&args).await {
        Ok(started) => started,
        Err(fault) => return failed(fault),
    };
    let Some(grpc) = running.addresses().first().cloned() else {
        return failed("no address to listen on");
    };
    let places = screen::Places {
        grpc: &grpc,
        simulator: &simulator.url(),
        admin: &running.admin_address().to_string(),
    };
    let mut flow = Ok(());
    if !args.no_flow {
        screen::title(&places);
        flow = flow::run(&grpc).await;
        match &flow {
            Ok(()) => screen::what_next(&places),
            Err(fault) => screen::fault(fault),
        }
    }
    if args.once {
        running.shut_down().await;
        exports.flush(FLUSH).await;
        simulator.shutdown().await;
        return if flow.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    say(format!(
        "ready grpc={} simulator={} admin={}",
        places.grpc, places.simulator, places.admin
    ));
    let code = until_signalled(running, signals, &mut exports).await;
    simulator.shutdown().await;
    code
}

async fn start(args: &DevArgs) -> Result<(Simulator, Running, Exports), String> {
    let options = simulator_options(args);
    let clock = Arc::new(SystemClock);
    let simulator = simulator::start(options.clone(), clock.clone())
        .await
        .map_err(|fault| format!("cannot start the simulator: {fault}"))?;
    let settings = read(args, &simulator.url(), &options).map_err(|it| it.to_string())?;
    // The flow is shown on standard output, and is nobody's money.
    let headers = settings.otlp_headers.clone().unwrap_or_default();
    let told = telemetry::start(&settings.otel, &headers, Audit::off(), &Lines::default())?;
    let (telemetry, exports) = told;
    let parts =
        Parts::of(&settings, clock.clone(), telemetry).map_err(|fault| fault.to_string())?;
    // The simulator is as new as the store: nothing was paid before.
    let _ = parts.store.init().await;
    let running = app::start_over(settings, clock, parts).await;
    let running = running.map_err(|fault| fault.to_string())?;
    Ok((simulator, running, exports))
}

fn simulator_options(args: &DevArgs) -> simulator::Options {
    simulator::Options {
        listen: args.simulator_listen.unwrap_or_else(|| or_free(([127, 0, 0, 1], 8089).into())),
        ..simulator::Options::default()
    }
}

/// The sidecar's settings, in front of the simulator at `zentra_url`; binds nothing for long.
fn read(
    args: &DevArgs,
    zentra_url: &str,
    simulator: &simulator::Options,
) -> Result<Settings, Faults> {
    let usual = |port| or_free(([127, 0, 0, 1], port).into()).to_string();
    let mut serve = Serve::parse_from(["dev"]).args;
    serve.listen = args.listen.clone().unwrap_or_else(|| usual(50051));
    serve.admin_listen = args.admin_listen.clone().unwrap_or_else(|| usual(9464));
    serve.zentra_url = Some(zentra_url.to_owned());
    serve.zentra_key_file = None;
    serve.store = Some("memory:".to_owned());
    serve.fingerprint_key_file = None;
    serve.card_data = "accept".to_owned();
    let read = Settings::read(&serve, Some(SecretString::from(simulator.secret_key.as_str())));
    Settings::with_otel(read, OtelSettings::of_process())
}

/// The address, or any free port of its host where it is taken.
fn or_free(address: SocketAddr) -> SocketAddr {
    match TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => SocketAddr::new(address.ip(), 0),
    }
}
