//! Requests and answers of outbound resolution.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Hop;
use crate::model::{Service, Workload};

/// A connection that leaves a local workload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OutboundRequest {
    /// The IP that the application connects from; never an IPv4-mapped IPv6 address.
    pub source_ip: IpAddr,
    /// The address that the application asked for; never an IPv4-mapped IPv6 address.
    pub destination: SocketAddr,
}

impl OutboundRequest {
    /// A connection; IPv4-mapped IPv6 addresses become plain IPv4.
    #[must_use]
    pub fn new(source_ip: IpAddr, destination: SocketAddr) -> Self {
        let destination = SocketAddr::new(destination.ip().to_canonical(), destination.port());
        Self {
            source_ip: source_ip.to_canonical(),
            destination,
        }
    }
}

/// Why a connection goes where it goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RouteReason {
    /// The destination is not in the mesh.
    UnknownDestination,
    /// The destination is a service without balancing.
    PassthroughService,
    /// The destination is a service with a waypoint.
    ServiceWaypoint,
    /// The destination is a workload with a waypoint.
    WorkloadWaypoint,
    /// The destination is a service; one of its endpoints was chosen.
    ServiceEndpoint,
    /// The destination is a workload.
    Workload,
}

/// Where a connection goes that leaves a local workload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutboundRoute {
    /// The next hop.
    pub hop: Hop,
    /// The service that the application addressed.
    pub service: Option<Arc<Service>>,
    /// The workload that was chosen: the endpoint or the waypoint, also when it is behind a network
    /// gateway.
    pub destination: Option<Arc<Workload>>,
    /// The network gateway of a [`Hop::DoubleHbone`].
    pub gateway: Option<Arc<Workload>>,
    /// Why it goes there.
    pub reason: RouteReason,
}

/// What a host name stands for that an application asked for, as with SOCKS5.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers handle every kind")]
pub enum HostnameTarget {
    /// It is in the mesh: continue with this address as the destination.
    Mesh(SocketAddr),
    /// It is not in the mesh, or the mesh has no address for it: look it up.
    Unknown,
    /// Whether it is in the mesh could not be found out: fail, since looking it up could lead
    /// around what the mesh demands for it.
    Unanswered,
    /// It is in the mesh, and what is known about it was rejected: fail.
    Rejected,
}
