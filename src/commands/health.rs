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
    /// The sidecar's address: `ADDRESS:PORT` or `unix:/path`; the first of several without TLS
    /// is asked
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
    let (first, address) = match without_tls(&args.listen) {
        Ok(found) => found,
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

/// The first address at which nobody is asked for a certificate, which a probe does not have.
fn without_tls(listen: &str) -> Result<(&str, ListenAddress), &'static str> {
    for text in listen.split(',').map(str::trim) {
        match text.parse()? {
            ListenAddress::Tls(_) => {}
            address => return Ok((text, address)),
        }
    }
    Err("has only addresses with TLS, where a probe would need a certificate; ask /readyz of \
         --admin-listen, or add a Unix socket")
}

async fn ask(address: ListenAddress, service: String) -> Result<ServingStatus, String> {
    let channel = connect(address).await?;
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest { service })
        .await
        .map_err(|status| status.message().to_owned())?;
    Ok(answer.into_inner().status())
}

/// Connects to a sidecar by TCP or Unix socket.
///
/// # Errors
/// Where nobody listens there, or only with TLS.
pub(super) async fn connect(address: ListenAddress) -> Result<Channel, String> {
    let target = match address {
        ListenAddress::Tcp(address) => format!("http://{address}"),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
        ListenAddress::Tls(_) => return Err("it asks for a certificate".to_owned()),
    };
    let endpoint = Endpoint::from_shared(target).map_err(|fault| fault.to_string())?;
    endpoint.connect().await.map_err(|fault| fault.to_string())
}
