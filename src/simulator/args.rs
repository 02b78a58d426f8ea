//! The flags of `zentra-sidecar simulate`. Each one is an environment variable too.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::core::{DeclineForm, EnvelopeForm, RefundReference, SignatureForm};
use super::options::Options;

/// Runs a simulated Zentra alone, for development and tests.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, env = "SIMULATOR_LISTEN", default_value = "127.0.0.1:8089")]
    pub listen: SocketAddr,
    /// The bearer key that is accepted (a made-up one: never a real key)
    #[arg(
        long,
        env = "SIMULATOR_SECRET_KEY",
        default_value = "sk_simulated_0000000000000000",
        hide_env_values = true
    )]
    pub secret_key: String,
    /// The form of success and error bodies
    #[arg(long, env = "SIMULATOR_ENVELOPE", value_enum, default_value_t, ignore_case = true)]
    pub envelope: EnvelopeForm,
    /// Whether a repeated idempotency_key gives the first result
    #[arg(long, env = "SIMULATOR_DEDUPE_BY_KEY", default_value_t = true, action = clap::ArgAction::Set)]
    pub dedupe_by_key: bool,
    /// Whether a reference can be used once only
    #[arg(long, env = "SIMULATOR_DEDUPE_BY_REFERENCE", default_value_t = true, action = clap::ArgAction::Set)]
    pub dedupe_by_reference: bool,
    /// Seconds for which an idempotency_key is remembered
    #[arg(long, env = "SIMULATOR_KEY_RETENTION_SECONDS", default_value_t = 86_400)]
    pub key_retention_seconds: u64,
    /// Requests let through in a minute; 0 refuses none
    #[arg(long, env = "SIMULATOR_REQUESTS_PER_MINUTE", default_value_t = 0)]
    pub requests_per_minute: u32,
    /// How a decline is answered: a charge that failed, or a 422
    #[arg(long, env = "SIMULATOR_DECLINES", value_enum, default_value_t)]
    pub declines: DeclineForm,
    /// Whether a refund keeps the caller's reference or gets an own one
    #[arg(long, env = "SIMULATOR_REFUND_REFERENCE", value_enum, default_value_t)]
    pub refund_reference: RefundReference,
    /// Whether a refund of more than is left of its charge is refused
    #[arg(long, env = "SIMULATOR_CHECK_REFUNDS", default_value_t = true, action = clap::ArgAction::Set)]
    pub check_refunds: bool,
    /// Where redirect_url points, such as http://simulator:8089 (default: the bound address)
    #[arg(long, env = "SIMULATOR_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Where events are sent (default: nowhere)
    #[arg(long, env = "SIMULATOR_WEBHOOK_URL")]
    pub webhook_url: Option<String>,
    /// Signs the events
    #[arg(
        long,
        env = "SIMULATOR_WEBHOOK_SECRET",
        default_value = "whsec_simulated_0000000000000000",
        hide_env_values = true
    )]
    pub webhook_secret: String,
    /// The form of the events' signature
    #[arg(long, env = "SIMULATOR_WEBHOOK_SIGNATURE", value_enum, default_value_t)]
    pub webhook_signature: SignatureForm,
    /// Deliveries tried for one event
    #[arg(long, env = "SIMULATOR_WEBHOOK_ATTEMPTS", default_value_t = 6)]
    pub webhook_attempts: u32,
    /// Milliseconds before the second delivery, doubled each time
    #[arg(long, env = "SIMULATOR_WEBHOOK_BACKOFF_MS", default_value_t = 1_000)]
    pub webhook_backoff_ms: u64,
    /// Rows kept of each kind before the oldest is forgotten
    #[arg(long, env = "SIMULATOR_CAPACITY", default_value_t = 100_000)]
    pub capacity: usize,
    /// Connections served at once
    #[arg(long, env = "SIMULATOR_CONNECTIONS", default_value_t = 1_024)]
    pub connections: usize,
    /// Makes ids and chances come out the same each time; 0 takes others at each start
    #[arg(long, env = "SIMULATOR_SEED", default_value_t = 0)]
    pub seed: u64,
}

impl From<SimulateArgs> for Options {
    fn from(args: SimulateArgs) -> Self {
        Self {
            listen: args.listen,
            secret_key: args.secret_key,
            envelope: args.envelope,
            dedupe_by_key: args.dedupe_by_key,
            dedupe_by_reference: args.dedupe_by_reference,
            key_retention: Duration::from_secs(args.key_retention_seconds),
            requests_per_minute: args.requests_per_minute,
            declines: args.declines,
            refund_reference: args.refund_reference,
            check_refunds: args.check_refunds,
            public_url: args.public_url,
            webhook_url: args.webhook_url.filter(|url| !url.is_empty()),
            webhook_secret: args.webhook_secret,
            webhook_signature: args.webhook_signature,
            webhook_attempts: args.webhook_attempts,
            webhook_backoff: Duration::from_millis(args.webhook_backoff_ms),
            capacity: args.capacity,
            connections: args.connections,
            seed: args.seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: SimulateArgs,
    }

    #[test]
    fn the_flags_defaults_are_the_options_defaults_but_for_the_port() {
        let parsed = Command::try_parse_from(["simulate"]).unwrap().args;
        let options = Options { listen: Options::default().listen, ..parsed.into() };
        assert_eq!(format!("{options:?}"), format!("{:?}", Options::default()));
    }
}
