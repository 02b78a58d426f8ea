//! Every setting as a flag and an environment variable. The values are texts here, so that all
//! of them can be checked together.

use clap::Args;

/// The settings of `serve` and `config`.
///
/// Zentra's secret key has no flag: arguments can be read by every process of the machine. It
/// comes from a file, or from the variable `ZENTRA_SECRET_KEY`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Where gRPC is served: `ADDRESS:PORT`, `unix:/path` or, with mutual TLS,
    /// `tls://ADDRESS:PORT`; several, separated by commas
    #[arg(long, env = "SIDECAR_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: String,

    /// Where `/livez` and `/readyz` are served over HTTP
    #[arg(long, env = "SIDECAR_ADMIN_LISTEN", default_value = "127.0.0.1:9464")]
    pub admin_listen: String,

    /// Allow gRPC without TLS on addresses that other machines can reach
    #[arg(
        long,
        env = "SIDECAR_INSECURE_LISTEN",
        default_value = "false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub insecure_listen: String,

    /// The PEM file with the sidecar's certificate and its chain, for `tls://` addresses
    #[arg(long, env = "SIDECAR_TLS_CERT_FILE", value_name = "FILE")]
    pub tls_cert_file: Option<String>,

    /// The PEM file with the certificate's private key
    #[arg(long, env = "SIDECAR_TLS_KEY_FILE", value_name = "FILE")]
    pub tls_key_file: Option<String>,

    /// The PEM file with the CAs that callers' certificates come from: the bundle of the trust
    /// domain
    #[arg(long, env = "SIDECAR_TLS_CLIENT_CA_FILE", value_name = "FILE")]
    pub tls_client_ca_file: Option<String>,

    /// The SPIFFE trust domain of the callers
    #[arg(long, env = "SIDECAR_TLS_TRUST_DOMAIN", value_name = "NAME")]
    pub tls_trust_domain: Option<String>,

    /// The SPIFFE ids that may call, separated by commas; `/*` at the end of one stands for all
    /// below it
    #[arg(long, env = "SIDECAR_TLS_ALLOWED_IDS", value_name = "IDS")]
    pub tls_allowed_ids: Option<String>,

    /// The users that may call over Unix sockets, by number, separated by commas; anybody who can
    /// open the socket where not given
    #[arg(long, env = "SIDECAR_UNIX_PEER_UIDS", value_name = "UIDS")]
    pub unix_peer_uids: Option<String>,

    /// Connections at once, over all listeners; more are closed at once
    #[arg(
        long,
        env = "SIDECAR_CONNECTIONS",
        default_value = "1024",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub connections: String,

    /// How long a connection is used, give or take a tenth, before its peer is asked to make a
    /// new one, in seconds
    #[arg(
        long,
        env = "SIDECAR_CONNECTION_AGE_SECONDS",
        default_value = "1800",
        value_name = "S",
        allow_negative_numbers = true
    )]
    pub connection_age_seconds: String,

    /// Zentra's address; follows from the key where not given
    #[arg(long, env = "ZENTRA_URL", value_name = "URL")]
    pub zentra_url: Option<String>,

    /// The file that holds Zentra's secret key [or the key itself in env: ZENTRA_SECRET_KEY]
    #[arg(long, env = "ZENTRA_SECRET_KEY_FILE", value_name = "FILE")]
    pub zentra_key_file: Option<String>,

    /// Where payments are remembered: `redis://HOST:PORT`, `rediss://…`,
    /// `redis+sentinel://HOST,HOST/MASTER`, `redis+cluster://HOST,HOST`, or `memory:` (for
    /// development)
    #[arg(long, env = "SIDECAR_STORE", value_name = "URL")]
    pub store: Option<String>,

    /// The file that holds the store's password
    #[arg(long, env = "SIDECAR_STORE_PASSWORD_FILE", value_name = "FILE")]
    pub store_password_file: Option<String>,

    /// A PEM file with the CAs that the store's certificate may come from
    #[arg(long, env = "SIDECAR_STORE_CA_FILE", value_name = "FILE")]
    pub store_ca_file: Option<String>,

    /// How long one step of the store may take, in milliseconds
    #[arg(
        long,
        env = "SIDECAR_STORE_TIMEOUT_MS",
        default_value = "500",
        value_name = "MS",
        allow_negative_numbers = true
    )]
    pub store_timeout_ms: String,

    /// The file with the keys that tell commands apart: one a line, at least 32 random bytes in
    /// hex or base64; the first signs, all verify. Required with a shared store
    #[arg(long, env = "SIDECAR_FINGERPRINT_KEY_FILE", value_name = "FILE")]
    pub fingerprint_key_file: Option<String>,

    /// How long a payment is held by the process that makes it without being renewed, in seconds
    #[arg(
        long,
        env = "SIDECAR_LEASE_SECONDS",
        default_value = "10",
        value_name = "S",
        allow_negative_numbers = true
    )]
    pub lease_seconds: String,

    /// How long a payment is remembered after its final outcome, in hours
    #[arg(
        long,
        env = "SIDECAR_RETENTION_HOURS",
        default_value = "72",
        value_name = "H",
        allow_negative_numbers = true
    )]
    pub retention_hours: String,

    /// How long Zentra remembers idempotency keys, in hours; after that, less an hour, an unknown
    /// payment is not sent again
    #[arg(
        long,
        env = "SIDECAR_ZENTRA_KEY_RETENTION_HOURS",
        default_value = "24",
        value_name = "H",
        allow_negative_numbers = true
    )]
    pub zentra_key_retention_hours: String,

    /// The time between two passes of the reconciler, in seconds
    #[arg(
        long,
        env = "SIDECAR_RECONCILE_SECONDS",
        default_value = "5",
        value_name = "S",
        allow_negative_numbers = true
    )]
    pub reconcile_seconds: String,

    /// What limits do after the store has lost what they count: `restart`, or `deny` until the
    /// window of the loss is over
    #[arg(long, env = "SIDECAR_LIMITS_AFTER_LOSS", default_value = "restart", value_name = "MODE")]
    pub limits_after_loss: String,

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

    /// The folder of the payment policy: `*.cedar` rules and `limits.toml`; all calls are allowed
    /// where not given
    #[arg(long, env = "SIDECAR_POLICY", value_name = "FOLDER")]
    pub policy: Option<String>,

    /// The folder of a policy on trial, which is asked beside the one in force; differences are
    /// counted and logged
    #[arg(long, env = "SIDECAR_POLICY_CANDIDATE", value_name = "FOLDER")]
    pub policy_candidate: Option<String>,

    /// Whether the policy's denials are enforced: `enforce` or `observe`
    #[arg(long, env = "SIDECAR_POLICY_MODE", default_value = "enforce", value_name = "MODE")]
    pub policy_mode: String,

    /// Calls with a shorter deadline than this are refused, in milliseconds
    #[arg(
        long,
        env = "SIDECAR_MINIMUM_DEADLINE_MS",
        default_value = "100",
        value_name = "MS",
        allow_negative_numbers = true
    )]
    pub minimum_deadline_ms: String,

    /// How long before the caller's deadline the answer leaves, in milliseconds
    #[arg(
        long,
        env = "SIDECAR_DEADLINE_MARGIN_MS",
        default_value = "100",
        value_name = "MS",
        allow_negative_numbers = true
    )]
    pub deadline_margin_ms: String,

    /// The deadline of a call whose caller gives none, in seconds
    #[arg(
        long,
        env = "SIDECAR_DEFAULT_DEADLINE_SECONDS",
        default_value = "15",
        value_name = "S",
        allow_negative_numbers = true
    )]
    pub default_deadline_seconds: String,

    /// Calls that are taken at once; more are refused with OVERLOADED
    #[arg(
        long,
        env = "SIDECAR_CALLS_IN_FLIGHT",
        default_value = "512",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub calls_in_flight: String,

    /// Calls that may wait beside those, for another call's answer or for a final status
    #[arg(
        long,
        env = "SIDECAR_CALLS_WAITING",
        default_value = "4096",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub calls_waiting: String,

    /// Requests that are at Zentra at once; more wait their turn
    #[arg(
        long,
        env = "SIDECAR_ZENTRA_REQUESTS_IN_FLIGHT",
        default_value = "256",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub zentra_requests_in_flight: String,

    /// The HTTP proxy on the way to Zentra, `http://HOST:PORT`; those of the usual variables are
    /// not used
    #[arg(long, env = "SIDECAR_ZENTRA_PROXY", value_name = "URL")]
    pub zentra_proxy: Option<String>,

    /// How long a connection to Zentra may take, in milliseconds
    #[arg(
        long,
        env = "SIDECAR_CONNECT_TIMEOUT_MS",
        default_value = "1000",
        value_name = "MS",
        allow_negative_numbers = true
    )]
    pub connect_timeout_ms: String,

    /// How long one exchange with Zentra may take, in seconds
    #[arg(
        long,
        env = "SIDECAR_ATTEMPT_TIMEOUT_SECONDS",
        default_value = "10",
        value_name = "S",
        allow_negative_numbers = true
    )]
    pub attempt_timeout_seconds: String,

    /// How long calls under way have to end after SIGTERM, in seconds
    #[arg(
        long,
        env = "SIDECAR_DRAIN_SECONDS",
        default_value = "25",
        value_name = "S",
        allow_negative_numbers = true
    )]
    pub drain_seconds: String,

    /// The file that holds the headers that collectors want, such as a token: `NAME=VALUE`, separated
    /// by commas or lines, as in OTEL_EXPORTER_OTLP_HEADERS
    #[arg(long, env = "SIDECAR_OTLP_HEADERS_FILE", value_name = "FILE")]
    pub otlp_headers_file: Option<String>,

    /// Where the audit log goes: `stdout`, `stderr`, `off` or the path of a file
    #[arg(long, env = "SIDECAR_AUDIT_LOG", default_value = "stdout", value_name = "TARGET")]
    pub audit_log: String,
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
