//! SPIFFE identities and trust domains.
//!
//! Source: SPIFFE ID specification sections 2 and 3, narrowed to the form that Istio gives to
//! workloads. Everything is compared byte by byte; nothing is normalised or percent-decoded.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::name::Name;

/// The largest SPIFFE ID, in bytes. Source: SPIFFE ID specification section 2.3.
const MAX_ID: usize = 2048;

/// The largest trust domain, in bytes. Source: SPIFFE ID specification section 2.1.
const MAX_TRUST_DOMAIN: usize = 255;

/// A SPIFFE trust domain, such as `cluster.local`.
///
/// 1 to 255 bytes of `a-z`, `0-9`, `.`, `-` and `_`: no port, no user, no upper case.
///
/// ```
/// use mesh_core::identity::TrustDomain;
///
/// let domain: TrustDomain = "cluster.local".parse()?;
/// assert_eq!(domain.as_str(), "cluster.local");
/// assert!("Cluster.Local".parse::<TrustDomain>().is_err());
/// # Ok::<(), mesh_core::identity::InvalidSpiffeId>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrustDomain(Name);

/// A SPIFFE ID of the form `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
///
/// Namespace and service account are path segments of the specification: one or more of `a-z`,
/// `A-Z`, `0-9`, `.`, `-` and `_`, but not `.` or `..`. The whole has at most 2048 bytes.
///
/// ```
/// use mesh_core::identity::SpiffeId;
///
/// let id: SpiffeId = "spiffe://cluster.local/ns/shop/sa/cart".parse()?;
/// assert_eq!(id.trust_domain().as_str(), "cluster.local");
/// assert_eq!((id.namespace().as_str(), id.service_account().as_str()), ("shop", "cart"));
/// assert_eq!(id.to_string(), "spiffe://cluster.local/ns/shop/sa/cart");
/// # Ok::<(), mesh_core::identity::InvalidSpiffeId>(())
/// ```
///
/// Cloning copies a pointer.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpiffeId(Arc<Parts>);

/// In the order in which identities compare.
#[derive(Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Parts {
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
        if text.is_empty() || text.len() > MAX_TRUST_DOMAIN || !text.bytes().all(ok) {
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
    /// [`InvalidSpiffeId::Path`] when a part is empty or not a valid path segment,
    /// [`InvalidSpiffeId::TooLong`] when the whole exceeds 2048 bytes.
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
        check_length(&trust_domain, namespace, service_account)?;
        Ok(Self(Arc::new(Parts {
            trust_domain,
            namespace: namespace.into(),
            service_account: service_account.into(),
        })))
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.0.trust_domain
    }

    /// The same namespace and service account in another trust domain.
    ///
    /// # Errors
    /// [`InvalidSpiffeId::TooLong`] when the whole then exceeds 2048 bytes.
    pub fn with_trust_domain(&self, trust_domain: TrustDomain) -> Result<Self, InvalidSpiffeId> {
        check_length(&trust_domain, &self.0.namespace, &self.0.service_account)?;
        Ok(Self(Arc::new(Parts {
            trust_domain,
            namespace: self.namespace().clone(),
            service_account: self.service_account().clone(),
        })))
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &Name {
        &self.0.namespace
    }

    /// The service account.
    #[must_use]
    pub fn service_account(&self) -> &Name {
        &self.0.service_account
    }
}

fn check_length(domain: &TrustDomain, ns: &str, account: &str) -> Result<(), InvalidSpiffeId> {
    let length = [domain.as_str(), ns, account]
        .iter()
        .fold("spiffe:///ns//sa/".len(), |sum, part| {
            sum.saturating_add(part.len())
        });
    (length <= MAX_ID)
        .then_some(())
        .ok_or(InvalidSpiffeId::TooLong)
}

impl FromStr for SpiffeId {
    type Err = InvalidSpiffeId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_ID {
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
        let Parts {
            trust_domain,
            namespace,
            service_account,
        } = &*self.0;
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
///
/// A set is never empty, so a connection for which no identity is known cannot be made to accept
/// anyone. Two sets with the same identities are equal and have the same hash, so a set can be
/// part of a pool key. Clones are cheap.
///
/// ```
/// use mesh_core::identity::{ExpectedPeers, SpiffeId};
///
/// let cart: SpiffeId = "spiffe://cluster.local/ns/shop/sa/cart".parse()?;
/// let shop: SpiffeId = "spiffe://cluster.local/ns/shop/sa/shop".parse()?;
/// let expected = ExpectedPeers::new([shop.clone(), cart.clone()]);
/// assert_eq!(expected, ExpectedPeers::new([cart.clone(), shop, cart.clone()]));
/// assert!(expected.is_some_and(|peers| peers.contains(&cart)));
/// assert_eq!(ExpectedPeers::new([]), None);
/// # Ok::<(), mesh_core::identity::InvalidSpiffeId>(())
/// ```
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

impl<'a> IntoIterator for &'a ExpectedPeers {
    type Item = &'a SpiffeId;
    type IntoIter = std::slice::Iter<'a, SpiffeId>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
