//! What routes refer to.

use std::collections::HashMap;

use mesh_core::model::ServiceSpec;
use mesh_core::name::Name;
use mesh_l7::gateway_api::References;
use mesh_l7::istio::{self, NoDelegate, VirtualServiceSpec};
use mesh_l7::route::{HostMatch, InvalidBackend};
use mesh_l7::target::ServiceTarget;

use super::grants;
use super::hosts;
use super::routing::Destinations;
use crate::manifest::inventory::Inventory;
use crate::manifest::mesh::{Mesh, MeshOptions};

/// The services of the mesh, and who may refer to them.
pub(super) struct Services<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) mesh: &'a Mesh,
    pub(super) domain: &'a str,
    by_host: HashMap<&'a Name, Vec<&'a ServiceSpec>>,
    destinations: &'a Destinations,
}

impl<'a> Services<'a> {
    pub(super) fn new(
        inventory: &'a Inventory,
        mesh: &'a Mesh,
        options: &'a MeshOptions,
        destinations: &'a Destinations,
    ) -> Self {
        let mut by_host: HashMap<&Name, Vec<&ServiceSpec>> = HashMap::new();
        for service in mesh.services.values() {
            by_host.entry(&service.hostname).or_default().push(service);
        }
        Self {
            inventory,
            mesh,
            domain: &options.domain,
            by_host,
            destinations,
        }
    }

    /// A Kubernetes service.
    pub(super) fn kubernetes(&self, namespace: &str, name: &str) -> Option<&'a ServiceSpec> {
        let host = format!("{name}.{namespace}.svc.{}", self.domain);
        self.of(namespace, &host)
    }

    /// A service by namespace and host name.
    pub(super) fn of(&self, namespace: &str, host: &str) -> Option<&'a ServiceSpec> {
        let key = Name::from(format!("{namespace}/{host}"));
        self.mesh.services.get(&key)
    }

    /// The namespace of the waypoint that a service uses.
    pub(super) fn waypoint_namespace(&self, service: &ServiceSpec) -> Option<&'a Name> {
        let used = service.waypoint.as_ref()?;
        let mut waypoints = self.mesh.waypoints.iter();
        let found = waypoints.find(|(_, address)| *address == used);
        found.map(|((namespace, _), _)| namespace)
    }

    /// A service by its host name: of several, that of the namespace, else the first.
    fn named(&self, namespace: &str, host: &str) -> Option<&'a ServiceSpec> {
        let services = self.by_host.get(&Name::from(host))?;
        let own = services.iter().find(|one| one.namespace == namespace);
        own.or_else(|| services.first()).copied()
    }
}

/// A port of a service.
pub(super) fn target(service: &ServiceSpec, port: u16) -> ServiceTarget {
    ServiceTarget {
        namespace: service.namespace.clone(),
        hostname: service.hostname.clone(),
        port,
        subset: None,
    }
}

impl References for Services<'_> {
    fn service(
        &self,
        namespace: &str,
        name: &str,
        port: u16,
    ) -> Result<ServiceTarget, InvalidBackend> {
        let service = self.kubernetes(namespace, name);
        let service = service.filter(|service| service.ports.target(port).is_some());
        service
            .map(|service| target(service, port))
            .ok_or(InvalidBackend::NotFound)
    }

    fn is_granted(&self, kind: &str, from: &str, to: &str, service: &str) -> bool {
        grants::is_granted(self.inventory, kind, from, to, service)
    }
}

/// What virtual services refer to, for requests that come to one port.
pub(super) struct AtPort<'s, 'a> {
    pub(super) services: &'s Services<'a>,
    pub(super) port: u16,
}

impl istio::Destinations for AtPort<'_, '_> {
    /// Without a port: the only one that the service has, else the one that the request came to.
    fn destination(
        &self,
        namespace: &str,
        host: &str,
        port: Option<u16>,
        subset: Option<&str>,
    ) -> Result<ServiceTarget, InvalidBackend> {
        let Some(HostMatch::Exact(host)) = hosts::parse(host, namespace, self.services.domain)
        else {
            return Err(InvalidBackend::NotFound);
        };
        let service = self.services.named(namespace, &host);
        let service = service.ok_or(InvalidBackend::NotFound)?;
        let mut ports = service.ports.iter().map(|(port, _)| port);
        let only = ports.next().filter(|_| ports.next().is_none());
        let port = port.or(only).unwrap_or(self.port);
        if service.ports.target(port).is_none() {
            return Err(InvalidBackend::NotFound);
        }
        let mut target = target(service, port);
        if let Some(subset) = subset {
            let key = (target.namespace.clone(), target.hostname.clone());
            let rule = self.services.destinations.get(&key);
            if !rule.is_some_and(|rule| rule.subsets.contains_key(subset)) {
                return Err(InvalidBackend::Subset);
            }
            target.subset = Some(subset.into());
        }
        Ok(target)
    }

    fn delegate(
        &self,
        from: &str,
        namespace: &str,
        name: &str,
    ) -> Result<&VirtualServiceSpec, NoDelegate> {
        let objects = &self.services.inventory.virtual_services;
        let object = objects.get(namespace, name).ok_or(NoDelegate::NotFound)?;
        if !object.spec.hosts.is_empty() {
            return Err(NoDelegate::HasHosts);
        }
        if !hosts::is_exported(&object.spec.export_to, object.namespace(), from) {
            return Err(NoDelegate::NotExported);
        }
        Ok(&object.spec)
    }
}
