//! SPIFFE ids: who a certificate says that its holder is.

use std::fmt;
use std::sync::Arc;

use super::Caller;

/// The longest id, in bytes, as the SPIFFE standard has it.
const MAX_ID_BYTES: usize = 2048;
/// The longest trust domain, in bytes, as the SPIFFE standard has it.
const MAX_TRUST_DOMAIN_BYTES: usize = 255;
const SCHEME: &str = "spiffe://";

/// What is wrong with a SPIFFE id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeFault {
    /// It does not begin with `spiffe://`, or is too long.
    #[error("must be spiffe://TRUST-DOMAIN/PATH, of at most 2048 bytes")]
    NoId,
    /// Its trust domain is none.
    #[error("must name a trust domain of 1 to 255 characters a-z 0-9 . - _")]
    TrustDomain,
    /// It has no path, or a path that is none.
    #[error("must have a path of segments of A-Z a-z 0-9 . - _, none of them '.' or '..'")]
    Path,
    /// It has no text as a caller.
    #[error("has a path that cannot be a caller's name")]
    Caller,
}

/// The name of a trust domain: those who share one set of authorities.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// Takes a name of 1 to 255 characters `a-z 0-9 . - _`.
    ///
    /// # Errors
    /// [`SpiffeFault::TrustDomain`].
    pub fn new(name: &str) -> Result<Self, SpiffeFault> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        let good = (1..=MAX_TRUST_DOMAIN_BYTES).contains(&name.len()) && name.bytes().all(allowed);
        if good { Ok(Self(name.into())) } else { Err(SpiffeFault::TrustDomain) }
    }

    /// Takes the id of an authority, `spiffe://TRUST-DOMAIN` without a path.
    ///
    /// # Errors
    /// [`SpiffeFault::NoId`] or [`SpiffeFault::TrustDomain`].
    pub fn of_authority(id: &str) -> Result<Self, SpiffeFault> {
        Self::new(id.strip_prefix(SCHEME).ok_or(SpiffeFault::NoId)?)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A SPIFFE id with a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpiffeId {
    trust_domain: TrustDomain,
    /// Begins with `/`.
    path: Arc<str>,
}

impl SpiffeId {
    /// Takes an id exactly as the SPIFFE standard writes it: nothing is decoded, folded or
    /// dropped, so that two texts are never one id.
    ///
    /// # Errors
    /// [`SpiffeFault::NoId`], [`SpiffeFault::TrustDomain`] or [`SpiffeFault::Path`].
    pub fn new(id: &str) -> Result<Self, SpiffeFault> {
        let (trust_domain, path) = split(id)?;
        if path.is_empty() {
            return Err(SpiffeFault::Path);
        }
        check_path(path)?;
        Ok(Self { trust_domain, path: path.into() })
    }

    /// Those whose authorities vouch for it.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Its text as a caller.
    ///
    /// `spiffe://DOMAIN/ns/N/sa/S` is `N/S`, as the same service is called behind a sidecar. Any
    /// other id is `spiffe:DOMAIN/PATH`. No two ids of one trust domain share a text: a namespace
    /// holds no `:`.
    ///
    /// # Errors
    /// [`SpiffeFault::Caller`] where that is not a name that a caller may have.
    pub fn caller(&self) -> Result<Caller, SpiffeFault> {
        let segments: Vec<&str> = self.path.split('/').skip(1).collect();
        let name = match segments.as_slice() {
            ["ns", namespace, "sa", account] => format!("{namespace}/{account}"),
            _ => format!("spiffe:{}{}", self.trust_domain, self.path),
        };
        Caller::new(&name).map_err(|_| SpiffeFault::Caller)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SCHEME}{}{}", self.trust_domain, self.path)
    }
}

/// One id, or with `/*` at its end all ids below a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiffePattern {
    trust_domain: TrustDomain,
    /// Empty, or begins with `/`.
    path: Box<str>,
    and_below: bool,
}

impl SpiffePattern {
    /// Takes `spiffe://DOMAIN/PATH`, `spiffe://DOMAIN/PATH/*` or `spiffe://DOMAIN/*`.
    ///
    /// # Errors
    /// As [`SpiffeId::new`].
    pub fn new(pattern: &str) -> Result<Self, SpiffeFault> {
        let (id, and_below) = match pattern.strip_suffix("/*") {
            Some(id) => (id, true),
            None => (pattern, false),
        };
        let (trust_domain, path) = split(id)?;
        if path.is_empty() && !and_below {
            return Err(SpiffeFault::Path);
        }
        check_path(path)?;
        Ok(Self { trust_domain, path: path.into(), and_below })
    }

    /// Those whose ids it is about.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Whether the id is meant.
    #[must_use]
    pub fn matches(&self, id: &SpiffeId) -> bool {
        self.trust_domain == id.trust_domain
            && match id.path.strip_prefix(&*self.path) {
                Some("") => !self.and_below,
                Some(rest) => self.and_below && rest.starts_with('/'),
                None => false,
            }
    }
}

impl fmt::Display for SpiffePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.and_below { "/*" } else { "" };
        write!(formatter, "{SCHEME}{}{}{end}", self.trust_domain, self.path)
    }
}

