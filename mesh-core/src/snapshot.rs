//! The mesh at one moment, as readers see it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::endpoints::EndpointSet;
use crate::model::{NamespacedHostname, NetworkMode, Service, TunnelProtocol, Workload};
use crate::name::Name;

/// The mesh at one moment: all workloads, services and endpoints. It never changes.
///
/// All lookups are exact and take no lock. Addresses are expected in canonical form (never an
/// IPv4-mapped IPv6 address). The default is the empty mesh.
#[derive(Clone, Default)]
pub struct MeshSnapshot {
    workloads: BTreeMap<Name, Arc<Workload>>,
    by_ip: HashMap<Name, HashMap<IpAddr, Arc<Workload>>>,
    services: BTreeMap<NamespacedHostname, Arc<Service>>,
    by_vip: HashMap<Name, HashMap<IpAddr, Vec<Arc<Service>>>>,
    by_hostname: HashMap<Name, Vec<Arc<Service>>>,
    endpoints: HashMap<NamespacedHostname, EndpointSet>,
    no_endpoints: EndpointSet,
}

impl MeshSnapshot {
    /// From workloads and services in the order of their insertion.
    pub(crate) fn build<'a>(
        workloads: impl Iterator<Item = &'a Arc<Workload>>,
        services: impl Iterator<Item = &'a Arc<Service>>,
    ) -> Self {
        let mut built = Self::default();
        for workload in workloads {
            built.add_workload(workload);
        }
        for service in services {
            built.add_service(service);
        }
        built
    }

    fn add_workload(&mut self, workload: &Arc<Workload>) {
        self.workloads
            .insert(workload.uid().into(), workload.clone());
        if workload.network_mode() != NetworkMode::HostNetwork {
            let network = self.by_ip.entry(workload.network().clone()).or_default();
            for ip in workload.ips() {
                let best = network.entry(*ip).or_insert_with(|| workload.clone());
                if rank(workload) >= rank(best) {
                    *best = workload.clone();
                }
            }
        }
        for (service, _) in workload.services() {
            self.endpoints
                .entry(service.clone())
                .or_insert_with(|| EndpointSet::new(service.clone()))
                .insert(workload.clone());
        }
    }

    fn add_service(&mut self, service: &Arc<Service>) {
        self.services.insert(service.key(), service.clone());
        for vip in &service.spec().vips {
            let network = self.by_vip.entry(vip.network.clone()).or_default();
            let sharing = network.entry(vip.ip).or_default();
            sharing.retain(|other| other.spec().namespace != service.spec().namespace);
            sharing.push(service.clone());
        }
        self.by_hostname
            .entry(service.spec().hostname.clone())
            .or_default()
            .push(service.clone());
    }

    /// The workload with a unique id.
    #[must_use]
    pub fn workload(&self, uid: &str) -> Option<&Arc<Workload>> {
        self.workloads.get(uid)
    }

    /// The workload that has an address.
    ///
    /// When several claim it: a pod that speaks HBONE, else a pod, else one that speaks HBONE,
    /// else any; among equals the one that came last. Workloads in the node's network namespace
    /// are not found by address.
    #[must_use]
    pub fn workload_at(&self, network: &str, ip: IpAddr) -> Option<&Arc<Workload>> {
        self.by_ip.get(network)?.get(&ip)
    }

    /// The workload with a host name in a namespace.
    #[must_use]
    pub fn workload_by_hostname(&self, host: &NamespacedHostname) -> Option<&Arc<Workload>> {
        self.workloads()
            .find(|w| *w.namespace() == host.namespace && *w.hostname() == host.hostname)
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
        self.workloads().find(|w| {
            w.namespace() == namespace
                && w.name() == name
                && w.service_account() == service_account
                && node.is_none_or(|node| w.node() == node)
        })
    }

    /// The services with an exact virtual IP: at most one of each namespace, in the order of
    /// their insertion. Visibility is the caller's business.
    #[must_use]
    pub fn services_at(&self, network: &str, ip: IpAddr) -> &[Arc<Service>] {
        let found = self.by_vip.get(network).and_then(|vips| vips.get(&ip));
        found.map_or(&[], Vec::as_slice)
    }

    /// The services with a range of virtual IPs that contains the address, each with the prefix
    /// length of its range: the shortest prefix first, equal ranges in the order of insertion.
    pub fn cidr_services_at<'a>(
        &'a self,
        network: &str,
        ip: IpAddr,
    ) -> impl Iterator<Item = (u8, &'a Arc<Service>)> + 'a {
        let mut found: Vec<_> = self
            .services()
            .flat_map(|service| service.spec().cidr_vips.iter().map(move |c| (c, service)))
            .filter(|(range, _)| range.network == network && range.cidr.contains(&ip))
            .map(|(range, service)| (range.cidr.prefix_len(), service))
            .collect();
        found.sort_by_key(|(length, _)| *length);
        found.into_iter()
    }

    /// The services with a host name: at most one of each namespace, in the order of their
    /// insertion. Visibility is the caller's business.
    #[must_use]
    pub fn services_named(&self, hostname: &str) -> &[Arc<Service>] {
        self.by_hostname.get(hostname).map_or(&[], Vec::as_slice)
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
        self.endpoints
            .get(&service.key())
            .unwrap_or(&self.no_endpoints)
    }

    /// All workloads, in no particular order.
    pub fn workloads(&self) -> impl Iterator<Item = &Arc<Workload>> + '_ {
        self.workloads.values()
    }

    /// All services, in no particular order.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> + '_ {
        self.services.values()
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

/// Which of several workloads with one address is meant.
fn rank(workload: &Workload) -> u8 {
    let pod = workload.uid().contains("//Pod/");
    let hbone = workload.tunnel_protocol() == TunnelProtocol::Hbone;
    u8::from(pod) * 2 + u8::from(hbone)
}
