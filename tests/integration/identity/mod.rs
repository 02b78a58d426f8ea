//! Who calls: a certificate, a user of the machine, or whoever the settings say; one text for
//! each, on every listener.

mod certificates;
mod rotation;
mod scope;
mod sockets;

use std::path::PathBuf;

use crate::support::pki::{self, Authority, DOMAIN, Pair};
use crate::support::process::Serving;
use crate::support::sidecar::Client;

/// A folder with the sidecar's certificate, its key and the bundle of the callers' authorities.
pub(crate) struct Mesh {
    pub(crate) authority: Authority,
    folder: tempfile::TempDir,
}

impl Mesh {
    pub(crate) fn new() -> Self {
        Self::of(Authority::new())
    }

    fn of(authority: Authority) -> Self {
        let folder = tempfile::tempdir().unwrap();
        authority.server().write(folder.path());
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Self { authority, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What `serve` is told of it: the services of the shop may call.
    pub(crate) fn flags(&self) -> Vec<String> {
        vec![
            format!("--tls-cert-file={}", self.file("cert.pem").display()),
            format!("--tls-key-file={}", self.file("key.pem").display()),
            format!("--tls-client-ca-file={}", self.file("ca.pem").display()),
            format!("--tls-trust-domain={DOMAIN}"),
            format!("--tls-allowed-ids=spiffe://{DOMAIN}/ns/shop/*"),
        ]
    }

    /// The real binary behind mutual TLS.
    pub(crate) async fn serve(&self, zentra_url: &str) -> Serving {
        let mut flags = self.flags();
        flags.push("--listen=tls://127.0.0.1:0".to_owned());
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        Serving::start(zentra_url, &flags).await
    }

    /// A client with a certificate of this authority's.
    pub(crate) async fn client(&self, address: &str, id: &str) -> Client {
        self.client_with(address, &self.authority.service(id)).await
    }

    pub(crate) async fn client_with(&self, address: &str, shown: &Pair) -> Client {
        Client::new(pki::channel(address, &self.authority.pem(), shown).await.unwrap())
    }
}
