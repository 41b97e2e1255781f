//! Protections against loops and against ways around a waypoint.
//!
//! What they do not cover is left to the listeners: limits on connections and handshakes, the mark that
//! exempts the proxy's own sockets from redirection, and the verification of peers.

use std::net::{IpAddr, SocketAddr};

use super::{Hop, HopAddress, InboundRequest, ResolveConfig, ResolveError, TunnelAuthority};
use super::{attachment, service_guess};
use crate::model::Workload;
use crate::snapshot::MeshSnapshot;

/// An application must not connect to the proxy beside it.
pub(super) fn outbound_destination(
    config: &ResolveConfig,
    source: &Workload,
    destination: SocketAddr,
) -> Result<(), ResolveError> {
    if destination.port() == 0 {
        return Err(ResolveError::InvalidDestination { destination });
    }
    refuse_own_listener(config, source, destination)
}

/// Nor must what its destination resolves to.
pub(super) fn outbound_hop(
    config: &ResolveConfig,
    source: &Workload,
    hop: &Hop,
) -> Result<(), ResolveError> {
    let reached = match hop {
        Hop::Tcp {
            to: HopAddress::Ip(to),
        } => Some(*to),
        // HBONE to the own workload is legitimate (it is an endpoint of a service that it calls), as
        // long as its proxy is not asked for one of its own ports.
        Hop::Hbone {
            authority: TunnelAuthority::Is(authority),
            ..
        } => authority
            .ip()
            .map(|ip| SocketAddr::new(ip, authority.port().get())),
        Hop::Tcp {
            to: HopAddress::Hostname { .. },
        }
        | Hop::Hbone {
            authority: TunnelAuthority::OfDialledIp(_),
            ..
        }
        | Hop::DoubleHbone { .. }
        // The destination, which was checked.
        | Hop::Passthrough { .. } => None,
    };
    reached.map_or(Ok(()), |to| refuse_own_listener(config, source, to))
}

fn refuse_own_listener(
    config: &ResolveConfig,
    source: &Workload,
    destination: SocketAddr,
) -> Result<(), ResolveError> {
    let ip = destination.ip();
    let own = is_local(ip) || source.ips().contains(&ip);
    if own && config.illegal_ports.contains(destination.port()) {
        return Err(ResolveError::RecursiveCall { destination });
    }
    Ok(())
}

/// Whether connecting to an IP stays on the machine; the unspecified address does.
fn is_local(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ip.is_unspecified()
}

/// Whether an incoming connection may go on to this port of the workload: not to a listener of the
/// proxy, whatever the IP.
pub(super) fn is_inbound_port(config: &ResolveConfig, port: u16) -> bool {
    port != 0 && !config.illegal_ports.contains(port)
}

/// Whether `source` is a waypoint that goes to what is behind it: then it takes no other hop.
pub(super) fn is_behind(source: &Workload, source_ip: IpAddr, is_waypoint: bool) -> bool {
    is_waypoint && source.ips().contains(&source_ip)
}

/// Whether a connection to this port of a local workload comes from a waypoint of it, or needs none.
///
/// A port needs a waypoint when the workload has one, or a service that targets the port.
pub(super) fn came_through_waypoint(
    snapshot: &MeshSnapshot,
    local: &Workload,
    port: u16,
    request: Option<&InboundRequest<'_>>,
) -> bool {
    let mut needed = local
        .waypoint()
        .into_iter()
        .chain(
            service_guess::targeting(snapshot, local, port)
                .flat_map(|service| attachment::waypoints(service)),
        )
        .peekable();
    if needed.peek().is_none() {
        return true;
    }
    let Some(request) = request.filter(|request| !request.from_other_network) else {
        return false;
    };
    let Some(peer) = snapshot.workload_at(local.network(), request.peer.ip()) else {
        return false;
    };
    let identity = peer.identity();
    identity.is_some()
        && identity.as_ref() == request.peer_identity
        && needed.any(|reference| attachment::leads_to(snapshot, reference, peer))
}