/// The trust domain and the path, which is empty or begins with `/`.
fn split(id: &str) -> Result<(TrustDomain, &str), SpiffeFault> {
    let rest = id.strip_prefix(SCHEME).filter(|_| id.len() <= MAX_ID_BYTES);
    let rest = rest.ok_or(SpiffeFault::NoId)?;
    let (trust_domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Ok((TrustDomain::new(trust_domain)?, path))
}

fn check_path(path: &str) -> Result<(), SpiffeFault> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let good = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed);
    if path.split('/').skip(1).all(good) { Ok(()) } else { Err(SpiffeFault::Path) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn caller(id: &str) -> Result<String, SpiffeFault> {
        SpiffeId::new(id)?.caller().map(|caller| caller.to_string())
    }

    #[test]
    fn a_service_of_kubernetes_has_the_name_that_its_sidecar_has() {
        assert_eq!(caller("spiffe://cluster.local/ns/shop/sa/checkout").unwrap(), "shop/checkout");
        assert_eq!(caller("spiffe://a/ns/shop/sa/check.out-1").unwrap(), "shop/check.out-1");
    }

    #[test]
    fn other_paths_have_a_name_of_their_own() {
        for (id, name) in [
            ("spiffe://example.org/billing", "spiffe:example.org/billing"),
            ("spiffe://example.org/shop/checkout", "spiffe:example.org/shop/checkout"),
            ("spiffe://example.org/ns/a/sa", "spiffe:example.org/ns/a/sa"),
            ("spiffe://example.org/ns/a/sa/b/c", "spiffe:example.org/ns/a/sa/b/c"),
            ("spiffe://example.org/NS/a/sa/b", "spiffe:example.org/NS/a/sa/b"),
        ] {
            assert_eq!(caller(id).unwrap(), name);
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let long = format!("spiffe://example.org/{}", "a".repeat(2048));
        for (id, fault) in [
            ("", SpiffeFault::NoId),
            ("https://example.org/a", SpiffeFault::NoId),
            ("SPIFFE://example.org/a", SpiffeFault::NoId),
            ("spiffe:example.org/a", SpiffeFault::NoId),
            (long.as_str(), SpiffeFault::NoId),
            ("spiffe:///a", SpiffeFault::TrustDomain),
            ("spiffe://Example.org/a", SpiffeFault::TrustDomain),
            ("spiffe://example.org:443/a", SpiffeFault::TrustDomain),
            ("spiffe://me@example.org/a", SpiffeFault::TrustDomain),
            ("spiffe://exämple.org/a", SpiffeFault::TrustDomain),
            ("spiffe://example.org", SpiffeFault::Path),
            ("spiffe://example.org/", SpiffeFault::Path),
            ("spiffe://example.org/a/", SpiffeFault::Path),
            ("spiffe://example.org//a", SpiffeFault::Path),
            ("spiffe://example.org/a/../b", SpiffeFault::Path),
            ("spiffe://example.org/./a", SpiffeFault::Path),
            ("spiffe://example.org/a%2fb", SpiffeFault::Path),
            ("spiffe://example.org/a?b", SpiffeFault::Path),
            ("spiffe://example.org/a#b", SpiffeFault::Path),
            ("spiffe://example.org/a b", SpiffeFault::Path),
            ("spiffe://example.org/a\0", SpiffeFault::Path),
        ] {
            assert_eq!(SpiffeId::new(id), Err(fault), "{id:.40}");
        }
        for id in ["spiffe://example.org/_a", "spiffe://example.org/ns/a/sa/b..c"] {
            assert_eq!(caller(id), Err(SpiffeFault::Caller), "{id}");
        }
    }

    #[test]
    fn a_pattern_is_one_id_or_all_below() {
        let matches = |pattern: &str, id: &str| {
            SpiffePattern::new(pattern).unwrap().matches(&SpiffeId::new(id).unwrap())
        };
        assert!(matches("spiffe://a/ns/shop/sa/x", "spiffe://a/ns/shop/sa/x"));
        assert!(matches("spiffe://a/ns/shop/*", "spiffe://a/ns/shop/sa/x"));
        assert!(matches("spiffe://a/*", "spiffe://a/ns/shop/sa/x"));
        for (pattern, id) in [
            ("spiffe://a/ns/shop/sa/x", "spiffe://a/ns/shop/sa/xy"),
            ("spiffe://a/ns/shop/sa/x", "spiffe://a/ns/shop/sa/x/y"),
            ("spiffe://a/ns/shop/*", "spiffe://a/ns/shopping/sa/x"),
            ("spiffe://a/ns/shop/*", "spiffe://a/ns/shop"),
            ("spiffe://a/*", "spiffe://b/ns/shop/sa/x"),
        ] {
            assert!(!matches(pattern, id), "{pattern} {id}");
        }
        for wrong in ["", "*", "spiffe://*", "spiffe://a", "spiffe://a/*/b", "spiffe://a/b*"] {
            assert!(SpiffePattern::new(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn two_ids_of_a_domain_never_share_a_name(
            one in "(/(ns|sa|a|b|a.b|_)){1,5}", other in "(/(ns|sa|a|b|a.b|_)){1,5}",
        ) {
            let name = |path: &str| caller(&format!("spiffe://d{path}"));
            if let (Ok(first), Ok(second)) = (name(&one), name(&other)) {
                prop_assert_eq!(first == second, one == other);
            }
        }
    }
}
