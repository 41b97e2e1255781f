//! References to waypoints and network gateways.

use super::{NamespacedHostname, NetworkAddress};

/// Where a waypoint or a network gateway is to be found.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum GatewayDestination {
    /// By address: a workload first, else a service.
    Address(NetworkAddress),
    /// By host name: a service first, else a workload.
    Hostname(NamespacedHostname),
}

/// A reference to a waypoint or a network gateway.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct GatewayAddress {
    /// Which workload or service it is.
    pub destination: GatewayDestination,
    /// Its HBONE port, before the service's port mapping; 15008 by convention.
    pub hbone_mtls_port: u16,
}

/// A waypoint with the share of connections that it gets.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data from a configuration source"
)]
pub struct WeightedWaypoint {
    /// The waypoint.
    pub waypoint: GatewayAddress,
    /// Its weight relative to the others; 0 = gets nothing.
    pub weight: u32,
}
