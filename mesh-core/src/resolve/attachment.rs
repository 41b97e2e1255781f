//! Who is a waypoint of what.

use std::net::IpAddr;

use super::lookup::{self, Found, View};
use crate::model::{GatewayAddress, GatewayDestination, Service, Workload};
use crate::snapshot::MeshSnapshot;

/// All waypoints that a service refers to, whatever their weights.
pub(super) fn waypoints(service: &Service) -> impl Iterator<Item = &GatewayAddress> {
    let spec = service.spec();
    let weighted = spec.weighted_waypoints.iter().map(|w| &w.waypoint);
    spec.waypoint.iter().chain(weighted)
}

/// Whether a workload is an endpoint of a service, healthy or not.
pub(super) fn is_endpoint(workload: &Workload, service: &Service) -> bool {
    let spec = service.spec();
    workload
        .services()
        .any(|(key, _)| key.hostname == spec.hostname && key.namespace == spec.namespace)
}

/// Whether a reference leads to this workload.
///
/// Asked of the workload's own list of services, so that its cost does not grow with the number of
/// the waypoint's endpoints.
pub(super) fn leads_to(
    snapshot: &MeshSnapshot,
    reference: &GatewayAddress,
    workload: &Workload,
) -> bool {
    match &reference.destination {
        GatewayDestination::Address(address) => {
            match lookup::at(snapshot, &address.network, address.ip, View::Mesh) {
                Some(Found::Service(service)) => is_endpoint(workload, service),
                Some(Found::Workload(_)) => {
                    address.network == *workload.network() && workload.ips().contains(&address.ip)
                }
                None => false,
            }
        }
        GatewayDestination::Hostname(name) => {
            match snapshot.service(&name.namespace, &name.hostname) {
                Some(service) => is_endpoint(workload, service),
                None => lookup::workload_named(snapshot, name)
                    .is_some_and(|named| named.uid() == workload.uid()),
            }
        }
    }
}

/// Whether a workload is a waypoint of a service.
pub(super) fn is_waypoint_of(
    snapshot: &MeshSnapshot,
    service: &Service,
    workload: &Workload,
) -> bool {
    waypoints(service).any(|reference| leads_to(snapshot, reference, workload))
}

/// Whether a workload is a waypoint of anything that has this address.
///
/// All records of the address count, since which of them the client saw depends on its namespace.
pub(super) fn is_waypoint_at(
    snapshot: &MeshSnapshot,
    network: &str,
    ip: IpAddr,
    workload: &Workload,
) -> bool {
    let of_service = |service: &Service| is_waypoint_of(snapshot, service, workload);
    let addressed = snapshot.workload_at(network, ip);
    let workload_waypoint = addressed.and_then(|addressed| addressed.waypoint());
    snapshot
        .services_at(network, ip)
        .iter()
        .any(|s| of_service(s))
        || workload_waypoint.is_some_and(|reference| leads_to(snapshot, reference, workload))
        || snapshot
            .cidr_services_at(network, ip)
            .any(|(_, s)| of_service(s))
}
