//! Authorities and certificates of a story's own, and clients that show them.

use std::path::Path;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

/// The trust domain of the stories.
pub(crate) const DOMAIN: &str = "mesh.example";
/// A service that may call.
pub(crate) const CHECKOUT: &str = "spiffe://mesh.example/ns/shop/sa/checkout";

/// A certificate and its key, as PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Pair {
    /// Writes both into a folder.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::write(folder.join("cert.pem"), &self.certificate).unwrap();
        std::fs::write(folder.join("key.pem"), &self.key).unwrap();
    }
}

/// Those who sign certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        Self::with_uris(&[])
    }

    /// One whose own certificate names trust domains.
    pub(crate) fn with_uris(uris: &[&str]) -> Self {
        let mut params = named(uris);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate, as PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// The sidecar's certificate.
    pub(crate) fn server(&self) -> Pair {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// The certificate of a service with this SPIFFE id.
    pub(crate) fn service(&self, id: &str) -> Pair {
        self.sign(&service(&[id]))
    }

    pub(crate) fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

fn named(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
    params.subject_alt_names = uris.iter().map(uri).collect();
    params
}

/// The parts of a service's certificate, for stories that spoil one.
pub(crate) fn service(uris: &[&str]) -> CertificateParams {
    let mut params = named(uris);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// A client that trusts this authority and shows this certificate, where it has one.
pub(crate) fn client_config(trusted: &str, shown: Option<&Pair>) -> ClientConfig {
    client_config_for(rustls::DEFAULT_VERSIONS, trusted, shown)
}

/// The same for certain versions of TLS.
pub(crate) fn client_config_for(
    versions: &[&'static SupportedProtocolVersion],
    trusted: &str,
    shown: Option<&Pair>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain: Result<_, _> =
                CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain.unwrap(), key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Shakes hands with `tls://ADDRESS`.
pub(crate) async fn shake_hands(
    address: &str,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address.strip_prefix("tls://").unwrap()).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(config).connect(name, stream).await
}

/// A gRPC channel to `tls://ADDRESS`.
pub(crate) async fn channel(
    address: &str,
    trusted: &str,
    shown: &Pair,
) -> Result<Channel, tonic::transport::Error> {
    let config = Arc::new(client_config(trusted, Some(shown)));
    let address = address.to_owned();
    let connector = tower::service_fn(move |_| {
        let (address, config) = (address.clone(), config.clone());
        async move { shake_hands(&address, config).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://127.0.0.1").connect_with_connector(connector).await
}
