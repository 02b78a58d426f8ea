//! What a simulator is started with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::core::{DeclineForm, EnvelopeForm, RefundReference, Settings, SignatureForm};

/// All choices at the start. The defaults need no set-up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen. Default `127.0.0.1:0`: a free port, on loopback only.
    pub listen: SocketAddr,
    /// The bearer key that is accepted. Default `sk_simulated_0000000000000000`.
    pub secret_key: String,
    /// The form of success and error bodies. Default A.
    pub envelope: EnvelopeForm,
    /// Whether a repeated `idempotency_key` gives the first result. Default true.
    pub dedupe_by_key: bool,
    /// Whether a reference can be used once only. Default true.
    pub dedupe_by_reference: bool,
    /// How long an `idempotency_key` is remembered. Default 24 h.
    pub key_retention: Duration,
    /// Requests let through in a minute. Default 0: none is refused.
    pub requests_per_minute: u32,
    /// How a decline is answered. Default: a charge that failed.
    pub declines: DeclineForm,
    /// Which reference a refund is known by. Default: the caller's.
    pub refund_reference: RefundReference,
    /// Whether a refund of more than is left of its charge is refused. Default true.
    pub check_refunds: bool,
    /// Where `redirect_url` points, such as `http://simulator:8089`. Default: the bound address.
    pub public_url: Option<String>,
    /// Where events are sent. Default none: no deliveries.
    pub webhook_url: Option<String>,
    /// Signs the deliveries. Default `whsec_simulated_0000000000000000`.
    pub webhook_secret: String,
    /// The signature's form. Default: with a timestamp.
    pub webhook_signature: SignatureForm,
    /// Deliveries tried for one event. Default 6.
    pub webhook_attempts: u32,
    /// The wait before the second delivery; doubled each time. Default 1 s.
    pub webhook_backoff: Duration,
    /// Rows kept of each kind before the oldest is forgotten. Default 100,000.
    pub capacity: usize,
    /// Connections served at once; more of them wait. Default 1,024.
    pub connections: usize,
    /// Makes ids and chances come out the same. Default 0: other ids at each start, so that a
    /// store that outlives the simulator never sees one twice.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secret_key: settings.secret_keys.into_iter().next().unwrap_or_default(),
            envelope: settings.envelope,
            dedupe_by_key: settings.dedupe_by_key,
            dedupe_by_reference: settings.dedupe_by_reference,
            key_retention: settings.key_retention,
            requests_per_minute: settings.requests_per_minute,
            declines: settings.declines,
            refund_reference: settings.refund_reference,
            check_refunds: settings.check_refunds,
            public_url: None,
            webhook_url: settings.webhook_url,
            webhook_secret: settings.webhook_secret,
            webhook_signature: settings.webhook_signature,
            webhook_attempts: settings.webhook_attempts,
            webhook_backoff: settings.webhook_backoff,
            capacity: settings.capacity,
            connections: 1024,
            seed: 0,
        }
    }
}

impl Options {
    /// The core's settings, once the address is known.
    pub(crate) fn settings(&self, bound: SocketAddr, now: jiff::Timestamp) -> Settings {
        let here = || url_from_here(bound);
        // The low bits of the nanoseconds are as good as any other start value.
        let started = now.as_nanosecond().unsigned_abs() & u128::from(u64::MAX);
        let started = u64::try_from(started).unwrap_or(1);
        Settings {
            secret_keys: vec![self.secret_key.clone()],
            expired_keys: Vec::new(),
            envelope: self.envelope,
            dedupe_by_key: self.dedupe_by_key,
            dedupe_by_reference: self.dedupe_by_reference,
            key_retention: self.key_retention,
            requests_per_minute: self.requests_per_minute,
            declines: self.declines,
            refund_reference: self.refund_reference,
            check_refunds: self.check_refunds,
            public_url: self.public_url.clone().unwrap_or_else(here),
            webhook_url: self.webhook_url.clone(),
            webhook_secret: self.webhook_secret.clone(),
            webhook_signature: self.webhook_signature,
            webhook_hold: false,
            webhook_attempts: self.webhook_attempts,
            webhook_backoff: self.webhook_backoff,
            capacity: self.capacity,
            seed: if self.seed == 0 { started } else { self.seed },
        }
    }
}

/// The URL of a bound address. One that stands for all of the machine's is nobody's to call: it
/// becomes the loopback address.
pub(super) fn url_from_here(mut bound: SocketAddr) -> String {
    match bound.ip() {
        IpAddr::V4(address) if address.is_unspecified() => bound.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(address) if address.is_unspecified() => bound.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{bound}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_stands_for_all_is_called_by_loopback() {
        let url = |bound: &str| url_from_here(bound.parse().unwrap());
        assert_eq!(url("0.0.0.0:8089"), "http://127.0.0.1:8089");
        assert_eq!(url("[::]:8089"), "http://[::1]:8089");
        assert_eq!(url("192.0.2.1:8089"), "http://192.0.2.1:8089");
    }
}
