//! The files' contents, checked and put together.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use zeroize::Zeroize as _;

use super::Rules;
use super::files::{Contents, FileFault, FileKind};
use super::leaf;
use super::verifier::CallerVerifier;

/// What new connections are made with.
pub(super) struct InForce {
    pub(super) config: Arc<ServerConfig>,
    pub(super) digest: [u8; 32],
    /// The end of the certificate's validity, in seconds of Unix time.
    pub(super) not_after: i64,
}

impl InForce {
    pub(super) fn new(
        contents: &Contents,
        rules: &Arc<Rules>,
        now: Timestamp,
    ) -> Result<Self, Vec<FileFault>> {
        let mut faults = Vec::new();
        let chain = note(chain(&contents.certificate, now), &mut faults);
        let key = note(key(&contents.key), &mut faults);
        let roots = note(roots(&contents.client_ca, rules), &mut faults);
        let (Some((chain, not_after)), Some(key), Some(roots)) = (chain, key, roots) else {
            return Err(faults);
        };
        let pair = CertifiedKey::new(chain, key);
        pair.keys_match().map_err(|_| {
            vec![FileFault::new(FileKind::Key, "does not hold the key of the certificate")]
        })?;
        let config = config(pair, roots, rules).map_err(|fault| vec![fault])?;
        Ok(Self { config: Arc::new(config), digest: contents.digest(), not_after })
    }
}

fn note<T>(read: Result<T, FileFault>, faults: &mut Vec<FileFault>) -> Option<T> {
    read.map_err(|fault| faults.push(fault)).ok()
}

fn certificates(pem: &[u8], file: FileKind) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(FileFault::new(file, "holds no certificate in PEM form"))
        }
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(FileFault::new(file, "holds what is no PEM")),
    }
}

/// The certificates, and the end of the first one's validity, which has not come yet.
fn chain(pem: &[u8], now: Timestamp) -> Result<(Vec<CertificateDer<'static>>, i64), FileFault> {
    let chain = certificates(pem, FileKind::Certificate)?;
    let not_after = leaf::not_after(&chain[0])
        .ok_or_else(|| FileFault::new(FileKind::Certificate, "holds what is no certificate"))?;
    if not_after <= now.as_second() {
        let on = Timestamp::from_second(not_after);
        let on = on.map_or_else(|_| not_after.to_string(), |on| on.to_string());
        let text = format!("holds a certificate that has expired on {on}: no client would take it");
        return Err(FileFault::new(FileKind::Certificate, text));
    }
    Ok((chain, not_after))
}

fn key(pem: &[u8]) -> Result<Arc<dyn rustls::sign::SigningKey>, FileFault> {
    let fault = |text: &str| FileFault::new(FileKind::Key, text);
    let mut key = PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| fault("holds no private key in PEM form"))?;
    let signing = ring::sign::any_supported_type(&key);
    key.zeroize();
    signing.map_err(|_| fault("holds a key of a kind that is not supported"))
}

fn roots(pem: &[u8], rules: &Rules) -> Result<RootCertStore, FileFault> {
    let fault = |text: String| FileFault::new(FileKind::ClientCa, text);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, FileKind::ClientCa)? {
        leaf::check_authority(&certificate, &rules.trust_domain)
            .map_err(|text| fault(format!("holds a certificate that {text}")))?;
        roots
            .add(certificate)
            .map_err(|_| fault("holds a certificate that cannot be read".to_owned()))?;
    }
    Ok(roots)
}

fn config(
    pair: CertifiedKey,
    roots: RootCertStore,
    rules: &Arc<Rules>,
) -> Result<ServerConfig, FileFault> {
    let provider = Arc::new(ring::default_provider());
    let fault = |fault: String| FileFault::new(FileKind::ClientCa, fault);
    let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|it| fault(format!("cannot be used: {it}")))?;
    let verifier = CallerVerifier::new(chain, rules.clone());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|it| fault(format!("cannot be used: {it}")))?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would not be asked for its certificate again, which may have expired, or
    // come from an authority that is trusted no more.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
