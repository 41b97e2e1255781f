//! What lint is told about the mesh.

use mesh_authz::kube::{GATEWAY_LABEL, Labels, ServiceKind};
use mesh_authz::lint::{Inventory, Provider, ProviderKind, Service, Workload};
use mesh_core::identity::{SpiffeId, TrustDomain};
use mesh_core::name::Name;

use crate::configuration::Configuration;
use crate::manifests::{Manifests, Written};
use crate::party;

pub(super) fn of(manifests: &Manifests, configuration: &Configuration) -> Inventory {
    let mut mesh = Inventory::new(configuration.settings.clone());
    mesh.set_trust_domains(configuration.trust_domains.clone());
    mesh.set_trusted_hops(configuration.trusted_hops);
    if let Some(providers) = &configuration.providers {
        mesh.set_providers(providers.iter().map(|(name, authorizer)| {
            let kind = match authorizer.is_http {
                true => ProviderKind::Http,
                false => ProviderKind::Grpc,
            };
            let fail_open = authorizer.fail_open;
            (name.clone(), Provider { kind, fail_open })
        }));
    }
    for (object, provenance) in &manifests.written {
        let provenance = provenance.clone();
        // What is not accepted has been told about already.
        let _ = match object {
            Written::Authorization(object) => mesh.policy(object.clone(), provenance),
            Written::Peer(object) => mesh.peer(object, provenance),
            Written::Request(object) => mesh.token(object, provenance),
        };
    }
    let domain = configuration.trust_domains.iter().next();
    let sources = Sources { manifests, domain };
    for service in sources.services() {
        mesh.service(service);
    }
    for workload in sources.workloads() {
        mesh.workload(workload);
    }
    mesh
}

struct Sources<'a> {
    manifests: &'a Manifests,
    domain: Option<&'a TrustDomain>,
}

impl Sources<'_> {
    fn services(&self) -> Vec<Service> {
        let inventory = &self.manifests.inventory;
        let services = inventory.services.iter().map(|service| Service {
            kind: ServiceKind::Service,
            namespace: service.namespace().to_string(),
            name: service.name().to_string(),
            selector: service.spec.selector.clone(),
            waypoint: self.waypoint(service.namespace(), service.labels()),
        });
        let entries = inventory.service_entries.iter().map(|entry| Service {
            kind: ServiceKind::ServiceEntry,
            namespace: entry.namespace().to_string(),
            name: entry.name().to_string(),
            selector: entry
                .spec
                .workload_selector
                .clone()
                .unwrap_or_default()
                .labels,
            waypoint: self.waypoint(entry.namespace(), entry.labels()),
        });
        services.chain(entries).collect()
    }

    fn workloads(&self) -> Vec<Workload> {
        let inventory = &self.manifests.inventory;
        let pods = inventory.pods.iter().map(|pod| {
            let account = pod.spec.service_account_name.as_str();
            self.workload(pod.namespace(), pod.name(), pod.labels().clone(), account)
        });
        let entries = inventory.workload_entries.iter().map(|entry| {
            let mut labels = entry.labels().clone();
            labels.extend(entry.spec.labels.clone());
            let account = entry.spec.service_account.as_str();
            self.workload(entry.namespace(), entry.name(), labels, account)
        });
        pods.chain(entries).chain(self.waypoints()).collect()
    }

    /// Proxies of waypoints, whose pods the control plane makes and manifests seldom have.
    fn waypoints(&self) -> impl Iterator<Item = Workload> {
        let inventory = &self.manifests.inventory;
        let gateways = inventory.gateways.iter();
        let waypoints = gateways
            .filter(|gateway| party::is_waypoint(gateway.namespace(), gateway.name(), inventory));
        waypoints.map(|gateway| {
            let (namespace, name) = (gateway.namespace(), gateway.name());
            Workload {
                namespace: namespace.to_string(),
                name: name.to_string(),
                labels: Labels::from([(GATEWAY_LABEL.to_owned(), name.to_string())]),
                identity: self.identity(namespace, name),
                behind_waypoint: false,
            }
        })
    }

    fn workload(&self, namespace: &Name, name: &Name, labels: Labels, account: &str) -> Workload {
        let selected = self.services().into_iter().any(|service| {
            service.waypoint.is_some()
                && service.namespace == namespace.as_str()
                && !service.selector.is_empty()
                && service
                    .selector
                    .iter()
                    .all(|(key, value)| labels.get(key) == Some(value))
        });
        Workload {
            namespace: namespace.to_string(),
            name: name.to_string(),
            identity: self.identity(namespace, account),
            behind_waypoint: selected || self.waypoint(namespace, &labels).is_some(),
            labels,
        }
    }

    fn identity(&self, namespace: &str, account: &str) -> Option<SpiffeId> {
        let account = if account.is_empty() {
            "default"
        } else {
            account
        };
        SpiffeId::new(self.domain?.clone(), namespace, account).ok()
    }

    /// The identity of the waypoint that labels, or those of their namespace, ask for. A waypoint's
    /// service account is called like its gateway.
    fn waypoint(&self, namespace: &str, labels: &Labels) -> Option<SpiffeId> {
        let inventory = &self.manifests.inventory;
        let of_namespace = inventory.namespaces.get("", namespace);
        let of_namespace = of_namespace.map(|namespace| namespace.labels());
        let asked = [Some(labels), of_namespace].into_iter().flatten();
        let mut asked = asked.filter_map(|labels| party::waypoint(labels, namespace));
        let (of, name) = asked.next().filter(|(_, name)| *name != "none")?;
        self.identity(of, name)
    }
}
