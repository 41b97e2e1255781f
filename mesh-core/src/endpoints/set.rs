//! One set of endpoints.

use std::sync::Arc;

use super::group::Member;
use super::{Group, Scopes};
use crate::model::{NamespacedHostname, PortMap, Workload, WorkloadStatus};
use crate::tree::Tree;

/// One endpoint of a service: a workload with its own port mapping for that service.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    workload: &'a Arc<Workload>,
    ports: &'a PortMap,
}

impl<'a> Endpoint<'a> {
    /// The workload.
    #[must_use]
    pub fn workload(&self) -> &'a Arc<Workload> {
        self.workload
    }

    /// The workload's own mapping from service ports to target ports; may be empty.
    #[must_use]
    pub fn ports(&self) -> &'a PortMap {
        self.ports
    }

    /// Whether it takes new connections.
    #[must_use]
    pub fn health(&self) -> WorkloadStatus {
        self.workload.status()
    }
}

/// All endpoints of one service, healthy and unhealthy, in no particular order.
#[derive(Clone, Default)]
pub struct EndpointSet {
    pub(super) service: NamespacedHostname,
    /// What the groups differ by.
    pub(super) scopes: Scopes,
    pub(super) groups: Tree<Arc<Group>>,
    pub(super) len: usize,
}

impl EndpointSet {
    /// The number of endpoints.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no endpoint.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether both are the same set, as in two snapshots between which nothing has changed for the
    /// service. Two sets that became equal by different ways are not the same. Takes constant time.
    ///
    /// ```
    /// use mesh_core::endpoints::EndpointSet;
    ///
    /// let set = EndpointSet::default();
    /// assert!(set.is_same(&set.clone()));
    /// assert!(!set.is_same(&EndpointSet::default()));
    /// ```
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.groups.is_same(&other.groups)
    }

    /// All endpoints, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = Endpoint<'_>> + '_ {
        let members = self.groups.iter().flat_map(|group| group.members().iter());
        members.filter_map(|member| self.endpoint(&member.0))
    }

    /// The first answer for an endpoint. Allocates nothing.
    pub(crate) fn find_map<'a, R>(
        &'a self,
        mut ask: impl FnMut(Endpoint<'a>) -> Option<R>,
    ) -> Option<R> {
        self.groups.find_map(|group| {
            let mut members = |member: &'a Member| ask(self.endpoint(&member.0)?);
            group.members().find_map(&mut members)
        })
    }

    /// An endpoint of this set, with its ports.
    pub(crate) fn endpoint<'a>(&self, workload: &'a Arc<Workload>) -> Option<Endpoint<'a>> {
        let ports = workload.ports_for(&self.service)?;
        Some(Endpoint { workload, ports })
    }

    pub(crate) fn scopes(&self) -> Scopes {
        self.scopes
    }

    pub(crate) fn groups(&self) -> &Tree<Arc<Group>> {
        &self.groups
    }

    /// The group of the endpoints that agree with a place in all scopes of the set.
    pub(crate) fn group_of(&self, place: &crate::model::Place) -> Option<&Arc<Group>> {
        let agrees = |group: &Arc<Group>| self.scopes.agree(group.place(), place);
        self.groups.find(self.scopes.key(place), agrees)
    }
}

impl std::fmt::Debug for EndpointSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointSet")
            .field("service", &self.service)
            .field("endpoints", &self.len)
            .finish_non_exhaustive()
    }
}
