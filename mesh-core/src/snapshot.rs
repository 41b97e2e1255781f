//! The mesh at one moment, as readers see it.
//!
//! All indexes are persistent trees: a snapshot is a handful of pointers, the next one shares
//! everything with it that did not change, and both stay valid for as long as someone holds them.
//!
//! | index | key | structure |
//! |---|---|---|
//! | workloads | unique id; namespace and name; network and IP; namespace and host name | ordered tree over hashes |
//! | services | host name; network and virtual IP | ordered tree over hashes |
//! | ranges of virtual IPs | network, then prefix | radix tree |
//! | endpoint sets | namespace and host name of the service | see [`endpoints`](crate::endpoints) |

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::endpoints::{EndpointIndex, EndpointSet};
use crate::model::{NamespacedHostname, Service, Workload};

mod edit;
mod keys;
mod ranges;
mod services;
mod workloads;

use keys::Keys;
use services::ServiceIndex;
use workloads::WorkloadIndex;

/// The mesh at one moment: all workloads, services and endpoints. It never changes.
///
/// Clones are cheap. All lookups are exact and take no lock. IPv4-mapped IPv6
/// addresses count as IPv4. The default is the empty mesh.
#[derive(Clone)]
pub struct MeshSnapshot {
    keys: Keys,
    workloads: WorkloadIndex,
    services: ServiceIndex,
    endpoints: EndpointIndex,
    no_endpoints: Arc<EndpointSet>,
}

impl Default for MeshSnapshot {
    fn default() -> Self {
        Self::seeded(RandomState::default())
    }
}

impl MeshSnapshot {
    /// The workload with a unique id.
    #[must_use]
    pub fn workload(&self, uid: &str) -> Option<&Arc<Workload>> {
        self.workloads.by_uid(&self.keys, uid)
    }

    /// The workload that has an address.
    ///
    /// When several claim it: a pod that speaks HBONE, else a pod, else one that speaks HBONE,
    /// else any; among equals the one that came last. Workloads in the node's network namespace
    /// are not found by address.
    #[must_use]
    pub fn workload_at(&self, network: &str, ip: IpAddr) -> Option<&Arc<Workload>> {
        let ip = ip.to_canonical();
        self.workloads.by_address(&self.keys, network, ip)
    }

    /// The workload with a host name in a namespace.
    #[must_use]
    pub fn workload_by_hostname(&self, host: &NamespacedHostname) -> Option<&Arc<Workload>> {
        self.workloads.by_hostname(&self.keys, host)
    }

    /// The workload of a pod, by what the pod knows about itself.
    ///
    /// With `node` only a workload of that node is found.
    #[must_use]
    pub fn local_workload(
        &self,
        namespace: &str,
        name: &str,
        service_account: &str,
        node: Option<&str>,
    ) -> Option<&Arc<Workload>> {
        self.workloads.by_name(&self.keys, namespace, name, |w| {
            w.service_account() == service_account && node.is_none_or(|node| w.node() == node)
        })
    }

    /// The services with an exact virtual IP: at most one of each namespace, in the order of
    /// their insertion. Visibility is the caller's business.
    #[must_use]
    pub fn services_at(&self, network: &str, ip: IpAddr) -> &[Arc<Service>] {
        let ip = ip.to_canonical();
        self.services.by_address(&self.keys, network, ip)
    }

    /// The services with a range of virtual IPs that contains the address, each with the prefix
    /// length of its range: the shortest prefix first, equal ranges in the order of insertion.
    pub fn cidr_services_at<'a>(
        &'a self,
        network: &str,
        ip: IpAddr,
    ) -> impl Iterator<Item = (u8, &'a Arc<Service>)> + 'a {
        let ip = ip.to_canonical();
        self.services.ranges().containing(&self.keys, network, ip)
    }

    /// The services with a host name: at most one of each namespace, in the order of their
    /// insertion. Visibility is the caller's business.
    #[must_use]
    pub fn services_named(&self, hostname: &str) -> &[Arc<Service>] {
        self.services.by_hostname(&self.keys, hostname)
    }

    /// The service with a host name in a namespace.
    #[must_use]
    pub fn service(&self, namespace: &str, hostname: &str) -> Option<&Arc<Service>> {
        let services = self.services_named(hostname).iter();
        services
            .into_iter()
            .find(|s| s.spec().namespace == namespace)
    }

    /// The endpoints of a service; an empty set when there are none.
    #[must_use]
    pub fn endpoints(&self, service: &Service) -> &EndpointSet {
        let spec = service.spec();
        let set = self.endpoints.set(&spec.namespace, &spec.hostname);
        set.unwrap_or(&self.no_endpoints)
    }

    /// All workloads, in no particular order.
    pub fn workloads(&self) -> impl Iterator<Item = &Arc<Workload>> + '_ {
        self.workloads.iter()
    }

    /// All services, in no particular order.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> + '_ {
        self.services.iter()
    }

    /// The number of workloads.
    #[must_use]
    pub fn workload_count(&self) -> usize {
        self.workloads.len()
    }

    /// The number of services.
    #[must_use]
    pub fn service_count(&self) -> usize {
        self.services.len()
    }
}

impl fmt::Debug for MeshSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshSnapshot")
            .field("workloads", &self.workload_count())
            .field("services", &self.service_count())
            .finish_non_exhaustive()
    }
}
