//! The endpoints of a service as hosts of a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use super::candidate::candidates;
use super::mode::PickMode;
use crate::endpoints::EndpointSet;
use crate::lb::HostSpec;
use crate::model::{Locality, Service, Workload};
use crate::name::Name;

/// An endpoint of a service that can take connections: what a host of a [`Cluster`](crate::lb::Cluster) leads to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointTarget {
    /// The workload.
    pub workload: Arc<Workload>,
    /// The target port on it.
    pub port: NonZeroU16,
}

/// The endpoints that [`pick`](super::pick) with the same arguments could choose, of whatever rank, as
/// hosts of a [`Cluster`](crate::lb::Cluster), in the order of their keys.
///
/// - Weights are capacities.
/// - Priorities are ranks by the service's routing preferences: 0 for the best there is, then 1 and so on.
///   Endpoints that strict preferences rule out are left out.
/// - Localities are `region/zone/subzone`, without what is empty at the end.
/// - Keys are `ip:port`, as Envoy's consistent hashing wants them, `hostname:port` for endpoints without an address,
///   else `uid:port`; those of other networks than the source's begin with `network/`.
///
/// ```
/// use mesh_core::balance::hosts;
/// use mesh_core::model::{NamespacedHostname, PortMap, ServiceSpec, Workload, WorkloadSpec};
/// use mesh_core::store::MeshStore;
///
/// let web = NamespacedHostname::new("default", "web");
/// let store = MeshStore::new();
/// let pod = WorkloadSpec {
///     uid: "web-1".into(),
///     ips: vec!["10.0.0.1".parse()?],
///     services: vec![(web.clone(), PortMap::default())],
///     ..WorkloadSpec::default()
/// };
/// let service = ServiceSpec {
///     namespace: web.namespace.clone(),
///     hostname: web.hostname.clone(),
///     ports: [(80, 8080)].into_iter().collect(),
///     ..ServiceSpec::default()
/// };
/// store.replace_all(vec![pod], vec![service]);
/// let mesh = store.snapshot();
/// let service = mesh.service("default", "web").ok_or("no service")?;
/// let source = Workload::new(WorkloadSpec::default());
/// let hosts = hosts(service, mesh.endpoints(service), &source, 80);
/// assert_eq!(hosts[0].key, "10.0.0.1:8080");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn hosts(
    service: &Service,
    endpoints: &EndpointSet,
    source: &Workload,
    service_port: u16,
) -> Vec<HostSpec<EndpointTarget>> {
    let all = candidates(service, endpoints, source, service_port, PickMode::Standard);
    let eligible = all
        .into_iter()
        .filter_map(|one| Some((one.rank, one.workload, one.port.ok()?)));
    let eligible: Vec<_> = eligible.collect();
    let ranks: BTreeSet<usize> = eligible.iter().map(|(rank, ..)| *rank).collect();
    let priorities: BTreeMap<usize, u32> = ranks.into_iter().rev().zip(0..).collect();
    let mut hosts: Vec<_> = eligible
        .into_iter()
        .map(|(rank, workload, port)| {
            let workload = workload.clone();
            let key = key(&workload, source, port);
            HostSpec {
                weight: workload.capacity(),
                priority: priorities.get(&rank).copied().unwrap_or(0),
                locality: locality(workload.locality()),
                ..HostSpec::new(key, EndpointTarget { workload, port })
            }
        })
        .collect();
    hosts.sort_by(|one, other| one.key.cmp(&other.key));
    hosts
}

fn key(workload: &Workload, source: &Workload, port: NonZeroU16) -> Name {
    let own = match workload.ips().first() {
        Some(ip) => SocketAddr::new(*ip, port.get()).to_string(),
        None if workload.hostname().is_empty() => format!("{}:{port}", workload.uid()),
        None => format!("{}:{port}", workload.hostname()),
    };
    let network = workload.network();
    if network == source.network() {
        return own.into();
    }
    // Networks may use the same addresses.
    format!("{network}/{own}").into()
}

fn locality(locality: &Locality) -> Name {
    let Locality {
        region,
        zone,
        subzone,
    } = locality;
    let whole = format!("{region}/{zone}/{subzone}");
    whole.trim_end_matches('/').into()
}
