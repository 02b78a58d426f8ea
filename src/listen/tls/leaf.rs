//! What a certificate says of its holder, and what it must not say.

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Rules;
use crate::domain::{SpiffeFault, SpiffeId, TrustDomain};
use crate::listen::Peer;

/// Why a caller's certificate is refused, though an authority has signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LeafFault {
    #[error("the caller's certificate cannot be read")]
    Unreadable,
    #[error("the caller's certificate has not exactly one URI")]
    NotOneUri,
    #[error("the caller's certificate is that of an authority")]
    Authority,
    #[error("the URI of the caller's certificate {0}")]
    Id(#[from] SpiffeFault),
    #[error("the caller's certificate is of another trust domain")]
    TrustDomain,
}

impl Rules {
    /// Who the holder of this certificate is. That an authority has signed it is for others to
    /// check.
    pub(super) fn peer(&self, certificate: &CertificateDer<'_>) -> Result<Peer, LeafFault> {
        let id = id(certificate)?;
        if *id.trust_domain() != self.trust_domain {
            return Err(LeafFault::TrustDomain);
        }
        let is_allowed = self.allowed.iter().any(|pattern| pattern.matches(&id));
        Ok(Peer::new(id.caller()?, is_allowed))
    }
}

fn id(certificate: &CertificateDer<'_>) -> Result<SpiffeId, LeafFault> {
    let certificate = parse(certificate).ok_or(LeafFault::Unreadable)?;
    if is_authority(&certificate)? {
        return Err(LeafFault::Authority);
    }
    match uris(&certificate)?.as_slice() {
        [id] => Ok(SpiffeId::new(id)?),
        _ => Err(LeafFault::NotOneUri),
    }
}

/// Checks that a certificate of the bundle is that of an authority, and where it names a trust
/// domain, that it is this one. The fault stands after "holds a certificate that".
pub(super) fn check_authority(
    certificate: &CertificateDer<'_>,
    trust_domain: &TrustDomain,
) -> Result<(), String> {
    let unreadable = |_| "cannot be read".to_owned();
    let certificate = parse(certificate).ok_or("cannot be read")?;
    if !is_authority(&certificate).map_err(unreadable)? {
        return Err("is not that of an authority".to_owned());
    }
    for id in uris(&certificate).map_err(unreadable)? {
        if TrustDomain::of_authority(id).as_ref() != Ok(trust_domain) {
            return Err(format!("is not of the trust domain {trust_domain}"));
        }
    }
    Ok(())
}

/// The end of a certificate's validity, in seconds of Unix time.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    parse(certificate).map(|certificate| certificate.validity().not_after.timestamp())
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (rest, certificate) = X509Certificate::from_der(certificate).ok()?;
    rest.is_empty().then_some(certificate)
}

/// By its constraints, or by what its key may be used for.
fn is_authority(certificate: &X509Certificate<'_>) -> Result<bool, LeafFault> {
    let constraints = certificate.basic_constraints().map_err(|_| LeafFault::Unreadable)?;
    let usage = certificate.key_usage().map_err(|_| LeafFault::Unreadable)?;
    let by_constraints = constraints.is_some_and(|it| it.value.ca);
    let by_usage = usage.is_some_and(|it| it.value.key_cert_sign() || it.value.crl_sign());
    Ok(by_constraints || by_usage)
}

fn uris<'a>(certificate: &X509Certificate<'a>) -> Result<Vec<&'a str>, LeafFault> {
    let names = certificate.subject_alternative_name().map_err(|_| LeafFault::Unreadable)?;
    let Some(names) = names else { return Ok(Vec::new()) };
    let mut uris = Vec::new();
    for name in &names.value.general_names {
        match name {
            GeneralName::URI(uri) => uris.push(*uri),
            // It may be one more URI, which other readers of the certificate take as one.
            GeneralName::Invalid(..) => return Err(LeafFault::Unreadable),
            _ => {}
        }
    }
    Ok(uris)
}
