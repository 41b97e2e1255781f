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

    /// Adds workloads to the sets of their services when there is no set yet: the same as one by
    /// one, only faster.
    pub(crate) fn fill(
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
        let sets = members.into_iter().map(|(service, members)| {
            let key = self.key(&service.namespace, &service.hostname);
            let set = EndpointSet::of(service.clone(), scopes(service), &members);
            (key, Arc::new(set))
        });
        self.sets = sets.collect();
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
    fn of(service: NamespacedHostname, scopes: Scopes, members: &[&Arc<Workload>]) -> Self {
        let mut set = Self {
            service,
            scopes,
            ..Self::default()
        };
        match members {
            [first, ..] if scopes == Scopes::default() => {
                let group = Group::of(first.place().clone(), members);
                set.len = members.len();
                set.groups
                    .insert(scopes.key(first.place()), Arc::new(group));
            }
            _ => members.iter().for_each(|member| set.insert(member)),
        }
        set
    }

    fn insert(&mut self, workload: &Arc<Workload>) {
        let (scopes, place) = (self.scopes, workload.place());
        let key = scopes.key(place);
        let agrees = |group: &Arc<Group>| scopes.agree(group.place(), place);
        let add = |group: &mut Arc<Group>| Arc::make_mut(group).insert(workload);
        if self.groups.update(key, agrees, add).is_none() {
            let mut group = Group::new(place.clone());
            group.insert(workload);
            self.groups.insert(key, Arc::new(group));
        }
        self.len += 1;
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
