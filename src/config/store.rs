//! The settings of the store and of what is remembered there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{Faults, ServeArgs, secret_file};
use crate::domain::Environment;
use crate::engine::EngineSettings;
use crate::idempotency::redis::StoreUrl;
use crate::idempotency::{AfterLoss, FingerprintKeys, Periods};
use crate::upstream::StackSettings;

/// How long before Zentra forgets a key the last POST of an unknown payment may leave: clocks
/// differ, and a POST takes its time.
const RESEND_MARGIN: Duration = Duration::from_secs(3600);

/// What remembers payments.
pub struct StoreSettings {
    /// Where it is.
    pub url: StoreUrl,
    /// The file with its password.
    pub password_file: Option<PathBuf>,
    /// The file with the CAs of its certificate.
    pub ca_file: Option<PathBuf>,
    /// How long one step may take.
    pub step_timeout: Duration,
    /// What tells commands apart; none makes a key that dies with the process.
    pub keys: Option<Arc<FingerprintKeys>>,
}

impl StoreSettings {
    /// The store as a person reads it; it never holds a password.
    pub(super) fn shown(&self) -> String {
        self.url.to_string()
    }

    pub(super) fn keys_shown(&self) -> String {
        match &self.keys {
            Some(keys) => {
                let ids: Vec<String> =
                    keys.checks().iter().map(|check| hex::encode(check.key_id)).collect();
                ids.join(",")
            }
            None => "made at start".to_owned(),
        }
    }
}

pub(super) fn read(
    args: &ServeArgs,
    environment: Option<Environment>,
    faults: &mut Faults,
) -> Option<StoreSettings> {
    let url = read_url(args, environment, faults);
    let keys = read_keys(args, url.as_ref(), faults);
    let step_timeout = faults.millis("--store-timeout-ms", &args.store_timeout_ms, 10..=60_000);
    let file =
        |path: &Option<String>| path.as_deref().filter(|path| !path.is_empty()).map(PathBuf::from);
    Some(StoreSettings {
        url: url?,
        password_file: file(&args.store_password_file),
        ca_file: file(&args.store_ca_file),
        step_timeout: step_timeout?,
        keys: keys?,
    })
}

fn read_url(
    args: &ServeArgs,
    environment: Option<Environment>,
    faults: &mut Faults,
) -> Option<StoreUrl> {
    const NAME: &str = "--store";
    let Some(text) = args.store.as_deref().filter(|text| !text.is_empty()) else {
        return faults.add(
            NAME,
            "is required: where payments are remembered, such as redis://127.0.0.1:6379",
        );
    };
    match StoreUrl::parse(text) {
        Ok(StoreUrl::Memory) if environment == Some(Environment::Live) => faults.add(
            NAME,
            "is memory:, which forgets every payment at the end of the process; live money needs \
             a Redis",
        ),
        Ok(url) => Some(url),
        Err(several) => {
            for fault in several {
                faults.add::<()>(NAME, fault);
            }
            None
        }
    }
}

/// None of the outer option where there is a fault.
#[expect(clippy::option_option, reason = "absent and faulty are told apart")]
fn read_keys(
    args: &ServeArgs,
    url: Option<&StoreUrl>,
    faults: &mut Faults,
) -> Option<Option<Arc<FingerprintKeys>>> {
    const NAME: &str = "--fingerprint-key-file";
    let Some(path) = args.fingerprint_key_file.as_deref().filter(|path| !path.is_empty()) else {
        return match url {
            Some(StoreUrl::Redis(_)) => faults.add(
                NAME,
                "is required with a shared store: a file with at least 32 random bytes in hex or \
                 base64, the same for every sidecar of the account",
            ),
            _ => Some(None),
        };
    };
    let text = match secret_file::read(path) {
        Ok(text) => text,
        Err(fault) => {
            return faults.add(NAME, format!("cannot read {}: {fault}", secret_file::shown(path)));
        }
    };
    match FingerprintKeys::parse(text.expose_secret()) {
        Ok(keys) => Some(Some(Arc::new(keys))),
        Err(several) => {
            for fault in several {
                faults.add::<()>(NAME, fault);
            }
            None
        }
    }
}

pub(super) fn read_engine(
    args: &ServeArgs,
    stack: Option<&StackSettings>,
    faults: &mut Faults,
) -> Option<EngineSettings> {
    let lease = faults.seconds("--lease-seconds", &args.lease_seconds, 1..=300);
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let retention = faults.number("--retention-hours", &args.retention_hours, 1..=8760).map(hours);
    let zentra = faults
        .number("--zentra-key-retention-hours", &args.zentra_key_retention_hours, 2..=8760)
        .map(hours);
    if let (Some(lease), Some(stack)) = (lease, stack)
        && lease < stack.limits.connect_timeout * 3
    {
        return faults.add("--lease-seconds", "must be at least three times --connect-timeout-ms");
    }
    let after_loss = match args.limits_after_loss.as_str() {
        "restart" => Some(AfterLoss::Restart),
        "deny" => Some(AfterLoss::Deny),
        _ => faults.add("--limits-after-loss", "must be restart or deny"),
    };
    let (lease, retention, zentra) = (lease?, retention?, zentra?);
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let periods = Periods {
        lease_ms: millis(lease),
        retention_ms: millis(retention),
        look_up_first_ms: millis(retention.max(zentra)),
        ..Periods::default()
    };
    let resend_window = zentra.saturating_sub(RESEND_MARGIN);
    let after_loss = after_loss?;
    Some(EngineSettings { periods, resend_window, after_loss, ..EngineSettings::default() })
}
