//! Who may call on listeners with mutual TLS, and over Unix sockets; and how many connections.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Faults, ListenAddress, ServeArgs};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::{SpiffePattern, TrustDomain};
use crate::listen::tls::{FileKind, Files, Rules, Terms};
use crate::listen::{ConnectionLimits, TrustedUids};

const CERTIFICATE: &str = "--tls-cert-file";
const KEY: &str = "--tls-key-file";
const CLIENT_CA: &str = "--tls-client-ca-file";
const TRUST_DOMAIN: &str = "--tls-trust-domain";
const ALLOWED: &str = "--tls-allowed-ids";

/// The most patterns of ids.
const MAX_ALLOWED: usize = 1024;

/// The terms of mutual TLS; the inner none where no listener has it, the outer one where there is
/// a fault.
#[expect(clippy::option_option, reason = "absent and faulty are told apart")]
pub(super) fn read(
    args: &ServeArgs,
    listen: Option<&[ListenAddress]>,
    faults: &mut Faults,
) -> Option<Option<Arc<Terms>>> {
    let is_wanted = listen.unwrap_or_default().iter().any(|it| matches!(it, ListenAddress::Tls(_)));
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let texts = [
        (CERTIFICATE, given(&args.tls_cert_file)),
        (KEY, given(&args.tls_key_file)),
        (CLIENT_CA, given(&args.tls_client_ca_file)),
        (TRUST_DOMAIN, given(&args.tls_trust_domain)),
        (ALLOWED, given(&args.tls_allowed_ids)),
    ];
    if !is_wanted {
        // Whoever has set one of them believes that callers are checked.
        for (name, _) in texts.iter().filter(|(_, text)| text.is_some()) {
            if listen.is_some() {
                faults.add::<()>(name, "is given, but --listen has no tls:// address");
            }
        }
        return Some(None);
    }
    for (name, _) in texts.iter().filter(|(_, text)| text.is_none()) {
        faults.add::<()>(name, "is required with a tls:// address in --listen");
    }
    let [certificate, key, client_ca, trust_domain, allowed] = texts.map(|(_, text)| text);
    let trust_domain =
        trust_domain.and_then(|name| faults.check(TRUST_DOMAIN, TrustDomain::new(&name)));
    let allowed = allowed.and_then(|ids| read_allowed(&ids, trust_domain.as_ref(), faults));
    let files = Files {
        certificate: PathBuf::from(certificate?),
        key: PathBuf::from(key?),
        client_ca: PathBuf::from(client_ca?),
    };
    let rules = Rules { trust_domain: trust_domain?, allowed: allowed? };
    match Terms::read(files, rules, SystemClock.now()) {
        Ok(terms) => Some(Some(Arc::new(terms))),
        Err(several) => {
            for fault in several {
                let name = match fault.file {
                    FileKind::Certificate => CERTIFICATE,
                    FileKind::Key => KEY,
                    FileKind::ClientCa => CLIENT_CA,
                };
                faults.add::<()>(name, fault.text);
            }
            None
        }
    }
}

fn read_allowed(
    ids: &str,
    trust_domain: Option<&TrustDomain>,
    faults: &mut Faults,
) -> Option<Vec<SpiffePattern>> {
    let mut patterns = Vec::new();
    let mut good = true;
    for id in ids.split(',').map(str::trim) {
        let fault = |text: &dyn std::fmt::Display| format!("{text}; each may end in /*");
        match faults.check(ALLOWED, SpiffePattern::new(id).map_err(|it| fault(&it))) {
            Some(pattern) if trust_domain.is_some_and(|it| it != pattern.trust_domain()) => {
                good = false;
                faults.add::<()>(ALLOWED, format!("names {pattern}, of another trust domain"));
            }
            Some(pattern) => patterns.push(pattern),
            None => good = false,
        }
    }
    if patterns.len() > MAX_ALLOWED {
        return faults.add(ALLOWED, "must be at most 1024 ids");
    }
    good.then_some(patterns)
}

/// The users that may call over Unix sockets.
pub(super) fn read_uids(
    args: &ServeArgs,
    listen: Option<&[ListenAddress]>,
    faults: &mut Faults,
) -> Option<TrustedUids> {
    let Some(text) = args.unix_peer_uids.as_deref().filter(|text| !text.is_empty()) else {
        return Some(None);
    };
    let is_unix = |it: &ListenAddress| matches!(it, ListenAddress::Unix(_));
    if listen.is_some_and(|all| !all.iter().any(is_unix)) {
        // As with the files of TLS: whoever has set it believes that callers are checked.
        faults.add::<()>("--unix-peer-uids", "is given, but --listen has no unix: address");
    }
    let uids: Result<Arc<[u32]>, _> = text.split(',').map(|uid| uid.trim().parse()).collect();
    let fault = "must be numbers of users, separated by commas";
    faults.check("--unix-peer-uids", uids.map_err(|_| fault)).map(Some)
}

/// How many connections there may be, and how old they may be.
pub(super) fn read_limits(args: &ServeArgs, faults: &mut Faults) -> Option<ConnectionLimits> {
    let connections = faults.count("--connections", &args.connections, 1..=65_536);
    let age = faults.seconds("--connection-age-seconds", &args.connection_age_seconds, 1..=86_400);
    Some(ConnectionLimits { connections: connections?, age: age? })
}
