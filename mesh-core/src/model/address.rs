//! Addresses within networks.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::name::Name;

/// The id of a network: addresses are unique within one. The default network is the empty name.
pub type Network = Name;

/// An IP address within a network.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a pair by definition")]
pub struct NetworkAddress {
    /// The network.
    pub network: Network,
    /// The address; never an IPv4-mapped IPv6 address when built by [`NetworkAddress::new`].
    pub ip: IpAddr,
}

impl NetworkAddress {
    /// An address; IPv4-mapped IPv6 addresses become plain IPv4.
    #[must_use]
    pub fn new(network: impl Into<Network>, ip: IpAddr) -> Self {
        Self {
            network: network.into(),
            ip: ip.to_canonical(),
        }
    }
}

impl fmt::Display for NetworkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.ip)
    }
}

/// A range of IP addresses within a network.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a pair by definition")]
pub struct NetworkCidr {
    /// The network.
    pub network: Network,
    /// The range.
    pub cidr: IpNet,
}

/// A host name within a namespace, written `namespace/hostname`.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a pair by definition")]
pub struct NamespacedHostname {
    /// The namespace.
    pub namespace: Name,
    /// The fully qualified host name.
    pub hostname: Name,
}

impl NamespacedHostname {
    /// A host name within a namespace.
    #[must_use]
    pub fn new(namespace: impl Into<Name>, hostname: impl Into<Name>) -> Self {
        Self {
            namespace: namespace.into(),
            hostname: hostname.into(),
        }
    }
}

impl fmt::Display for NamespacedHostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.hostname)
    }
}
