//! Where Zentra is: an address that cannot lead a key or a card number astray.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::domain::Environment;

/// Zentra's documented sandbox.
const SANDBOX: &str = "sandbox.api.usezentra.com";
/// The host of Zentra's documented examples, taken as live.
const LIVE: &str = "api.usezentra.com";
/// The documented prefix of all routes.
const PREFIX: [&str; 3] = ["api", "v1", "payments"];

/// The checked address of Zentra's API, without the path of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlFault {
    /// Not an address.
    #[error("must be an absolute address such as https://sandbox.api.usezentra.com")]
    Malformed,
    /// Not encrypted, and not on this machine.
    #[error("must be https (http is for loopback addresses only)")]
    NotEncrypted,
    /// A cloud's metadata service or the local link.
    #[error("must not be a link-local or cloud metadata address")]
    LinkLocal,
    /// Parts that do not belong here.
    #[error("must hold no user name, password, path, query or fragment")]
    ExtraParts,
    /// The key's environment and the host's differ.
    #[error(
        "the host is Zentra's {host} and the key is for {key}; use a key of the same environment"
    )]
    WrongEnvironment {
        /// The environment of the host.
        host: Environment,
        /// The environment of the key.
        key: Environment,
    },
    /// A key of the simulator has no Zentra of its own.
    #[error("is required with a simulated key: the address of the simulator")]
    Missing,
}

impl BaseUrl {
    /// Checks the address, and that the key's environment is the host's. Without an address it
    /// follows from the environment.
    ///
    /// # Errors
    /// A [`BaseUrlFault`].
    pub fn new(address: Option<&str>, environment: Environment) -> Result<Self, BaseUrlFault> {
        let of_environment = match environment {
            Environment::Sandbox => Some(SANDBOX),
            Environment::Live => Some(LIVE),
            Environment::Simulated => None,
        };
        let address = match (address, of_environment) {
            (Some(address), _) => address.to_owned(),
            (None, Some(host)) => format!("https://{host}"),
            (None, None) => return Err(BaseUrlFault::Missing),
        };
        let url = Url::parse(&address).map_err(|_| BaseUrlFault::Malformed)?;
        check_host(&url, environment)?;
        let extra = !url.username().is_empty()
            || url.password().is_some()
            || !matches!(url.path(), "" | "/")
            || url.query().is_some()
            || url.fragment().is_some();
        if extra {
            return Err(BaseUrlFault::ExtraParts);
        }
        Ok(Self(url))
    }

    /// The host and port, for logs and for the log line at start.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// The address of a route; none where a segment would change the path's shape.
    ///
    /// Segments come from allow-listed identifiers. That the path has exactly the expected
    /// segments is checked all the same: a URL library normalises what it is given.
    #[must_use]
    pub(super) fn route(&self, segments: &[&str], query: &[(&str, String)]) -> Option<Url> {
        let mut url = self.0.clone();
        url.path_segments_mut().ok()?.clear().extend(PREFIX).extend(segments);
        let expected = PREFIX.iter().chain(segments).copied();
        let unchanged = url.path_segments()?.eq(expected);
        if !unchanged || segments.contains(&"") {
            return None;
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Some(url)
    }
}

fn check_host(url: &Url, environment: Environment) -> Result<(), BaseUrlFault> {
    let host = url.host().ok_or(BaseUrlFault::Malformed)?;
    let address = match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(address.to_canonical()),
    };
    if address.is_some_and(is_link_local) || is_metadata_name(&host) {
        return Err(BaseUrlFault::LinkLocal);
    }
    let loopback = address.is_some_and(|it| it.is_loopback()) || host == Host::Domain("localhost");
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err(BaseUrlFault::NotEncrypted),
        _ => return Err(BaseUrlFault::Malformed),
    }
    let name = url.host_str().unwrap_or_default().trim_end_matches('.');
    let of_host = match name {
        SANDBOX => Some(Environment::Sandbox),
        LIVE => Some(Environment::Live),
        _ => None,
    };
    match of_host {
        Some(host) if host != environment => {
            Err(BaseUrlFault::WrongEnvironment { host, key: environment })
        }
        _ => Ok(()),
    }
}

