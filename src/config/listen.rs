//! Where gRPC is served.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Faults, ServeArgs};

/// The most listeners of one process.
const MAX_LISTENERS: usize = 16;
/// The longest path of a Unix socket, in bytes, as Linux has it.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP with mutual TLS.
    Tls(SocketAddr),
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "must be ADDRESS:PORT (such as 127.0.0.1:50051), unix:/path or \
                             tls://ADDRESS:PORT, or several of them, separated by commas";
        if let Some(address) = text.strip_prefix("tls://") {
            return address.parse().map(Self::Tls).map_err(|_| FORMS);
        }
        match text.strip_prefix("unix:") {
            Some(path) if !path.starts_with('/') => {
                Err("must give a Unix socket by its absolute path: unix:/path")
            }
            Some(path) if path.len() > MAX_SOCKET_PATH_BYTES => {
                Err("must give a Unix socket by a path of at most 107 bytes")
            }
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| FORMS),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Self::Tls(address) => write!(formatter, "tls://{address}"),
        }
    }
}

/// Reads the list, and refuses addresses on which strangers could call without TLS.
pub(super) fn read_all(args: &ServeArgs, faults: &mut Faults) -> Option<Vec<ListenAddress>> {
    const NAME: &str = "--listen";
    let insecure = match args.insecure_listen.as_str() {
        "true" => true,
        "false" | "" => false,
        _ => {
            faults.add::<()>("--insecure-listen", "must be true or false");
            false
        }
    };
    let mut addresses = Vec::new();
    let mut good = true;
    for text in args.listen.split(',').map(str::trim) {
        match faults.check(NAME, text.parse::<ListenAddress>()) {
            Some(ListenAddress::Tcp(address)) if !address.ip().is_loopback() && !insecure => {
                good = false;
                faults.add::<()>(
                    NAME,
                    format!(
                        "{address} can be reached by other machines and has no TLS; use \
                         tls://{address}, a loopback address or a Unix socket, or say \
                         --insecure-listen"
                    ),
                );
            }
            Some(address) => addresses.push(address),
            None => good = false,
        }
    }
    if addresses.len() > MAX_LISTENERS {
        return faults.add(NAME, "must be at most 16 addresses");
    }
    good.then_some(addresses)
}
