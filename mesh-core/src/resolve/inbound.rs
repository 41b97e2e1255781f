//! Resolution of CONNECT requests that reach a local workload.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::lookup::{self, View};
use super::{InboundError, InboundRequest, InboundRoute, IpFamily, ProxyHeaderTarget};
use super::{ResolveConfig, attachment, guards, service_guess};
use crate::authority::AuthorityHost;
use crate::model::{ApplicationProtocol, NetworkAddress, Service, Workload};
use crate::name::Name;
use crate::snapshot::MeshSnapshot;

/// Where a CONNECT request goes that reached the local workload `local`: always to the IP that the TCP
/// connection was made to; the authority decides the port.
///
/// The authority must be that IP, or something behind the workload: an address or a service whose
/// waypoint it is, primary or weighted. A workload with an application tunnel judges that for itself. A
/// host name must be that of a service that the workload is an endpoint or a waypoint of.
///
/// # Errors
/// [`InboundError`], with the status to answer.
pub fn inbound(
    snapshot: &MeshSnapshot,
    config: &ResolveConfig,
    local: &Workload,
    request: &InboundRequest<'_>,
) -> Result<InboundRoute, InboundError> {
    let (ip, asked) = (request.local.ip(), request.authority.port().get());
    let tunnel = local.application_tunnel();
    let tunnel_port = tunnel.and_then(|tunnel| tunnel.port);
    let (port, service) = match request.authority.host() {
        AuthorityHost::Ip(authority) => {
            check_address(snapshot, local, ip, *authority)?;
            (asked, None)
        }
        AuthorityHost::Name(name) => {
            let service = named_service(snapshot, local, name, request)?;
            (target_port(local, service, asked)?, Some(service))
        }
    };
    let end = tunnel_port.map_or(port, std::num::NonZeroU16::get);
    for port in [port, end] {
        if !guards::is_inbound_port(config, port) {
            let destination = SocketAddr::new(ip, port);
            return Err(InboundError::IllegalPort { destination });
        }
    }
    let destination = SocketAddr::new(ip, end);
    if config.require_waypoints
        && !guards::came_through_waypoint(snapshot, local, end, Some(request))
    {
        return Err(InboundError::WaypointRequired { destination });
    }
    let proxied = tunnel.is_some_and(|t| t.protocol == ApplicationProtocol::Proxy);
    let proxy_header = proxied
        .then(|| proxy_header(snapshot, local, request, service))
        .transpose()?;
    let dial_from_loopback = proxied && config.localhost_app_tunnel;
    let dial = if dial_from_loopback {
        SocketAddr::new(loopback(ip), end)
    } else {
        destination
    };
    let peer = (!request.from_other_network).then(|| request.peer.ip());
    let source = peer.and_then(|peer| snapshot.workload_at(local.network(), peer));
    let service =
        service.or_else(|| service_guess::guess(snapshot, local, end, request.forwarded_host));
    Ok(InboundRoute {
        destination,
        dial,
        dial_from_loopback,
        proxy_header,
        source: source.cloned(),
        service: service.cloned(),
    })
}

/// Whether the workload answers for an address.
fn check_address(
    snapshot: &MeshSnapshot,
    local: &Workload,
    destination: IpAddr,
    authority: IpAddr,
) -> Result<(), InboundError> {
    let allowed = authority == destination
        || local.application_tunnel().is_some()
        || attachment::is_waypoint_at(snapshot, local.network(), authority, local);
    if allowed {
        return Ok(());
    }
    Err(InboundError::IpMismatch {
        destination,
        authority,
    })
}

/// The service of a host name: of several, the one that the workload belongs to, then the one whose
/// waypoint it is.
fn named_service<'a>(
    snapshot: &'a MeshSnapshot,
    local: &Workload,
    name: &Name,
    request: &InboundRequest<'_>,
) -> Result<&'a Arc<Service>, InboundError> {
    let services = snapshot.services_named(name);
    let attached = services
        .iter()
        .find(|service| attachment::is_endpoint(local, service))
        .or_else(|| {
            let mut services = services.iter();
            services.find(|service| attachment::is_waypoint_of(snapshot, service, local))
        });
    if let Some(service) = attached {
        return Ok(service);
    }
    let service = lookup::best(services, View::Namespace(local.namespace())).ok_or_else(|| {
        InboundError::UnknownService {
            authority: request.authority.clone(),
        }
    })?;
    if local.application_tunnel().is_some() {
        return Ok(service);
    }
    Err(InboundError::NotAnEndpoint {
        destination: request.local.ip(),
        service: service.key(),
    })
}

/// The target port of a service port at this workload: its own mapping first.
fn target_port(local: &Workload, service: &Service, port: u16) -> Result<u16, InboundError> {
    let spec = service.spec();
    let own = local
        .services()
        .find(|(key, _)| key.hostname == spec.hostname && key.namespace == spec.namespace)
        .and_then(|(_, ports)| ports.target(port).flatten());
    own.or_else(|| spec.ports.target(port).flatten())
        .map(std::num::NonZeroU16::get)
        .ok_or_else(|| InboundError::UnknownPort {
            service: service.key(),
            port,
        })
}

/// What the PROXY header says: the address that was asked for, for a host name a virtual IP of it.
fn proxy_header(
    snapshot: &MeshSnapshot,
    local: &Workload,
    request: &InboundRequest<'_>,
    service: Option<&Arc<Service>>,
) -> Result<ProxyHeaderTarget, InboundError> {
    let (ip, service) = match (request.authority.ip(), service) {
        (Some(ip), _) => {
            let services = snapshot.services_at(local.network(), ip);
            (ip, lookup::best(services, View::Mesh))
        }
        (None, Some(service)) => {
            let vip = preferred_vip(&service.spec().vips, local.network());
            let vip = vip.ok_or_else(|| InboundError::NoVip {
                service: service.key(),
            })?;
            (vip, Some(service))
        }
        (None, None) => {
            return Err(InboundError::UnknownService {
                authority: request.authority.clone(),
            });
        }
    };
    Ok(ProxyHeaderTarget {
        destination: SocketAddr::new(ip, request.authority.port().get()),
        service: service.map(|service| service.spec().hostname.clone()),
    })
}

/// A virtual IP to stand for a service: of the own network, IPv4 first; else of any.
fn preferred_vip(vips: &[NetworkAddress], network: &str) -> Option<IpAddr> {
    let rank = |vip: &&NetworkAddress| match (vip.network == *network, IpFamily::of(vip.ip)) {
        (true, IpFamily::V4) => 0,
        (true, IpFamily::V6) => 1,
        (false, _) => 2,
    };
    vips.iter().min_by_key(rank).map(|vip| vip.ip)
}

fn loopback(like: IpAddr) -> IpAddr {
    match IpFamily::of(like) {
        IpFamily::V4 => Ipv4Addr::LOCALHOST.into(),
        IpFamily::V6 => Ipv6Addr::LOCALHOST.into(),
    }
}
