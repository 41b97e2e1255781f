//! Which virtual service is for which service.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use mesh_core::model::ServiceSpec;
use mesh_l7::istio::{VirtualServiceSpec, compile_connections, compile_virtual_service};
use mesh_l7::route::{HostMatch, HostTable};
use mesh_l7::tcp::TcpRules;

use super::hosts;
use super::services::{AtPort, Services};
use crate::manifest::document::ObjectKey;
use crate::manifest::inventory::{Inventory, Object};
use crate::manifest::problem::Problem;

type VirtualService = Object<VirtualServiceSpec>;

/// The virtual services that are for a mesh.
pub(super) struct VirtualServices<'s, 'a> {
    services: &'s Services<'a>,
    /// By host; of one host the oldest first.
    hosts: BTreeMap<HostMatch, Vec<&'a VirtualService>>,
    notes: BTreeMap<(ObjectKey, String, String), Problem>,
}

impl<'s, 'a> VirtualServices<'s, 'a> {
    pub(super) fn new(inventory: &'a Inventory, services: &'s Services<'a>) -> Self {
        let mut objects: Vec<&VirtualService> = inventory
            .virtual_services
            .iter()
            .map(|object| &**object)
            .filter(|object| is_for_mesh(&object.spec))
            .collect();
        objects.sort_by_cached_key(|object| hosts::age(object));
        let mut all = Self {
            services,
            hosts: BTreeMap::new(),
            notes: BTreeMap::new(),
        };
        for object in objects {
            for (at, host) in object.spec.hosts.iter().enumerate() {
                match hosts::parse(host, object.namespace(), services.domain) {
                    Some(host) => all.hosts.entry(host).or_default().push(object),
                    None => {
                        let text = format!("expected a host name, got `{host}`");
                        all.note(object, &format!("spec.hosts[{at}]"), &text);
                    }
                }
            }
        }
        all
    }

    fn note(&mut self, object: &VirtualService, field: &str, text: &str) {
        let key = (object.key().clone(), field.to_owned(), text.to_owned());
        // The same may be found at several ports.
        if let Entry::Vacant(entry) = self.notes.entry(key) {
            entry.insert(object.document.problem(field, text));
        }
    }

    /// The rules of a port.
    pub(super) fn of(&mut self, service: &ServiceSpec, port: u16) -> Option<HostTable> {
        let object = self.chosen(service)?;
        if object.spec.http.is_empty() {
            return None;
        }
        let at = AtPort {
            services: self.services,
            port,
        };
        let (namespace, name) = (object.namespace(), object.name());
        let compiled = compile_virtual_service(namespace, name, &object.spec, &at);
        for problem in &compiled.problems {
            let objects = &self.services.inventory.virtual_services;
            let delegate = problem.delegate.as_ref();
            let delegate = delegate.and_then(|(namespace, name)| objects.get(namespace, name));
            let object = delegate.map_or(object, |delegate| delegate);
            self.note(object, &problem.field, &problem.problem);
        }
        Some(HostTable::of_any(compiled.rules))
    }

    /// The rules for connections to a port.
    pub(super) fn connections(&mut self, service: &ServiceSpec, port: u16) -> Option<TcpRules> {
        let object = self.chosen(service)?;
        let at = AtPort {
            services: self.services,
            port,
        };
        let (namespace, name) = (object.namespace(), object.name());
        let compiled = compile_connections(namespace, name, &object.spec, Some(port), &at);
        for problem in &compiled.problems {
            self.note(object, &problem.field, &problem.problem);
        }
        (!compiled.rules.rules().is_empty()).then_some(compiled.rules)
    }

    /// The oldest virtual service of the most specific host.
    fn chosen(&mut self, service: &ServiceSpec) -> Option<&'a VirtualService> {
        let waypoint = self.services.waypoint_namespace(service);
        let counts = |object: &&&VirtualService| {
            let own = object.namespace();
            let near = *own == service.namespace || waypoint == Some(own);
            near && hosts::is_exported(&object.spec.export_to, own, &service.namespace)
        };
        let of_host = |host: &HostMatch| -> Vec<&'a VirtualService> {
            let objects = self.hosts.get(host).into_iter().flatten();
            objects.filter(counts).copied().collect()
        };
        let name = service.hostname.as_str();
        let exact = HostMatch::Exact(service.hostname.clone());
        let dots = name.match_indices('.').filter(|(at, _)| *at > 0);
        let below = dots.filter_map(|(at, _)| Some(HostMatch::Below(name.get(at..)?.into())));
        let candidates = std::iter::once(exact).chain(below).chain([HostMatch::Any]);
        let found = candidates
            .map(|host| of_host(&host))
            .find(|found| !found.is_empty())?;
        let (first, others) = found.split_first()?;
        for other in others {
            let text = format!("{} is for {name} already and older", first.key());
            self.note(other, "spec.hosts", &text);
        }
        Some(first)
    }

    pub(super) fn into_notes(self) -> impl Iterator<Item = (ObjectKey, Problem)> {
        let notes = self.notes.into_iter();
        notes.map(|((key, ..), problem)| (key, problem))
    }
}

fn is_for_mesh(spec: &VirtualServiceSpec) -> bool {
    let for_mesh = spec.gateways.is_empty() || spec.gateways.iter().any(|one| one == "mesh");
    for_mesh && !(spec.http.is_empty() && spec.tcp.is_empty() && spec.tls.is_empty())
}

/// Whether one of them asks for labels of clients.
pub(super) fn ask_for_labels(inventory: &Inventory) -> bool {
    let mut objects = inventory.virtual_services.iter();
    objects.any(|object| {
        let spec = &object.spec;
        let http = spec.http.iter().flat_map(|route| &route.matches);
        let connections = spec.tcp.iter().chain(&spec.tls);
        let connections = connections.flat_map(|route| &route.matches);
        let labels = http.map(|one| &one.source_labels);
        let mut labels = labels.chain(connections.map(|one| &one.source_labels));
        labels.any(|labels| !labels.is_empty())
    })
}
