//! The settings of the way to Zentra: key, proxy, limits.

use std::sync::Arc;

use secrecy::SecretString;

use super::{Faults, ServeArgs, secret_file};
use crate::upstream::{Limits, ProxyUrl, StackSettings};
use crate::zentra::{BaseUrl, KeyRing, KeySource, SecretKey};

pub(super) fn read(args: &ServeArgs, faults: &mut Faults) -> Option<StackSettings> {
    let connect = faults.millis("--connect-timeout-ms", &args.connect_timeout_ms, 1..=60_000);
    let attempt =
        faults.seconds("--attempt-timeout-seconds", &args.attempt_timeout_seconds, 1..=300);
    let in_flight =
        faults.count("--zentra-requests-in-flight", &args.zentra_requests_in_flight, 1..=65_536);
    let limits =
        Limits { connect_timeout: connect?, attempt_timeout: attempt?, ..Limits::default() };
    let requests_in_flight = in_flight?;
    Some(StackSettings { limits, requests_in_flight, ..StackSettings::default() })
}

/// The proxy, where one is given; the outer none where it is wrong.
#[expect(clippy::option_option, reason = "a wrong setting is not one that is not given")]
pub(super) fn read_proxy(
    args: &ServeArgs,
    zentra_url: Option<&BaseUrl>,
    faults: &mut Faults,
) -> Option<Option<ProxyUrl>> {
    const NAME: &str = "--zentra-proxy";
    let Some(address) = args.zentra_proxy.as_deref().filter(|address| !address.is_empty()) else {
        return Some(None);
    };
    let proxy = faults.check(NAME, ProxyUrl::new(address))?;
    // For https it is a tunnel. Plain http it reads, which is for this machine only.
    let is_plain = zentra_url.is_some_and(|url| url.as_str().starts_with("http:"));
    if is_plain && !proxy.is_loopback() {
        return faults.add(NAME, "must be on this machine where Zentra's address is http");
    }
    Some(Some(proxy))
}

pub(super) fn read_key(
    args: &ServeArgs,
    in_environment: Option<SecretString>,
    faults: &mut Faults,
) -> Option<KeyRing> {
    const NAME: &str = "--zentra-key-file";
    let file = args.zentra_key_file.as_deref().filter(|path| !path.is_empty());
    let (text, source) = match (file, in_environment) {
        (Some(_), Some(_)) => {
            return faults.add(NAME, "is given beside ZENTRA_SECRET_KEY; give one of them");
        }
        // A key in the place of its file's name must not be repeated in a message.
        (Some(path), None) if looks_like_key(path) => {
            return faults.add(NAME, "is a key; give the name of the file that holds it");
        }
        (Some(path), None) => match secret_file::read(path) {
            Ok(text) => {
                let path = path.to_owned();
                // Whoever reads again bounds each reading.
                let source: KeySource = Arc::new(move || secret_file::read_now(&path));
                (text, Some(source))
            }
            Err(fault) => {
                return faults
                    .add(NAME, format!("cannot read {}: {fault}", secret_file::shown(path)));
            }
        },
        (None, Some(text)) => (text, None),
        (None, None) => {
            return faults.add(NAME, "is required: the file that holds Zentra's secret key");
        }
    };
    faults.check(NAME, SecretKey::new(&text)).map(|key| KeyRing::new(key, source))
}

fn looks_like_key(text: &str) -> bool {
    ["sk_", "pk_", "whsec_"].iter().any(|prefix| text.trim_start().starts_with(prefix))
}
