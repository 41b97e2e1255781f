//! Requests and answers of inbound resolution.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::authority::ConnectAuthority;
use crate::identity::SpiffeId;
use crate::model::{Service, Workload};
use crate::name::Name;

/// A CONNECT request that reached a local workload's HBONE port.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct InboundRequest<'a> {
    /// The TCP peer.
    pub peer: SocketAddr,
    /// The TCP destination.
    pub local: SocketAddr,
    /// What the peer asks for.
    pub authority: &'a ConnectAuthority,
    /// The verified identity of the peer. Default none.
    pub peer_identity: Option<&'a SpiffeId>,
    /// The `host` of the `forwarded` header: the service that the client addressed. Default none.
    pub forwarded_host: Option<&'a str>,
    /// Whether the request came through a gateway of another network (`x-forwarded-network`
    /// differs from the own network), so that the peer is not the source. Default false.
    pub from_other_network: bool,
}

impl<'a> InboundRequest<'a> {
    /// A request; IPv4-mapped IPv6 addresses become plain IPv4.
    #[must_use]
    pub fn new(peer: SocketAddr, local: SocketAddr, authority: &'a ConnectAuthority) -> Self {
        Self {
            peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            local: SocketAddr::new(local.ip().to_canonical(), local.port()),
            authority,
            peer_identity: None,
            forwarded_host: None,
            from_other_network: false,
        }
    }
}

/// What to say in the PROXY protocol header before the application's bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProxyHeaderTarget {
    /// The destination address: the one that the client addressed.
    pub destination: SocketAddr,
    /// Host name of the service that the client addressed, where it is known (TLV 0xD1).
    pub service: Option<Name>,
}

/// Where a CONNECT request goes that reached a local workload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InboundRoute {
    /// The next hop as policies see it: the TCP destination IP with the final port.
    pub destination: SocketAddr,
    /// The address to connect to: the same, or its variant on the loopback interface.
    pub dial: SocketAddr,
    /// Whether to connect from the loopback address (of the family of `dial`) instead of the peer's.
    pub dial_from_loopback: bool,
    /// The PROXY protocol header to begin with.
    pub proxy_header: Option<ProxyHeaderTarget>,
    /// The client's workload.
    pub source: Option<Arc<Workload>>,
    /// The service that the client addressed, as far as it can be told.
    pub service: Option<Arc<Service>>,
}

/// Where a plain TCP connection goes that reached a local workload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PassthroughRoute {
    /// The address to connect to, and the one that policies see.
    pub destination: SocketAddr,
    /// The client's workload.
    pub source: Option<Arc<Workload>>,
    /// The service that the client addressed, as far as it can be told.
    pub service: Option<Arc<Service>>,
}