fn is_link_local(address: IpAddr) -> bool {
    /// The metadata service of one cloud outside the link-local range.
    const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    /// Those of two others.
    const METADATA_V4: [Ipv4Addr; 2] =
        [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
    match address {
        IpAddr::V4(address) => {
            address.is_link_local() || address.is_unspecified() || METADATA_V4.contains(&address)
        }
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address.is_unspecified()
                || address == METADATA_V6
                || embedded(address).is_some_and(|it| is_link_local(IpAddr::V4(it)))
        }
    }
}

/// The IPv4 address that an IPv6 one leads to: mapped, compatible, or through NAT64 (RFC 6052).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else {
        return address.to_ipv4().filter(|_| !address.is_loopback());
    };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

fn is_metadata_name(host: &Host<&str>) -> bool {
    matches!(host, Host::Domain(name)
        if matches!(name.trim_end_matches('.'), "metadata.google.internal" | "metadata.goog" | "metadata" | "instance-data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(address: &str, environment: Environment) -> Option<BaseUrlFault> {
        BaseUrl::new(Some(address), environment).err()
    }

    #[test]
    fn the_environment_gives_the_address() {
        let address =
            |environment| BaseUrl::new(None, environment).map(|it| it.as_str().to_owned());
        assert_eq!(address(Environment::Sandbox).unwrap(), "https://sandbox.api.usezentra.com");
        assert_eq!(address(Environment::Live).unwrap(), "https://api.usezentra.com");
        assert_eq!(address(Environment::Simulated), Err(BaseUrlFault::Missing));
    }

    #[test]
    fn a_key_never_meets_a_host_of_another_environment() {
        use Environment::{Live, Sandbox, Simulated};
        for (address, host, key) in [
            ("https://api.usezentra.com", Live, Sandbox),
            ("https://API.usezentra.com.", Live, Sandbox),
            ("https://sandbox.api.usezentra.com/", Sandbox, Live),
            ("https://sandbox.api.usezentra.com/", Sandbox, Simulated),
        ] {
            let expected = BaseUrlFault::WrongEnvironment { host, key };
            assert_eq!(fault(address, key), Some(expected), "{address}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        use Environment::Simulated;
        for address in ["http://127.0.0.1:8089", "http://localhost:1", "http://[::1]:1"] {
            assert_eq!(fault(address, Simulated), None, "{address}");
        }
        for address in ["http://zentra.internal", "http://10.0.0.1", "http://localhost.evil.com"] {
            assert_eq!(fault(address, Simulated), Some(BaseUrlFault::NotEncrypted), "{address}");
        }
    }

    #[test]
    fn metadata_services_are_refused() {
        for address in [
            "http://169.254.169.254/",
            "https://metadata.goog",
            "https://instance-data.",
            "https://192.0.0.192",
            "https://[64:ff9b::a9fe:a9fe]",
            "https://[::169.254.169.254]",
            "https://169.254.1.1",
            "https://[fe80::1]",
            "http://0.0.0.0",
            "https://[fd00:ec2::254]",
            "https://[::ffff:169.254.169.254]",
            "https://0xa9fea9fe",
            "http://metadata.google.internal",
            "https://2852039166/",
            "https://100.100.100.200",
        ] {
            assert_eq!(
                fault(address, Environment::Sandbox),
                Some(BaseUrlFault::LinkLocal),
                "{address}"
            );
        }
    }

    #[test]
    fn anything_else_in_the_address_is_refused() {
        for address in ["https://a:b@h", "https://h/path", "https://h/?q", "https://h/#f"] {
            assert_eq!(
                fault(address, Environment::Sandbox),
                Some(BaseUrlFault::ExtraParts),
                "{address}"
            );
        }
        for address in ["", "h", "//h", "ftp://h", "unix:/x", "https://"] {
            assert_eq!(
                fault(address, Environment::Sandbox),
                Some(BaseUrlFault::Malformed),
                "{address}"
            );
        }
    }

    #[test]
    fn routes_have_exactly_their_segments() {
        let base = BaseUrl::new(None, Environment::Sandbox).unwrap();
        let route = |segments: &[&str]| base.route(segments, &[]).map(|it| it.to_string());
        assert_eq!(
            route(&["charges", "a:b.c_d-e", "verify"]).as_deref(),
            Some("https://sandbox.api.usezentra.com/api/v1/payments/charges/a:b.c_d-e/verify")
        );
        for trick in ["..", ".", "", "%2e%2e", "a/b", "a\\b", "a\tb", "a\nb", "a?b", "a#b"] {
            assert_eq!(route(&["charges", trick]), None, "{trick:?}");
        }
    }
}
