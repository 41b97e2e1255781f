//! Endpoints that routing preferences cannot tell apart.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::model::{HealthPolicy, Place, Workload, WorkloadStatus};
use crate::tree::{Item, Sum, Tree};

/// Endpoints whose places agree in all scopes that matter.
// Invariant: not empty once it is in a set.
#[derive(Clone)]
pub(crate) struct Group {
    /// The place of one of them.
    place: Arc<Place>,
    members: Tree<Member>,
}

/// A workload as part of a group.
#[derive(Clone)]
pub(crate) struct Member(pub(crate) Arc<Workload>);

/// Sums over endpoints.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Weights {
    /// Capacities.
    all: u64,
    /// Capacities of those that are healthy.
    healthy: u64,
    /// Endpoints that are healthy and have capacity 1.
    plain: u32,
}

impl Weights {
    /// The weight of those that take part under a health policy.
    pub(crate) fn under(&self, policy: HealthPolicy) -> u64 {
        match policy {
            HealthPolicy::OnlyHealthy => self.healthy,
            HealthPolicy::AllowAll => self.all,
        }
    }
}

impl Sum for Weights {
    fn plus(self, other: Self) -> Self {
        Self {
            all: self.all.wrapping_add(other.all),
            healthy: self.healthy.wrapping_add(other.healthy),
            plain: self.plain.wrapping_add(other.plain),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            all: self.all.wrapping_sub(other.all),
            healthy: self.healthy.wrapping_sub(other.healthy),
            plain: self.plain.wrapping_sub(other.plain),
        }
    }
}

impl Item for Member {
    type Sum = Weights;

    fn sum(&self) -> Weights {
        let capacity = u64::from(self.0.capacity());
        let healthy = self.0.status() == WorkloadStatus::Healthy;
        Weights {
            all: capacity,
            healthy: if healthy { capacity } else { 0 },
            plain: u32::from(healthy && capacity == 1),
        }
    }

    fn is_plain(sum: &Weights, count: usize) -> bool {
        usize::try_from(sum.plain) == Ok(count)
    }
}

impl Item for Arc<Group> {
    type Sum = Weights;

    fn sum(&self) -> Weights {
        *self.members.sum()
    }
}

impl Group {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self {
            place,
            members: Tree::default(),
        }
    }

    pub(crate) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    pub(crate) fn members(&self) -> &Tree<Member> {
        &self.members
    }

    pub(super) fn insert(&mut self, workload: &Arc<Workload>) {
        self.members.insert(key(workload), Member(workload.clone()));
    }

    /// Inserts endpoints, as if one by one.
    pub(super) fn insert_all(&mut self, workloads: &[&Arc<Workload>]) {
        let members = workloads.iter().map(|w| (key(w), Member(Arc::clone(w))));
        self.members.insert_all(members.collect());
    }

    /// Removes an endpoint and says whether it was there.
    pub(super) fn remove(&mut self, workload: &Arc<Workload>) -> bool {
        let same = |member: &Member| Arc::ptr_eq(&member.0, workload);
        self.members.remove(key(workload), same).is_some()
    }
}

/// The position of an endpoint in its group, the same in every run.
fn key(workload: &Workload) -> u32 {
    (FixedState::default().hash_one(workload.uid()) >> 32) as u32
}
