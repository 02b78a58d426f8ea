//! The contract over TLS, with the password and the CA from files that change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use zentra_sidecar::idempotency::machine::Format;
use zentra_sidecar::idempotency::redis::{RedisSettings, RedisStore};
use zentra_sidecar::idempotency::{Store, StoreError};

use crate::store_contract::{Backend, tell_all};
use crate::support::payment::charge;
use crate::support::redis::{Program, Server, free_port, settings};

/// A certificate authority, and the certificate of `127.0.0.1` that it signed, as PEM files.
pub(crate) struct Authority {
    folder: PathBuf,
}

impl Authority {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        Self { folder }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }
}

struct Tls {
    server: Server,
    port: u16,
    files: tempfile::TempDir,
}

impl Tls {
    async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let authority = Authority::new(files.path(), "first");
        let port = free_port();
        let (ca, cert, key) =
            (authority.file("ca.pem"), authority.file("cert.pem"), authority.file("key.pem"));
        let mut server = Server::start(
            Program::Redis,
            &[
                "--tls-port",
                &port.to_string(),
                "--tls-ca-cert-file",
                &ca,
                "--tls-cert-file",
                &cert,
                "--tls-key-file",
                &key,
                "--tls-auth-clients",
                "no",
            ],
        )
        .await;
        server.ask::<()>(&["CONFIG", "SET", "requirepass", "first-password"]).await;
        server.password = "first-password".to_owned();
        std::fs::write(files.path().join("password"), "first-password\n").unwrap();
        std::fs::copy(&ca, files.path().join("ca.pem")).unwrap();
        Self { server, port, files }
    }

    fn settings(&self, account: &str, format: Format) -> RedisSettings {
        let url = format!("rediss://127.0.0.1:{}", self.port);
        RedisSettings {
            password_file: Some(self.files.path().join("password")),
            ca_file: Some(self.files.path().join("ca.pem")),
            ..settings(&url, account, format)
        }
    }

    async fn cut_connections(&self) {
        self.server.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    }
}

impl Backend for Tls {
    fn open<'a>(&'a self, account: &'a str, format: Format) -> BoxFuture<'a, Arc<dyn Store>> {
        let store = RedisStore::new(self.settings(account, format));
        async move { Arc::new(store) as Arc<dyn Store> }.boxed()
    }

    fn wipe(&self) -> BoxFuture<'_, ()> {
        async { self.server.ask(&["FLUSHALL"]).await }.boxed()
    }

    fn disturb<'a>(&'a self, _account: &'a str) -> BoxFuture<'a, ()> {
        self.cut_connections().boxed()
    }
}

#[tokio::test]
async fn a_redis_behind_tls_keeps_the_contract() {
    tell_all(Arc::new(Tls::start().await)).await;
}

#[tokio::test]
async fn a_rotated_password_is_read_at_the_next_connection() {
    let mut tls = Tls::start().await;
    let store = RedisStore::new(tls.settings("default", Format::default()));
    let claim = charge("key", "order-1").claim(1);
    store.claim(&claim).await.unwrap();
    let rotate = ["CONFIG", "SET", "requirepass", "second-password"];
    tls.server.ask::<()>(&rotate).await;
    tls.server.password = "second-password".to_owned();
    std::fs::write(tls.files.path().join("password"), "second-password\n").unwrap();
    tls.cut_connections().await;
    store.claim(&claim).await.unwrap();
}

#[tokio::test]
async fn a_rotated_ca_is_read_at_the_next_connection() {
    let tls = Tls::start().await;
    let store = RedisStore::new(tls.settings("default", Format::default()));
    let claim = charge("key", "order-1").claim(1);
    store.claim(&claim).await.unwrap();
    let second = Authority::new(tls.files.path(), "second");
    let (cert, key) = (second.file("cert.pem"), second.file("key.pem"));
    let rotate = ["CONFIG", "SET", "tls-cert-file", &cert, "tls-key-file", &key];
    tls.server.ask::<()>(&rotate).await;
    std::fs::copy(second.file("ca.pem"), tls.files.path().join("ca.pem")).unwrap();
    tls.cut_connections().await;
    store.claim(&claim).await.unwrap();
}

#[tokio::test]
async fn a_server_of_another_ca_is_not_trusted() {
    let tls = Tls::start().await;
    let other = Authority::new(tls.files.path(), "other");
    let mut settings = tls.settings("default", Format::default());
    settings.ca_file = Some(other.file("ca.pem").into());
    settings.step_timeout = std::time::Duration::from_millis(300);
    let store = RedisStore::new(settings);
    let claimed = store.claim(&charge("key", "order-1").claim(1)).await;
    assert!(matches!(claimed, Err(StoreError::Unreachable(_))), "{claimed:?}");
}
