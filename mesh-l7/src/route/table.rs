//! The routes of every service.

use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};
use mesh_core::name::Name;
use parking_lot::RwLock;

use super::{Action, Backend, BackendTarget, Backends, HostTable, RetryPolicy, Rule, Rules};
use crate::target::ServiceTarget;

type Routes = HashMap<Key, Arc<HostTable>, foldhash::fast::RandomState>;

/// A port of a service.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    namespace: Name,
    hostname: Name,
    port: u16,
}

/// The same, to look it up: hashes like it.
#[derive(Clone, Copy, Hash)]
struct KeyRef<'s> {
    namespace: &'s str,
    hostname: &'s str,
    port: u16,
}

/// Services without routes that are remembered; with more of them all are forgotten at once.
const MOST_DEFAULTS: usize = 16_384;

/// Routes by the service and port that clients connect to. A service without routes has one that
/// forwards everything to it, and tries again what never reached a host ([`RetryPolicy::default`]).
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
    consumers: HashMap<Name, Routes, foldhash::fast::RandomState>,
    /// Routes of services that have none, made when they are first asked for. Clones have them together.
    defaults: Arc<RwLock<Routes>>,
}

impl RouteTable {
    /// Sets the routes of a service's port.
    pub fn insert(&mut self, service: &ServiceTarget, routes: HostTable) {
        self.services.insert(Key::of(service), Arc::new(routes));
    }

    /// Sets the routes of a service's port. Where they say what they say in an earlier table, they are those of that
    /// one, so that both tables together take little more memory than one.
    pub fn insert_as_in(&mut self, earlier: &Self, service: &ServiceTarget, routes: HostTable) {
        let known = earlier.services.get(&KeyRef::of(service));
        let same = known.filter(|known| ***known == routes).cloned();
        let routes = same.unwrap_or_else(|| Arc::new(routes));
        self.services.insert(Key::of(service), routes);
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
        consumer.insert(Key::of(service), Arc::new(routes));
    }

    /// The routes of a service's port for a client of a namespace, where that is known.
    #[must_use]
    pub fn of_client(&self, service: &ServiceTarget, namespace: Option<&str>) -> Arc<HostTable> {
        let consumer = namespace
            .filter(|_| !self.consumers.is_empty())
            .and_then(|namespace| self.consumers.get(namespace)?.get(&KeyRef::of(service)));
        consumer.map_or_else(|| self.of(service), Arc::clone)
    }

    /// The routes of a service's port for everyone: those that were set, or one that forwards everything to it.
    #[must_use]
    pub fn of(&self, service: &ServiceTarget) -> Arc<HostTable> {
        let key = KeyRef::of(service);
        if let Some(routes) = self.services.get(&key) {
            return routes.clone();
        }
        if let Some(routes) = self.defaults.read().get(&key) {
            return routes.clone();
        }
        let routes = Arc::new(default(service));
        let mut defaults = self.defaults.write();
        if defaults.len() >= MOST_DEFAULTS {
            defaults.clear();
        }
        let key = Key::of(service);
        defaults.entry(key).or_insert(routes).clone()
    }

    /// The rules of all services and of all clients, in no order; not those of services without routes.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        let consumers = self.consumers.values().flat_map(HashMap::values);
        let tables = self.services.values().chain(consumers);
        tables.flat_map(|hosts| hosts.iter().flat_map(|rules| rules.rules()))
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

impl Key {
    fn of(service: &ServiceTarget) -> Self {
        Self {
            namespace: service.namespace.clone(),
            hostname: service.hostname.clone(),
            port: service.port,
        }
    }
}

impl<'s> KeyRef<'s> {
    fn of(service: &'s ServiceTarget) -> Self {
        Self {
            namespace: &service.namespace,
            hostname: &service.hostname,
            port: service.port,
        }
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        let names = key.namespace == *self.namespace && key.hostname == *self.hostname;
        names && key.port == self.port
    }
}

/// What holds for a service without routes: everything is forwarded, with Istio's default retries.
fn default(service: &ServiceTarget) -> HostTable {
    let backend = Backend::new(BackendTarget::Service(service.clone()));
    let mut rule = Rule::new("default", Action::Forward(Backends::new([backend])));
    rule.retry = Some(RetryPolicy::default());
    HostTable::of_any(Rules::new([rule]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(namespace: &str, hostname: &str, port: u16) -> ServiceTarget {
        ServiceTarget {
            namespace: namespace.into(),
            hostname: hostname.into(),
            port,
            subset: None,
        }
    }

    #[test]
    fn a_service_is_found_by_namespace_name_and_port() {
        let mut table = RouteTable::default();
        let web = service("shop", "web", 80);
        table.insert(&web, HostTable::default());
        let set = table.of(&web);
        assert!(Arc::ptr_eq(&table.of(&web), &set));
        for other in [
            service("shop", "web", 81),
            service("shop", "we", 80),
            service("x", "web", 80),
        ] {
            assert!(!Arc::ptr_eq(&table.of(&other), &set), "{other:?}");
        }
    }

    #[test]
    fn the_routes_of_a_service_without_any_are_made_once() {
        let table = RouteTable::default();
        let web = service("shop", "web", 80);
        assert!(Arc::ptr_eq(&table.of(&web), &table.clone().of(&web)));
        let all = table.of(&web);
        let rule = &all.rules("any").unwrap().rules()[0];
        assert_eq!(rule.retry, Some(RetryPolicy::default()), "as in Istio");
        for port in 0..20_000 {
            let _ = table.of(&service("shop", "web", port));
        }
        assert!(table.defaults.read().len() <= MOST_DEFAULTS);
    }

    #[test]
    fn routes_that_say_what_they_said_are_those_of_the_earlier_table() {
        let routes = |status: u16| {
            let status = http::StatusCode::from_u16(status).unwrap();
            HostTable::of_any(Rules::new([Rule::new("rule", Action::respond(status))]))
        };
        let (web, api) = (service("shop", "web", 80), service("shop", "api", 80));
        let mut earlier = RouteTable::default();
        earlier.insert(&web, routes(200));
        earlier.insert(&api, routes(200));
        let mut table = RouteTable::default();
        table.insert_as_in(&earlier, &web, routes(200));
        table.insert_as_in(&earlier, &api, routes(404));
        assert!(Arc::ptr_eq(&table.of(&web), &earlier.of(&web)));
        assert_eq!(*table.of(&api), routes(404));
        assert_eq!(table.rules().count(), 2);
    }

    #[test]
    fn clients_of_a_namespace_may_have_routes_of_their_own() {
        let mut table = RouteTable::default();
        let web = service("shop", "web", 80);
        table.insert_for("client", &web, HostTable::default());
        let own = table.of_client(&web, Some("client"));
        assert!(own.rules("web").is_none());
        for other in [None, Some("other")] {
            assert!(
                table.of_client(&web, other).rules("web").is_some(),
                "{other:?}"
            );
        }
    }
}
