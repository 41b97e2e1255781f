//! The routes and settings that objects mean.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mesh_core::name::Name;
use mesh_l7::istio::CompiledDestination;
use mesh_l7::mesh::{PortProtocol, UpstreamConfig};
use mesh_l7::route::RouteTable;
use mesh_l7::target::ServiceTarget;
use mesh_l7::tcp::TcpRouteTable;
use mesh_l7::upstream::ClusterSettings;

use crate::manifest::document::{Labels, ObjectKey};
use crate::manifest::problem::Problem;

/// Compiled destination rules by namespace and host name of the service.
pub(super) type Destinations = HashMap<(Name, Name), Arc<CompiledDestination>>;
/// What ports speak, by namespace and host name of the service.
pub(super) type Protocols = HashMap<(Name, Name), BTreeMap<u16, PortProtocol>>;

/// The routes and settings that objects mean.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Routing {
    /// Routes by service and port.
    pub table: RouteTable,
    /// Rules for connections that are carried as bytes, by service and port.
    pub tcp: TcpRouteTable,
    pub(super) destinations: Destinations,
    pub(super) labels: BTreeMap<Name, Arc<Labels>>,
    pub(super) protocols: Protocols,
    /// Whether a route asks for labels of clients.
    pub(super) by_labels: bool,
    /// What keeps objects from being in it, or from being what they mean.
    pub notes: Vec<(ObjectKey, Problem)>,
}

impl Routing {
    /// The destination rule of each service that has one, with namespace and host name of the service; in no
    /// order.
    pub fn destinations(&self) -> impl Iterator<Item = (&Name, &Name, &CompiledDestination)> {
        let destinations = self.destinations.iter();
        destinations.map(|((namespace, hostname), rule)| (namespace, hostname, &**rule))
    }

    /// The labels of a client's workload, by its unique id, where a route asks for labels of clients.
    #[must_use]
    pub fn client_labels(&self, uid: &str) -> Option<&Arc<Labels>> {
        self.labels.get(uid).filter(|_| self.by_labels)
    }

    /// Whether a route asks for labels of clients.
    #[must_use]
    pub fn wants_client_labels(&self) -> bool {
        self.by_labels
    }

    fn destination(&self, target: &ServiceTarget) -> Option<&Arc<CompiledDestination>> {
        self.destinations.get(&key(target))
    }
}

impl UpstreamConfig for Routing {
    fn settings(&self, target: &ServiceTarget) -> ClusterSettings {
        let subset = target.subset.as_deref();
        let destination = self.destination(target);
        destination.map_or_else(ClusterSettings::default, |destination| {
            destination.settings(target.port, subset).clone()
        })
    }

    fn subset(&self, target: &ServiceTarget) -> Option<&BTreeMap<String, String>> {
        let subset = target.subset.as_ref()?;
        let subset = self.destination(target)?.subsets.get(subset)?;
        Some(&subset.labels)
    }

    fn labels(&self, uid: &str) -> Option<&BTreeMap<String, String>> {
        self.labels.get(uid).map(Arc::as_ref)
    }

    fn protocol(&self, target: &ServiceTarget) -> PortProtocol {
        let ports = self.protocols.get(&key(target));
        let protocol = ports.and_then(|ports| ports.get(&target.port));
        protocol.copied().unwrap_or_default()
    }
}

fn key(target: &ServiceTarget) -> (Name, Name) {
    (target.namespace.clone(), target.hostname.clone())
}
