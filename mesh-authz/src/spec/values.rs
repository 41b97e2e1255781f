//! Values of the fields of a match, from the numbers and bytes that a wire format has.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use mesh_core::name::Name;

use crate::invalid::Problem;

/// A comparison with a text. Byte by byte, so case counts.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the forms that policies have")]
pub enum StringMatch {
    /// The text is equal.
    Exact(Name),
    /// The text begins so.
    Prefix(Name),
    /// The text ends so.
    Suffix(Name),
    /// There is a text, and it is not empty.
    Presence,
}

impl StringMatch {
    /// An exact match.
    ///
    /// # Errors
    /// [`Problem::EmptyText`].
    pub fn exact(text: impl Into<Name>) -> Result<Self, Problem> {
        some(text).map(Self::Exact)
    }

    /// A match of the beginning.
    ///
    /// # Errors
    /// [`Problem::EmptyText`].
    pub fn prefix(text: impl Into<Name>) -> Result<Self, Problem> {
        some(text).map(Self::Prefix)
    }

    /// A match of the end.
    ///
    /// # Errors
    /// [`Problem::EmptyText`].
    pub fn suffix(text: impl Into<Name>) -> Result<Self, Problem> {
        some(text).map(Self::Suffix)
    }

    /// A match as policies are written: `*`, `*abc`, `abc*` or `abc`, tried in this order; there
    /// is no way to escape a `*`, and one inside is itself.
    ///
    /// # Errors
    /// [`Problem::EmptyText`].
    ///
    /// ```
    /// use mesh_authz::spec::StringMatch;
    ///
    /// assert_eq!(StringMatch::parse("*")?, StringMatch::Presence);
    /// assert_eq!(StringMatch::parse("*abc*")?, StringMatch::suffix("abc*")?);
    /// assert_eq!(StringMatch::parse("a*b")?, StringMatch::exact("a*b")?);
    /// # Ok::<(), mesh_authz::Problem>(())
    /// ```
    pub fn parse(pattern: &str) -> Result<Self, Problem> {
        match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            (Some(""), _) => Ok(Self::Presence),
            (Some(suffix), _) => Self::suffix(suffix),
            (None, Some(prefix)) => Self::prefix(prefix),
            (None, None) => Self::exact(pattern),
        }
    }

    /// Whether a text fits.
    ///
    /// ```
    /// use mesh_authz::spec::StringMatch;
    ///
    /// assert!(StringMatch::prefix("prod-")?.matches("prod-1"));
    /// assert!(!StringMatch::Presence.matches(""));
    /// # Ok::<(), mesh_authz::Problem>(())
    /// ```
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == exact.as_str(),
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Self::Presence => !text.is_empty(),
        }
    }
}

/// As policies are written: `abc`, `abc*`, `*abc`, `*`.
impl fmt::Display for StringMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Prefix(text) => write!(f, "{text}*"),
            Self::Suffix(text) => write!(f, "*{text}"),
            Self::Presence => f.write_str("*"),
        }
    }
}

fn some(text: impl Into<Name>) -> Result<Name, Problem> {
    let text = text.into();
    if text.is_empty() {
        return Err(Problem::EmptyText);
    }
    Ok(text)
}

/// A service account in a namespace, of any trust domain.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct ServiceAccountMatch {
    /// Namespace.
    pub namespace: Name,
    /// Name.
    pub service_account: Name,
}

impl ServiceAccountMatch {
    /// A service account.
    ///
    /// # Errors
    /// [`Problem::ServiceAccount`] when a part is empty.
    pub fn new(
        namespace: impl Into<Name>,
        service_account: impl Into<Name>,
    ) -> Result<Self, Problem> {
        let account = Self {
            namespace: namespace.into(),
            service_account: service_account.into(),
        };
        if account.namespace.is_empty() || account.service_account.is_empty() {
            return Err(Problem::ServiceAccount);
        }
        Ok(account)
    }
}

impl fmt::Display for ServiceAccountMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.service_account)
    }
}

/// A range of addresses from the bytes of an address and the length of a prefix in bits.
///
/// # Errors
/// [`Problem::Address`] when there are not 4 or 16 bytes, [`Problem::PrefixLength`] when the prefix
/// is longer than the address.
///
/// ```
/// use mesh_authz::spec::cidr;
///
/// assert_eq!(cidr(&[10, 0, 0, 0], 8)?.to_string(), "10.0.0.0/8");
/// assert!(cidr(&[10, 0, 0], 8).is_err());
/// assert!(cidr(&[10, 0, 0, 0], 33).is_err());
/// # Ok::<(), mesh_authz::Problem>(())
/// ```
pub fn cidr(address: &[u8], length: u32) -> Result<IpNet, Problem> {
    let bytes = address.len();
    let v4 = <[u8; 4]>::try_from(address).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    let v6 = <[u8; 16]>::try_from(address).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)));
    let ip = v4.or(v6).map_err(|_| Problem::Address { bytes })?;
    let prefix = u8::try_from(length).map_err(|_| Problem::PrefixLength { length })?;
    IpNet::new(ip, prefix).map_err(|_| Problem::PrefixLength { length })
}

/// A port from a number of the wire.
///
/// # Errors
/// [`Problem::Port`] above 65535.
pub fn port(port: u32) -> Result<u16, Problem> {
    u16::try_from(port).map_err(|_| Problem::Port { port })
}

#[cfg(test)]
mod tests;
