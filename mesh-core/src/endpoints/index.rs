//! The endpoint sets of all services, known or not yet known.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{EndpointSet, Group, Scopes};
use crate::model::{NamespacedHostname, Service, Workload};
use crate::tree::{Item, Tree};

/// The endpoint sets by service key.
///
/// A set exists while there is an endpoint, whether or not the service is known: endpoints that
/// come before their service need no place of their own to wait in.
#[derive(Clone)]
pub(crate) struct EndpointIndex {
    sets: Tree<Arc<EndpointSet>>,
    hasher: RandomState,
}

impl Item for Arc<EndpointSet> {
    type Sum = ();
    fn sum(&self) {}
}

impl EndpointIndex {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            sets: Tree::default(),
            hasher,
        }
    }

    fn key(&self, namespace: &str, hostname: &str) -> u32 {
        (self.hasher.hash_one((hostname, namespace)) >> 32) as u32
    }

    pub(crate) fn set(&self, namespace: &str, hostname: &str) -> Option<&Arc<EndpointSet>> {
        self.sets.find(self.key(namespace, hostname), |set| {
            set.service.hostname == hostname && set.service.namespace == namespace
        })
    }

    /// Adds a workload to the sets of its services. `scopes` gives what the groups of a set that
    /// is new shall differ by.
    pub(crate) fn insert(
        &mut self,
        workload: &Arc<Workload>,
        scopes: impl Fn(&NamespacedHostname) -> Scopes,
    ) {
        for (service, _) in workload.services() {
            let key = self.key(&service.namespace, &service.hostname);
            let same = |set: &Arc<EndpointSet>| set.service == *service;
            let add = |set: &mut Arc<EndpointSet>| Arc::make_mut(set).insert(workload);
            if self.sets.update(key, same, add).is_none() {
                let mut set = EndpointSet {
                    service: service.clone(),
                    scopes: scopes(service),
                    ..EndpointSet::default()
                };
                set.insert(workload);
                self.sets.insert(key, Arc::new(set));
            }
        }
    }

    /// Adds workloads to the sets of their services: the same as one by one, only faster.
    pub(crate) fn insert_all(
        &mut self,
        all: &[Arc<Workload>],
        scopes: impl Fn(&NamespacedHostname) -> Scopes,
    ) {
        let hasher = self.hasher.clone();
        let mut members = HashMap::<_, Vec<_>, _>::with_hasher(hasher);
        for workload in all {
            for (service, _) in workload.services() {
                members.entry(service).or_default().push(workload);
            }
        }
        let mut new = Vec::new();
        for (service, mut members) in members {
            let key = self.key(&service.namespace, &service.hostname);
            let same = |set: &Arc<EndpointSet>| set.service == *service;
            let add = |set: &mut Arc<EndpointSet>| Arc::make_mut(set).insert_all(&mut members);
            if self.sets.update(key, same, add).is_none() {
                let mut set = EndpointSet {
                    service: service.clone(),
                    scopes: scopes(service),
                    ..EndpointSet::default()
                };
                set.insert_all(&mut members);
                new.push((key, Arc::new(set)));
            }
        }
        self.sets.insert_all(new);
    }

    pub(crate) fn remove(&mut self, workload: &Arc<Workload>) {
        for (service, _) in workload.services() {
            let key = self.key(&service.namespace, &service.hostname);
            let same = |set: &Arc<EndpointSet>| set.service == *service;
            let empty = self.sets.update(key, same, |set| {
                let set = Arc::make_mut(set);
                set.remove(workload);
                set.is_empty()
            });
            if empty == Some(true) {
                self.sets.remove(key, same);
            }
        }
    }

    /// Regroups the endpoints of a service by what now matters to it.
    pub(crate) fn regroup(&mut self, service: &Service) {
        let spec = service.spec();
        let scopes = Scopes::of(spec.load_balancing.as_ref());
        let key = self.key(&spec.namespace, &spec.hostname);
        let other = |set: &Arc<EndpointSet>| {
            set.scopes != scopes
                && set.service.hostname == spec.hostname
                && set.service.namespace == spec.namespace
        };
        self.sets.update(key, other, |set| {
            let mut regrouped = EndpointSet {
                service: set.service.clone(),
                scopes,
                ..EndpointSet::default()
            };
            for endpoint in set.iter() {
                regrouped.insert(endpoint.workload());
            }
            *set = Arc::new(regrouped);
        });
    }
}

impl EndpointSet {
    fn insert(&mut self, workload: &Arc<Workload>) {
        self.insert_alike(workload, |group| group.insert(workload));
        self.len += 1;
    }

    /// Inserts endpoints as if one by one; their order changes, not that within a group.
    fn insert_all(&mut self, members: &mut [&Arc<Workload>]) {
        let scopes = self.scopes;
        members.sort_by_cached_key(|member| scopes.key(member.place()));
        let alike = |a: &&Arc<Workload>, b: &&Arc<Workload>| scopes.agree(a.place(), b.place());
        for alike in members.chunk_by(alike) {
            if let [first, ..] = alike {
                self.insert_alike(first, |group| group.insert_all(alike));
            }
        }
        self.len += members.len();
    }

    /// Changes the group that a workload belongs to, which may be new.
    fn insert_alike(&mut self, workload: &Arc<Workload>, insert: impl Fn(&mut Group)) {
        let (scopes, place) = (self.scopes, workload.place());
        let key = scopes.key(place);
        let agrees = |group: &Arc<Group>| scopes.agree(group.place(), place);
        let add = |group: &mut Arc<Group>| insert(Arc::make_mut(group));
        if self.groups.update(key, agrees, add).is_none() {
            let mut group = Group::new(place.clone());
            insert(&mut group);
            self.groups.insert(key, Arc::new(group));
        }
    }

    fn remove(&mut self, workload: &Arc<Workload>) {
        let (scopes, place) = (self.scopes, workload.place());
        let key = scopes.key(place);
        let agrees = |group: &Arc<Group>| scopes.agree(group.place(), place);
        let removed = self.groups.update(key, agrees, |group| {
            let group = Arc::make_mut(group);
            (group.remove(workload), group.members().len() == 0)
        });
        let Some((removed, empty)) = removed else {
            return;
        };
        self.len -= usize::from(removed);
        if empty {
            self.groups.remove(key, agrees);
        }
    }
}
