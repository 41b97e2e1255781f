//! What is known of a connection once it is resolved.

use std::net::SocketAddr;
use std::sync::Arc;

use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;
use mesh_core::resolve::{Hop, OutboundRoute, TunnelAuthority};
use mesh_core::telemetry::{Connection, Direction, Security};

use super::Request;

/// The record of a connection that is about to be dialled at `address`; `identity` is the one that
/// is presented, if there is to be a tunnel.
pub(super) fn describe(
    local: &Arc<Workload>,
    request: &Request,
    route: &OutboundRoute,
    identity: Option<&SpiffeId>,
    address: SocketAddr,
) -> Connection {
    // What is behind a network gateway is not known until it answers.
    let destination = match route.hop {
        Hop::DoubleHbone { .. } => &route.gateway,
        _ => &route.destination,
    };
    let mut connection = Connection::new(Direction::Outbound, request.client, address);
    connection.source = Some(local.clone());
    connection.service = route.service.clone();
    connection.destination = destination.clone();
    if let Some(identity) = identity {
        connection.security = Security::MutualTls;
        connection.source_identity = Some(identity.clone());
        connection.destination_identity = destination.as_ref().and_then(|w| w.identity());
        connection.hbone_authority = authority(&route.hop, address).map(Into::into);
    }
    connection
}

/// The `:authority` of a route as far as it is known before dialling.
pub(super) fn authority(hop: &Hop, address: SocketAddr) -> Option<String> {
    match hop {
        Hop::Passthrough { .. } | Hop::Tcp { .. } => None,
        Hop::Hbone { authority, .. } => {
            Some(TunnelAuthority::at(authority, address.ip()).to_string())
        }
        Hop::DoubleHbone { authority, .. } => Some(authority.to_string()),
    }
}
