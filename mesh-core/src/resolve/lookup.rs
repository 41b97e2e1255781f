//! Which record an address or a host name stands for.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{NamespacedHostname, Service, Visibility, Workload};
use crate::snapshot::MeshSnapshot;

/// What an address stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    Service(&'a Arc<Service>),
    Workload(&'a Arc<Workload>),
}

/// Whose view of the services a lookup takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a> {
    /// A client of this namespace.
    Namespace(&'a str),
    /// The mesh itself, as it follows references between its records.
    Mesh,
}

impl View<'_> {
    fn sees(self, service: &Service) -> bool {
        match (service.spec().visibility, self) {
            (Visibility::Public, _) | (_, Self::Mesh) => true,
            (Visibility::Namespace, Self::Namespace(_)) => self.owns(service),
        }
    }

    fn owns(self, service: &Service) -> bool {
        matches!(self, Self::Namespace(namespace) if service.spec().namespace == *namespace)
    }
}

/// The record of an address, in the order that the module `resolve` documents.
pub(super) fn at<'a>(
    snapshot: &'a MeshSnapshot,
    network: &str,
    ip: IpAddr,
    view: View<'_>,
) -> Option<Found<'a>> {
    if let Some(service) = best(snapshot.services_at(network, ip), view) {
        return Some(Found::Service(service));
    }
    if let Some(workload) = snapshot.workload_at(network, ip) {
        return Some(Found::Workload(workload));
    }
    best_range(snapshot, network, ip, view).map(Found::Service)
}

/// The service to take of several with one address or host name.
pub(super) fn best<'a>(services: &'a [Arc<Service>], view: View<'_>) -> Option<&'a Arc<Service>> {
    let visible = || services.iter().filter(|service| view.sees(service));
    visible()
        .find(|service| view.owns(service))
        .or_else(|| visible().rfind(|service| service.spec().canonical))
        .or_else(|| visible().next())
}

/// The workload with a host name; never one without.
pub(super) fn workload_named<'a>(
    snapshot: &'a MeshSnapshot,
    name: &NamespacedHostname,
) -> Option<&'a Arc<Workload>> {
    if name.hostname.is_empty() {
        return None;
    }
    snapshot.workload_by_hostname(name)
}

fn best_range<'a>(
    snapshot: &'a MeshSnapshot,
    network: &str,
    ip: IpAddr,
    view: View<'_>,
) -> Option<&'a Arc<Service>> {
    let rank = |(prefix, service): &(u8, &Arc<Service>)| {
        (view.owns(service), *prefix, service.spec().canonical)
    };
    snapshot
        .cidr_services_at(network, ip)
        .filter(|(_, service)| view.sees(service))
        // Of equals the first, where `max_by_key` would take the last.
        .reduce(|best, other| {
            if rank(&other) > rank(&best) {
                other
            } else {
                best
            }
        })
        .map(|(_, service)| service)
}
