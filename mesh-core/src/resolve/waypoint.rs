//! Resolution of CONNECT requests that reach a waypoint.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use super::lookup::{self, View};
use super::{InboundError, InboundRequest, attachment};
use crate::authority::AuthorityHost;
use crate::model::{Service, Workload};
use crate::snapshot::MeshSnapshot;

/// What a CONNECT request to a waypoint is for.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a waypoint handles both")]
pub enum WaypointRoute {
    /// A port of a service.
    Service {
        /// The service.
        service: Arc<Service>,
        /// Its port.
        port: NonZeroU16,
    },
    /// A port of a workload.
    Workload {
        /// The workload.
        workload: Arc<Workload>,
        /// Its port.
        port: NonZeroU16,
    },
}

/// What a CONNECT request is for that reached the waypoint `local`: a service or a workload whose waypoint
/// it is, primary or weighted.
///
/// Of several services with an address the one counts that [`outbound`](super::outbound) would find, of
/// those behind this waypoint. Everything else is refused: a waypoint is no open proxy.
///
/// # Errors
/// [`InboundError`], with the status to answer.
pub fn waypoint(
    snapshot: &MeshSnapshot,
    local: &Workload,
    request: &InboundRequest<'_>,
) -> Result<WaypointRoute, InboundError> {
    let port = request.authority.port();
    let service = match request.authority.host() {
        AuthorityHost::Ip(ip) => match at(snapshot, local, *ip) {
            Some(Behind::Service(service)) => service,
            Some(Behind::Workload(workload)) => {
                let workload = workload.clone();
                return Ok(WaypointRoute::Workload { workload, port });
            }
            None => {
                return Err(InboundError::IpMismatch {
                    destination: request.local.ip(),
                    authority: *ip,
                });
            }
        },
        AuthorityHost::Name(name) => {
            let services = snapshot.services_named(name);
            let first = services
                .first()
                .ok_or_else(|| InboundError::UnknownService {
                    authority: request.authority.clone(),
                })?;
            let mut services = services.iter();
            let own = services.find(|one| attachment::is_waypoint_of(snapshot, one, local));
            own.ok_or_else(|| InboundError::NotAnEndpoint {
                destination: request.local.ip(),
                service: first.key(),
            })?
        }
    };
    if service.spec().ports.target(port.get()).is_none() {
        return Err(InboundError::UnknownPort {
            service: service.key(),
            port: port.get(),
        });
    }
    let service = service.clone();
    Ok(WaypointRoute::Service { service, port })
}

enum Behind<'a> {
    Service(&'a Arc<Service>),
    Workload(&'a Arc<Workload>),
}

/// What has an address and is behind the waypoint.
fn at<'a>(snapshot: &'a MeshSnapshot, local: &Workload, ip: IpAddr) -> Option<Behind<'a>> {
    let network = local.network();
    let behind = |service: &Service| attachment::is_waypoint_of(snapshot, service, local);
    let services = snapshot.services_at(network, ip);
    // The one that clients of the whole mesh find, where it is behind this waypoint.
    let best = lookup::best(services, View::Mesh).filter(|one| behind(one));
    if let Some(service) = best.or_else(|| services.iter().find(|one| behind(one))) {
        return Some(Behind::Service(service));
    }
    if let Some(workload) = snapshot.workload_at(network, ip)
        && let Some(reference) = workload.waypoint()
        && attachment::leads_to(snapshot, reference, local)
    {
        return Some(Behind::Workload(workload));
    }
    let ranges = snapshot.cidr_services_at(network, ip);
    let longest = ranges.filter(|(_, service)| behind(service));
    longest
        .max_by_key(|(prefix, _)| *prefix)
        .map(|(_, service)| Behind::Service(service))
}

#[cfg(test)]
mod tests;
