//! The next hop of a connection.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use crate::authority::ConnectAuthority;
use crate::identity::ExpectedPeers;
use crate::name::Name;

/// An IP version.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum IpFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpFamily {
    /// The family of an address; an IPv4-mapped IPv6 address is IPv4.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Where to connect.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers handle every kind")]
pub enum HopAddress {
    /// An address.
    Ip(SocketAddr),
    /// A host name to look up now.
    Hostname {
        /// The name.
        name: Name,
        /// The port.
        port: u16,
        /// The family to take when the name has addresses of both.
        prefer: IpFamily,
    },
}

impl HopAddress {
    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Ip(address) => address.port(),
            Self::Hostname { port, .. } => *port,
        }
    }
}

/// The `:authority` to ask the next hop for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers handle every kind")]
pub enum TunnelAuthority {
    /// This one.
    Is(ConnectAuthority),
    /// The IP address that is dialled, once its host name is looked up, with this port.
    OfDialledIp(NonZeroU16),
}

impl TunnelAuthority {
    /// The authority for a hop that is dialled at this address.
    ///
    /// ```
    /// use mesh_core::resolve::TunnelAuthority;
    /// let authority = TunnelAuthority::OfDialledIp(std::num::NonZeroU16::MIN);
    /// assert_eq!(authority.at([10, 0, 0, 1].into()).to_string(), "10.0.0.1:1");
    /// ```
    #[must_use]
    pub fn at(&self, dialled: IpAddr) -> ConnectAuthority {
        match self {
            Self::Is(authority) => authority.clone(),
            Self::OfDialledIp(port) => ConnectAuthority::from_ip(dialled, *port),
        }
    }
}

/// The next hop of a connection that leaves a local workload.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers handle every kind")]
pub enum Hop {
    /// Plain TCP to the original destination, which is not in the mesh or wants no balancing.
    Passthrough {
        /// The original destination.
        to: SocketAddr,
    },
    /// Plain TCP to a workload without a tunnel.
    Tcp {
        /// The workload.
        to: HopAddress,
    },
    /// HBONE to a workload's proxy or to a waypoint.
    Hbone {
        /// The HBONE port there.
        to: HopAddress,
        /// What to ask it for.
        authority: TunnelAuthority,
        /// Who it may be.
        expected: ExpectedPeers,
    },
    /// HBONE to an endpoint of another network inside of HBONE to that network's gateway.
    DoubleHbone {
        /// The HBONE port of the gateway.
        gateway: HopAddress,
        /// Who the gateway may be.
        gateway_expected: ExpectedPeers,
        /// What to ask both for: the service's host name and service port.
        authority: ConnectAuthority,
        /// Who the endpoint behind the gateway may be.
        expected: ExpectedPeers,
    },
}
