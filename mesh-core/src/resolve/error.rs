//! Why there is no route.

use std::net::{IpAddr, SocketAddr};

use crate::authority::ConnectAuthority;
use crate::model::{GatewayDestination, NamespacedHostname};
use crate::name::Name;
use crate::outcome::Outcome;

/// Why a connection has no route.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The destination leads back to the proxy itself.
    #[error("recursive call: {destination} leads back to this proxy")]
    RecursiveCall {
        /// The address that was asked for or that was resolved.
        destination: SocketAddr,
    },
    /// The destination has port 0.
    #[error("{destination} cannot be connected to")]
    InvalidDestination {
        /// The address that was asked for.
        destination: SocketAddr,
    },
    /// The waypoint of the destination is unknown or has no healthy endpoint.
    #[error("waypoint {} of {of} cannot be resolved", show(.waypoint))]
    UnknownWaypoint {
        /// The reference to the waypoint.
        waypoint: Box<GatewayDestination>,
        /// The service, or the uid of the workload, that has it.
        of: Box<str>,
    },
    /// The gateway of the destination's network is unknown or has no healthy endpoint.
    #[error("network gateway {} of workload {of} cannot be resolved", show(.gateway))]
    UnknownNetworkGateway {
        /// The reference to the gateway.
        gateway: Box<GatewayDestination>,
        /// The uid of the workload behind it.
        of: Name,
    },
    /// The destination is on another network whose gateway is not known.
    #[error("workload {workload} is on another network that has no gateway")]
    NoNetworkGateway {
        /// The uid of the destination.
        workload: Name,
    },
    /// The destination is on another network, where only services can be reached.
    #[error("workload {workload} is on another network and was not addressed through a service")]
    RemoteWorkload {
        /// The uid of the destination.
        workload: Name,
    },
    /// The service has no endpoint that takes connections to this port.
    #[error("service {service} has no healthy endpoint for port {port}")]
    NoHealthyUpstream {
        /// The service.
        service: NamespacedHostname,
        /// The service port.
        port: u16,
    },
    /// The chosen workload has neither an address of the service's IP families nor a host name.
    #[error("workload {workload} has no address")]
    NoAddress {
        /// The uid of the workload.
        workload: Name,
    },
    /// Nothing says who the peer may be, so that it could not be verified.
    #[error("workload {workload} has no valid identity and its service names none")]
    NoIdentity {
        /// The uid of the workload.
        workload: Name,
    },
    /// Nothing says who may answer for a service of another network: the service needs subject
    /// alternative names.
    #[error("service {service} names no identities for its endpoints on other networks")]
    NoRemoteIdentity {
        /// The service that is reached through the gateway: the destination, or its waypoint.
        service: Box<str>,
    },
    /// The host name of the service cannot be written in a CONNECT request.
    #[error("{service} is not a valid host name")]
    InvalidHostname {
        /// The service.
        service: NamespacedHostname,
    },
    /// The connection should have come through a waypoint.
    #[error("connections to {destination} are taken from its waypoint only")]
    WaypointRequired {
        /// The address that was asked for.
        destination: SocketAddr,
    },
    /// The control plane has not said what is at the destination or on the way to it, so that
    /// nothing is known of how it has to be reached.
    #[error("the control plane has not said in time what {reference} is")]
    Unanswered {
        /// What was asked for: `network/ip` or `namespace/hostname`.
        reference: Box<str>,
    },
    /// What the control plane says about the destination, or what is on the way to it, cannot be
    /// taken over, so that nothing is known of how it has to be reached.
    #[error("what the control plane says of {reference} was rejected")]
    Rejected {
        /// What was asked for: `network/ip` or `namespace/hostname`.
        reference: Box<str>,
    },
}

impl ResolveError {
    /// The class of the failure.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::RecursiveCall { .. } | Self::InvalidDestination { .. } => Outcome::BadRequest,
            Self::UnknownWaypoint { .. }
            | Self::UnknownNetworkGateway { .. }
            | Self::NoNetworkGateway { .. }
            | Self::RemoteWorkload { .. }
            | Self::NoHealthyUpstream { .. }
            | Self::NoAddress { .. }
            | Self::NoIdentity { .. }
            | Self::NoRemoteIdentity { .. }
            | Self::InvalidHostname { .. }
            | Self::Unanswered { .. }
            | Self::Rejected { .. } => Outcome::Unresolved,
            Self::WaypointRequired { .. } => Outcome::PolicyDenied,
        }
    }
}

/// Why a CONNECT request is refused before policy is asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InboundError {
    /// The authority is neither the workload that was connected to nor anything behind it.
    #[error("ip mismatch: {destination} != {authority}")]
    IpMismatch {
        /// The TCP destination.
        destination: IpAddr,
        /// The IP that was asked for.
        authority: IpAddr,
    },
    /// The authority names a service that the workload neither belongs to nor is a waypoint of.
    #[error("{destination} is not an endpoint of {service} nor its waypoint")]
    NotAnEndpoint {
        /// The TCP destination.
        destination: IpAddr,
        /// The service.
        service: NamespacedHostname,
    },
    /// The authority names no known service.
    #[error("no service {authority}")]
    UnknownService {
        /// What was asked for.
        authority: ConnectAuthority,
    },
    /// The service does not have the port, or not at this endpoint.
    #[error("service {service} has no target port for {port}")]
    UnknownPort {
        /// The service.
        service: NamespacedHostname,
        /// The service port that was asked for.
        port: u16,
    },
    /// The destination is the proxy itself.
    #[error("recursive call: {destination} leads back to this proxy")]
    IllegalPort {
        /// The next hop.
        destination: SocketAddr,
    },
    /// The workload wants to be told the destination, but the service has no virtual IP.
    #[error("service {service} has no address to put into the PROXY header")]
    NoVip {
        /// The service.
        service: NamespacedHostname,
    },
    /// The connection should have come through a waypoint.
    #[error("connections to {destination} are taken from its waypoint only")]
    WaypointRequired {
        /// The next hop.
        destination: SocketAddr,
    },
}

impl InboundError {
    /// The HTTP status to answer: 400, 401 or 503.
    ///
    /// Source: what Istio's node proxies answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::IpMismatch { .. } | Self::NotAnEndpoint { .. } => 400,
            Self::WaypointRequired { .. } => 401,
            Self::UnknownService { .. }
            | Self::UnknownPort { .. }
            | Self::IllegalPort { .. }
            | Self::NoVip { .. } => 503,
        }
    }

    /// The class of the failure.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::IpMismatch { .. } | Self::NotAnEndpoint { .. } | Self::IllegalPort { .. } => {
                Outcome::BadRequest
            }
            Self::WaypointRequired { .. } => Outcome::PolicyDenied,
            Self::UnknownService { .. } | Self::UnknownPort { .. } | Self::NoVip { .. } => {
                Outcome::Unresolved
            }
        }
    }
}

fn show(destination: &GatewayDestination) -> &dyn std::fmt::Display {
    match destination {
        GatewayDestination::Address(address) => address,
        GatewayDestination::Hostname(name) => name,
    }
}
