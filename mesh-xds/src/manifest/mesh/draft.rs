//! A service under construction, with what the model of the data plane has no place for.

use std::num::NonZeroU16;

use mesh_core::model::{NamespacedHostname, PortMap, ServiceSpec};

use crate::manifest::document::{Document, Labels};
use crate::manifest::objects::value::includes;

/// A service under construction.
pub(super) struct Draft<'a> {
    pub(super) spec: ServiceSpec,
    pub(super) document: &'a Document,
    pub(super) kind: Kind,
    /// Labels of its workloads; `None` when they are found otherwise.
    pub(super) selector: Option<&'a Labels>,
    pub(super) ports: Vec<DraftPort>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A Kubernetes service: target ports have names of container ports.
    Service,
    /// A service entry: ports of workload entries have the names of the service's ports.
    Entry,
}

/// A port of a service.
pub(super) struct DraftPort {
    pub(super) port: u16,
    pub(super) name: String,
    pub(super) target: Target,
}

/// Where a port leads to.
pub(super) enum Target {
    Number(u16),
    Name(String),
}

impl Draft<'_> {
    pub(super) fn key(&self) -> NamespacedHostname {
        NamespacedHostname::new(self.spec.namespace.clone(), self.spec.hostname.clone())
    }

    /// An empty selector selects nothing.
    pub(super) fn selects(&self, labels: &Labels) -> bool {
        let selector = self.selector.filter(|selector| !selector.is_empty());
        selector.is_some_and(|selector| includes(labels, selector))
    }

    /// The ports of an endpoint whose ports have names; named ones that it does not have are left
    /// out.
    pub(super) fn mapping(&self, named: impl Fn(&Self, &DraftPort) -> Option<u16>) -> PortMap {
        let ports = self.ports.iter().filter_map(|port| {
            let target = named(self, port).or(match port.target {
                Target::Number(number) => Some(number),
                Target::Name(_) => None,
            })?;
            Some((port.port, NonZeroU16::new(target)?.get()))
        });
        ports.collect()
    }
}

/// The service's own mapping: 0 stands for what each endpoint has under a name.
pub(super) fn ports(ports: &[DraftPort]) -> PortMap {
    let target = |target: &Target| match target {
        Target::Number(number) => *number,
        Target::Name(_) => 0,
    };
    ports
        .iter()
        .map(|port| (port.port, target(&port.target)))
        .collect()
}
