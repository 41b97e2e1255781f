//! The routes of every service.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_core::name::Name;

use super::{Action, Backend, BackendTarget, Backends, HostTable, Rule, Rules};
use crate::target::ServiceTarget;

/// By namespace and host name of the service, and port.
type Routes = HashMap<(Name, Name, u16), Arc<HostTable>>;

/// Routes by the service and port that clients connect to. A service without routes has one that
/// forwards everything to it.
///
/// ```
/// use mesh_l7::matching::Head;
/// use mesh_l7::route::{HostTable, Rule, Rules, Action, RouteTable};
/// use mesh_l7::target::ServiceTarget;
///
/// let web = ServiceTarget { namespace: "shop".into(), hostname: "web.shop.svc.cluster.local".into(), port: 80, subset: None };
/// let headers = http::HeaderMap::new();
/// let head = Head::new("GET", "web", "/", &headers);
/// let mut table = RouteTable::default();
/// assert!(matches!(table.of(&web).select(&head).unwrap().rule.action, Action::Forward(_)));
/// table.insert(&web, HostTable::of_any(Rules::new([Rule::new("none", Action::not_found())])));
/// assert!(matches!(table.of(&web).select(&head).unwrap().rule.action, Action::Respond(_)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    services: Routes,
    /// By the clients' namespace.
    consumers: HashMap<Name, Routes>,
}

impl RouteTable {
    /// Sets the routes of a service's port.
    pub fn insert(&mut self, service: &ServiceTarget, routes: HostTable) {
        self.services.insert(key(service), Arc::new(routes));
    }

    /// Sets the routes of a service's port for clients of one namespace (GAMMA's consumer routes). For
    /// them they take the place of what is for everyone.
    pub fn insert_for(
        &mut self,
        namespace: impl Into<Name>,
        service: &ServiceTarget,
        routes: HostTable,
    ) {
        let consumer = self.consumers.entry(namespace.into()).or_default();
        consumer.insert(key(service), Arc::new(routes));
    }

    /// The routes of a service's port for a client of a namespace, where that is known.
    #[must_use]
    pub fn of_client(&self, service: &ServiceTarget, namespace: Option<&str>) -> Arc<HostTable> {
        let consumer = namespace
            .filter(|_| !self.consumers.is_empty())
            .and_then(|namespace| self.consumers.get(namespace)?.get(&key(service)));
        consumer.map_or_else(|| self.of(service), Arc::clone)
    }

    /// The routes of a service's port for everyone: those that were set, or one that forwards everything to it.
    #[must_use]
    pub fn of(&self, service: &ServiceTarget) -> Arc<HostTable> {
        match self.services.get(&key(service)) {
            Some(routes) => routes.clone(),
            None => Arc::new(default(service)),
        }
    }

    /// How many ports of services have routes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.services.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }
}

fn key(service: &ServiceTarget) -> (Name, Name, u16) {
    (
        service.namespace.clone(),
        service.hostname.clone(),
        service.port,
    )
}

/// What holds for a service without routes.
fn default(service: &ServiceTarget) -> HostTable {
    let backend = Backend::new(BackendTarget::Service(service.clone()));
    let rule = Rule::new("default", Action::Forward(Backends::new([backend])));
    HostTable::of_any(Rules::new([rule]))
}
