//! `health`: asks a sidecar whether it serves; for exec probes.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{failed, say};
use crate::config::ListenAddress;

/// Whom to ask, and how long to wait.
#[derive(Args, Clone, Debug)]
pub struct HealthArgs {
    /// The sidecar's address: `ADDRESS:PORT` or `unix:/path`; the first of several is asked
    #[arg(long, env = "SIDECAR_LISTEN", default_value = "127.0.0.1:50051")]
    listen: String,

    /// The service to ask about; the sidecar as a whole where empty
    #[arg(long, default_value = "")]
    service: String,

    /// How long to wait for the answer, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    timeout_ms: u64,
}

/// Exit code 0 where the sidecar serves, else 1.
pub async fn run(args: HealthArgs) -> ExitCode {
    let first = args.listen.split(',').next().unwrap_or_default().trim();
    let address: ListenAddress = match first.parse() {
        Ok(address) => address,
        Err(fault) => return failed(format!("--listen {fault}")),
    };
    let asked =
        tokio::time::timeout(Duration::from_millis(args.timeout_ms), ask(address, args.service));
    match asked.await {
        Ok(Ok(ServingStatus::Serving)) => {
            say("SERVING");
            ExitCode::SUCCESS
        }
        Ok(Ok(status)) => failed(format!("{} at {first}", status.as_str_name())),
        Ok(Err(fault)) => failed(format!("no answer at {first}: {fault}")),
        Err(_) => failed(format!("no answer at {first} within {} ms", args.timeout_ms)),
    }
}

async fn ask(address: ListenAddress, service: String) -> Result<ServingStatus, String> {
    let channel = connect(address).await.map_err(|fault| fault.to_string())?;
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest { service })
        .await
        .map_err(|status| status.message().to_owned())?;
    Ok(answer.into_inner().status())
}

/// Connects to a sidecar by TCP or Unix socket.
///
/// # Errors
/// Where nobody listens there.
pub(super) async fn connect(address: ListenAddress) -> Result<Channel, tonic::transport::Error> {
    let target = match address {
        ListenAddress::Tcp(address) => format!("http://{address}"),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    };
    Endpoint::from_shared(target)?.connect().await
}
