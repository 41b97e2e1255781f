//! SPIFFE identities and trust domains.

use std::fmt;
use std::str::FromStr;

use crate::name::Name;

/// A SPIFFE trust domain, such as `cluster.local`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrustDomain(Name);

/// A SPIFFE ID of the form `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpiffeId {
    trust_domain: TrustDomain,
    namespace: Name,
    service_account: Name,
}

/// Why a text is not a SPIFFE ID or a trust domain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSpiffeId {
    /// The text does not begin with `spiffe://`.
    #[error("a SPIFFE ID begins with spiffe://")]
    Scheme,
    /// The trust domain is empty or has characters outside `a-z 0-9 . - _`.
    #[error("a trust domain has 1 to 255 characters of a-z, 0-9, '.', '-' and '_'")]
    TrustDomain,
    /// The path is not `/ns/<namespace>/sa/<service account>`.
    #[error("the path of a workload's SPIFFE ID is /ns/<namespace>/sa/<service account>")]
    Path,
    /// The text is longer than 2048 bytes.
    #[error("a SPIFFE ID has at most 2048 bytes")]
    TooLong,
}

impl TrustDomain {
    /// The text, such as `cluster.local`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for TrustDomain {
    type Err = InvalidSpiffeId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
        if text.is_empty() || text.len() > 255 || !text.bytes().all(ok) {
            return Err(InvalidSpiffeId::TrustDomain);
        }
        Ok(Self(Name::from(text)))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SpiffeId {
    /// The identity of a service account.
    ///
    /// # Errors
    /// [`InvalidSpiffeId::Path`] when a part is empty or not a valid path segment.
    pub fn new(
        trust_domain: TrustDomain,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, InvalidSpiffeId> {
        let ok = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
        for part in [namespace, service_account] {
            if part.is_empty() || part == "." || part == ".." || !part.bytes().all(ok) {
                return Err(InvalidSpiffeId::Path);
            }
        }
        Ok(Self {
            trust_domain,
            namespace: namespace.into(),
            service_account: service_account.into(),
        })
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The same namespace and service account in another trust domain.
    #[must_use]
    pub fn with_trust_domain(&self, trust_domain: TrustDomain) -> Self {
        Self {
            trust_domain,
            ..self.clone()
        }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &Name {
        &self.namespace
    }

    /// The service account.
    #[must_use]
    pub fn service_account(&self) -> &Name {
        &self.service_account
    }
}

impl FromStr for SpiffeId {
    type Err = InvalidSpiffeId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > 2048 {
            return Err(InvalidSpiffeId::TooLong);
        }
        let rest = text
            .strip_prefix("spiffe://")
            .ok_or(InvalidSpiffeId::Scheme)?;
        let (domain, path) = rest.split_once('/').ok_or(InvalidSpiffeId::Path)?;
        let domain = domain.parse()?;
        let path = path.strip_prefix("ns/").ok_or(InvalidSpiffeId::Path)?;
        let (namespace, account) = path.split_once("/sa/").ok_or(InvalidSpiffeId::Path)?;
        Self::new(domain, namespace, account)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trust_domain,
            namespace,
            service_account,
        } = self;
        write!(
            f,
            "spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"
        )
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The identities that a peer may have: at least one, in a fixed order without repetition.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ExpectedPeers(std::sync::Arc<[SpiffeId]>);

impl ExpectedPeers {
    /// A set from identities in any order; `None` when there is none.
    pub fn new(ids: impl IntoIterator<Item = SpiffeId>) -> Option<Self> {
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort();
        ids.dedup();
        (!ids.is_empty()).then(|| Self(ids.into()))
    }

    /// Whether a peer with this identity is expected.
    #[must_use]
    pub fn contains(&self, id: &SpiffeId) -> bool {
        self.0.binary_search(id).is_ok()
    }

    /// The identities, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, SpiffeId> {
        self.0.iter()
    }
}

impl From<SpiffeId> for ExpectedPeers {
    fn from(id: SpiffeId) -> Self {
        Self([id].into())
    }
}
