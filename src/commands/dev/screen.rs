//! What `dev` shows: aligned, coloured on a terminal, plain in a pipe.

use std::io::IsTerminal;
use std::time::Duration;

use crate::commands::say;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Where everything listens.
pub(super) struct Places<'a> {
    /// The sidecar.
    pub(super) grpc: &'a str,
    /// The simulated Zentra.
    pub(super) simulator: &'a str,
    /// Health over HTTP.
    pub(super) admin: &'a str,
}

pub(super) fn title(places: &Places<'_>) {
    let text = "A sidecar and a simulated Zentra in one process. No money moves.";
    say(format!("{}\n", styled(BOLD, text)));
    say(format!("  gRPC       {}", places.grpc));
    say(format!("  simulator  {}", places.simulator));
    say(format!("  health     http://{}/readyz\n", places.admin));
}

/// One step of the flow: what was asked, and what came of it.
pub(super) fn step(
    number: usize,
    rpc: &str,
    asked: &str,
    result: &Result<String, String>,
    time: Duration,
) {
    let milliseconds = time.as_secs_f64() * 1000.0;
    let time = styled(DIM, &format!("{milliseconds:>7.1} ms"));
    let (mark, text) = match result {
        Ok(text) => (styled(GREEN, "ok  "), text),
        Err(text) => (styled(RED, "FAIL"), text),
    };
    say(format!("  {number:>2}  {rpc:<11}  {asked:<44}  {mark}  {time}  {text}"));
}

pub(super) fn what_next(places: &Places<'_>) {
    let grpc = places.grpc;
    say(format!(
        "\n{}\n\
         \n  grpcurl -plaintext {grpc} list zentra.gateway.v1.PaymentService\
         \n  grpcurl -plaintext -d '{{\"page_size\": 5}}' {grpc} zentra.gateway.v1.PaymentService/ListCharges\
         \n  buf curl --protocol grpc --http2-prior-knowledge -d '{{\"page_size\": 5}}' \\\
         \n      http://{grpc}/zentra.gateway.v1.PaymentService/ListCharges\
         \n  curl {}/_simulator/ledger\
         \n  zentra-sidecar proto --out proto    {}\n",
        styled(BOLD, "What to try next"),
        places.simulator,
        styled(DIM, "the .proto files, to generate a client"),
    ));
}

pub(super) fn fault(fault: &str) {
    say(format!("\n{} {fault}", styled(RED, "The flow did not go as expected:")));
}

fn styled(style: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("{style}{text}{PLAIN}") } else { text.to_owned() }
}
