//! Changes to a snapshot before it is published.

use std::sync::Arc;

use foldhash::fast::RandomState;

use super::keys::Keys;
use super::{MeshSnapshot, ServiceIndex, WorkloadIndex};
use crate::endpoints::{EndpointIndex, EndpointSet, Scopes};
use crate::model::{NamespacedHostname, Service, ServiceSpec, Workload};

impl MeshSnapshot {
    /// An empty mesh with a seed for its indexes.
    pub(crate) fn seeded(hasher: RandomState) -> Self {
        Self {
            keys: Keys(hasher.clone()),
            workloads: WorkloadIndex::default(),
            services: ServiceIndex::default(),
            endpoints: EndpointIndex::new(hasher),
            no_endpoints: Arc::new(EndpointSet::default()),
        }
    }

    /// Where the index of unique ids has one: what is looked up in the order of these is found fast.
    pub(crate) fn uid_key(&self, uid: &str) -> u32 {
        self.keys.uid(uid)
    }

    /// Inserts a workload whose unique id is not known.
    pub(crate) fn insert_workload(&mut self, workload: &Arc<Workload>) {
        self.workloads.insert(&self.keys, workload);
        let (services, keys) = (&self.services, &self.keys);
        let scopes = |key: &NamespacedHostname| scopes(services, keys, key);
        self.endpoints.insert(workload, scopes);
    }

    /// Inserts workloads whose unique ids are distinct and not known: the same as one by one, only
    /// faster.
    pub(crate) fn insert_workloads(&mut self, all: &[Arc<Workload>]) {
        self.workloads.insert_all(&self.keys, all);
        let (services, keys) = (&self.services, &self.keys);
        let scopes = |key: &NamespacedHostname| scopes(services, keys, key);
        self.endpoints.insert_all(all, scopes);
    }

    /// Removes a workload that is in the snapshot.
    pub(crate) fn remove_workload(&mut self, workload: &Arc<Workload>) {
        self.workloads.remove(&self.keys, workload);
        self.endpoints.remove(workload);
    }

    /// Inserts a service or replaces the one with its key; whether that changed anything.
    pub(crate) fn upsert_service(&mut self, spec: ServiceSpec) -> bool {
        let old = self.service(&spec.namespace, &spec.hostname).cloned();
        if old.as_ref().is_some_and(|old| *old.spec() == spec) {
            return false;
        }
        let order = old.as_ref().map(|old| old.order());
        let order = order.unwrap_or_else(|| self.services.next_order());
        let service = Arc::new(Service::numbered(spec, order));
        if let Some(old) = old {
            self.services.remove(&self.keys, &old);
        }
        self.services.insert(&self.keys, &service);
        self.endpoints.regroup(&service);
        true
    }

    /// Removes a service that is in the snapshot. Its endpoints stay, for when it comes back.
    pub(crate) fn remove_service(&mut self, service: &Arc<Service>) {
        self.services.remove(&self.keys, service);
    }
}

/// What matters to a service when endpoints are chosen; nothing while it is not known.
fn scopes(services: &ServiceIndex, keys: &Keys, key: &NamespacedHostname) -> Scopes {
    let mut named = services.by_hostname(keys, &key.hostname).iter();
    let service = named.find(|service| service.spec().namespace == key.namespace);
    Scopes::of(service.and_then(|service| service.spec().load_balancing.as_ref()))
}
