//! Resolution of plain TCP connections that reach a local workload.

use std::net::SocketAddr;

use super::{PassthroughRoute, ResolveConfig, ResolveError, guards, service_guess};
use crate::model::Workload;
use crate::snapshot::MeshSnapshot;

/// Where a plain TCP connection goes that reached the local workload `local`: to its original destination.
///
/// # Errors
/// [`ResolveError::RecursiveCall`] when that is a port of this proxy, whatever the IP;
/// [`ResolveError::InvalidDestination`] for port 0; [`ResolveError::WaypointRequired`] when
/// [`ResolveConfig::require_waypoints`] is set and the port is behind a waypoint, since plain TCP proves
/// nothing about where it comes from.
pub fn passthrough(
    snapshot: &MeshSnapshot,
    config: &ResolveConfig,
    local: &Workload,
    peer: SocketAddr,
    destination: SocketAddr,
) -> Result<PassthroughRoute, ResolveError> {
    let destination = SocketAddr::new(destination.ip().to_canonical(), destination.port());
    let port = destination.port();
    if port == 0 {
        return Err(ResolveError::InvalidDestination { destination });
    }
    if !guards::is_inbound_port(config, port) {
        return Err(ResolveError::RecursiveCall { destination });
    }
    if config.require_waypoints && !guards::came_through_waypoint(snapshot, local, port, None) {
        return Err(ResolveError::WaypointRequired { destination });
    }
    let source = snapshot.workload_at(local.network(), peer.ip().to_canonical());
    let service = service_guess::guess(snapshot, local, port, None);
    Ok(PassthroughRoute {
        destination,
        source: source.cloned(),
        service: service.cloned(),
    })
}
