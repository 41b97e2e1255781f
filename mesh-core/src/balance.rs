//! The choice of one endpoint of a service.

use std::sync::Arc;

use crate::endpoints::{Endpoint, EndpointSet};
use crate::model::{
    HealthPolicy, LoadBalancing, LoadBalancingMode, RoutingScope, Service, Workload, WorkloadStatus,
};
use crate::random::Random;

/// What the endpoint is wanted for.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PickMode {
    /// A destination: the service must have the port.
    #[default]
    Standard,
    /// A waypoint or gateway: an endpoint with an application tunnel needs no service port.
    Waypoint,
}

/// The chosen endpoint.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Picked<'a> {
    /// The workload.
    pub workload: &'a Arc<Workload>,
    /// The target port on the workload.
    pub port: u16,
}

/// Chooses an endpoint of `service` for a connection from `source` to `service_port`.
///
/// The chance of each candidate of the best rank is proportional to its capacity. `None` when
/// there is no candidate, or when all have capacity 0. Whether the mode is
/// [`LoadBalancingMode::Passthrough`] is the caller's business: here it counts as `Standard`.
pub fn pick<'a>(
    service: &Service,
    endpoints: &'a EndpointSet,
    source: &Workload,
    service_port: u16,
    mode: PickMode,
    random: &mut dyn Random,
) -> Option<Picked<'a>> {
    let balancing = service.spec().load_balancing.as_ref();
    let candidates: Vec<_> = endpoints
        .iter()
        .filter(|endpoint| endpoint.workload().capacity() > 0)
        .filter_map(|endpoint| {
            let port = target_port(service, &endpoint, source, service_port, mode)?;
            let rank = rank(balancing, source, endpoint.workload())?;
            Some((rank, endpoint.workload(), port))
        })
        .collect();
    let best = candidates.iter().map(|(rank, ..)| *rank).max()?;
    let best = || candidates.iter().filter(|(rank, ..)| *rank == best);
    let total: u64 = best().map(|(_, w, _)| u64::from(w.capacity())).sum();
    let mut at = random.below(total);
    for (_, workload, port) in best() {
        let weight = u64::from(workload.capacity());
        if at < weight {
            return Some(Picked {
                workload,
                port: *port,
            });
        }
        at -= weight;
    }
    None
}

/// The port to dial on an endpoint; `None` when it is no candidate.
fn target_port(
    service: &Service,
    endpoint: &Endpoint<'_>,
    source: &Workload,
    service_port: u16,
    mode: PickMode,
) -> Option<u16> {
    let workload = endpoint.workload();
    let balancing = service.spec().load_balancing.as_ref();
    let health = balancing.map(|b| b.health_policy).unwrap_or_default();
    if health == HealthPolicy::OnlyHealthy && endpoint.health() != WorkloadStatus::Healthy {
        return None;
    }
    let addressed = !workload.ips().is_empty() || !workload.hostname().is_empty();
    let gateway = workload.network() != source.network() && workload.network_gateway().is_some();
    if !addressed && !gateway {
        return None;
    }
    let own = endpoint.ports().target(service_port).flatten();
    let port = service.spec().ports.target(service_port);
    let tunnel = workload.application_tunnel();
    match (port, mode) {
        (None, PickMode::Standard) => None,
        (None, PickMode::Waypoint) if tunnel.is_none() => None,
        (Some(None), PickMode::Standard) if own.is_none() => None,
        _ => own
            .or(port.flatten())
            .map(std::num::NonZeroU16::get)
            .or_else(|| tunnel?.port.map(|_| service_port)),
    }
}

/// How well an endpoint fits; `None` when it does not fit at all.
fn rank(
    balancing: Option<&LoadBalancing>,
    source: &Workload,
    candidate: &Workload,
) -> Option<usize> {
    let Some(balancing) = balancing else {
        return Some(0);
    };
    let preferences = &balancing.routing_preferences;
    let mut rank = 0;
    for (at, scope) in preferences.iter().enumerate() {
        let network_first = at == 0 && *scope == RoutingScope::Network;
        if matches(*scope, source, candidate) {
            rank += if network_first { preferences.len() } else { 1 };
        } else if balancing.mode == LoadBalancingMode::Strict {
            return None;
        } else if !network_first {
            break;
        }
    }
    match balancing.mode {
        LoadBalancingMode::Strict | LoadBalancingMode::Failover => Some(rank),
        LoadBalancingMode::Standard | LoadBalancingMode::Passthrough => Some(0),
    }
}

fn matches(scope: RoutingScope, source: &Workload, candidate: &Workload) -> bool {
    let (a, b) = (source, candidate);
    match scope {
        RoutingScope::Region => a.locality().region == b.locality().region,
        RoutingScope::Zone => a.locality().zone == b.locality().zone,
        RoutingScope::Subzone => a.locality().subzone == b.locality().subzone,
        RoutingScope::Node => a.node() == b.node(),
        RoutingScope::Cluster => a.cluster_id() == b.cluster_id(),
        RoutingScope::Network => a.network() == b.network(),
    }
}
