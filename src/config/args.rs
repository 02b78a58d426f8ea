//! Every setting as a flag and an environment variable. The values are texts here, so that all
//! of them can be checked together.

use clap::Args;

/// The settings of `serve` and `config`.
///
/// Zentra's secret key has no flag: arguments can be read by every process of the machine. It
/// comes from a file, or from the variable `ZENTRA_SECRET_KEY`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Where gRPC is served: `ADDRESS:PORT` or `unix:/path`; several, separated by commas
    #[arg(long, env = "SIDECAR_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: String,

    /// Where `/livez` and `/readyz` are served over HTTP
    #[arg(long, env = "SIDECAR_ADMIN_LISTEN", default_value = "127.0.0.1:9464")]
    pub admin_listen: String,

    /// Allow gRPC without TLS on addresses that other machines can reach
    #[arg(long, env = "SIDECAR_INSECURE_LISTEN")]
    pub insecure_listen: bool,

    /// Zentra's address; follows from the key where not given
    #[arg(long, env = "ZENTRA_URL", value_name = "URL")]
    pub zentra_url: Option<String>,

    /// The file that holds Zentra's secret key [or the key itself in env: ZENTRA_SECRET_KEY]
    #[arg(long, env = "ZENTRA_SECRET_KEY_FILE", value_name = "FILE")]
    pub zentra_key_file: Option<String>,

    /// The name of the Zentra account that this process serves
    #[arg(long, env = "SIDECAR_ACCOUNT", default_value = "default", value_name = "NAME")]
    pub account: String,

    /// Who calls: `namespace/serviceaccount` in Kubernetes, else a name. Part of the scope of
    /// idempotency keys
    #[arg(long, env = "SIDECAR_CALLER", default_value = "local", value_name = "NAME")]
    pub caller: String,

    /// Whether Tokenize is served: `refuse` or `accept`
    #[arg(long, env = "SIDECAR_CARD_DATA", default_value = "refuse", value_name = "MODE")]
    pub card_data: String,

    /// Calls with a shorter deadline than this are refused, in milliseconds
    #[arg(long, env = "SIDECAR_MINIMUM_DEADLINE_MS", default_value = "100", value_name = "MS")]
    pub minimum_deadline_ms: String,

    /// How long before the caller's deadline the answer leaves, in milliseconds
    #[arg(long, env = "SIDECAR_DEADLINE_MARGIN_MS", default_value = "100", value_name = "MS")]
    pub deadline_margin_ms: String,

    /// The deadline of a call whose caller gives none, in seconds
    #[arg(long, env = "SIDECAR_DEFAULT_DEADLINE_SECONDS", default_value = "15", value_name = "S")]
    pub default_deadline_seconds: String,

    /// How long a connection to Zentra may take, in milliseconds
    #[arg(long, env = "SIDECAR_CONNECT_TIMEOUT_MS", default_value = "1000", value_name = "MS")]
    pub connect_timeout_ms: String,

    /// How long one exchange with Zentra may take, in seconds
    #[arg(long, env = "SIDECAR_ATTEMPT_TIMEOUT_SECONDS", default_value = "10", value_name = "S")]
    pub attempt_timeout_seconds: String,

    /// How long calls under way have to end after SIGTERM, in seconds
    #[arg(long, env = "SIDECAR_DRAIN_SECONDS", default_value = "25", value_name = "S")]
    pub drain_seconds: String,
}

/// The environment variable of a flag, for messages. A test compares it with clap's own.
pub(super) fn variable(flag: &str) -> String {
    match flag {
        "--zentra-url" => "ZENTRA_URL".to_owned(),
        "--zentra-key-file" => "ZENTRA_SECRET_KEY_FILE".to_owned(),
        _ => {
            let name = flag.trim_start_matches('-').replace('-', "_").to_ascii_uppercase();
            format!("SIDECAR_{name}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_a_flag_and_a_variable() {
        let command = ServeArgs::augment_args(clap::Command::new("serve"));
        for argument in command.get_arguments() {
            let flag = format!("--{}", argument.get_long().unwrap());
            let variable = argument.get_env().unwrap().to_str().unwrap();
            assert_eq!(super::variable(&flag), variable);
        }
    }
}
