//! The writer's side of the mesh: batches of updates go in, snapshots come out.
//!
//! The store keeps the newest snapshot and changes it: in place as long as only the store knows
//! the part, by copying one path of an index where a published snapshot shares it. A first sync of
//! 100,000 workloads in one batch is therefore built in place, and one update later costs a few
//! copied nodes. Workloads of one store share equal names and records; what no workload of the
//! store uses any more is forgotten at once.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::model::{ServiceSpec, WorkloadSpec};
use crate::name::Name;
use crate::snapshot::MeshSnapshot;
use crate::watch::{self, Publisher, Watch};

mod pool;

use pool::Pool;

/// The least number of workloads that an empty mesh is filled with at once.
const FILL: usize = 8;

/// A change to one resource.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a resource comes or it goes")]
pub enum Update<R> {
    /// Inserts the resource, or replaces the one with the same key.
    Upsert(R),
    /// Removes the resource with this key. An unknown key is ignored.
    Remove(Name),
}

/// Changes that become visible together.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Batch {
    /// Keys of workloads (uid) or services (`namespace/hostname`) to remove, before all else.
    ///
    /// For sources that do not know which of the two a removed resource was.
    pub removals: Vec<Name>,
    /// Changes to services, applied in order. The key is `namespace/hostname`.
    pub services: Vec<Update<ServiceSpec>>,
    /// Changes to workloads, applied in order. The key is the uid.
    pub workloads: Vec<Update<WorkloadSpec>>,
}

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Applied {
    /// Resources that are new or different.
    pub upserted: usize,
    /// Resources that are gone.
    pub removed: usize,
}

/// The mesh as far as the sources of configuration delivered it.
///
/// One snapshot is published per batch. Writers take turns; readers are never held up.
///
/// ```
/// use mesh_core::model::WorkloadSpec;
/// use mesh_core::store::{Batch, MeshStore, Update};
///
/// let store = MeshStore::new();
/// let mut batch = Batch::default();
/// batch.workloads.push(Update::Upsert(WorkloadSpec {
///     uid: "cluster//Pod/default/web".into(),
///     ips: vec!["10.0.0.1".parse().unwrap()],
///     ..WorkloadSpec::default()
/// }));
/// store.apply(batch);
/// assert!(store.snapshot().workload_at("", "10.0.0.1".parse().unwrap()).is_some());
/// ```
pub struct MeshStore {
    state: Mutex<State>,
    publisher: Publisher<MeshSnapshot>,
}

struct State {
    /// The newest snapshot, with or without the batch that is being applied.
    mesh: MeshSnapshot,
    pool: Pool,
}

impl MeshStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        let hasher = RandomState::default();
        let mesh = MeshSnapshot::seeded(hasher.clone());
        Self {
            publisher: watch::channel(mesh.clone()).0,
            state: Mutex::new(State {
                mesh,
                pool: Pool::new(hasher),
            }),
        }
    }

    /// The mesh at this moment, without taking a lock.
    #[must_use]
    pub fn snapshot(&self) -> Arc<MeshSnapshot> {
        self.publisher.load()
    }

    /// The mesh now and at each later change.
    #[must_use]
    pub fn watch(&self) -> Watch<MeshSnapshot> {
        self.publisher.watch()
    }

    /// Applies a batch and publishes one snapshot, or none when the batch changed nothing.
    pub fn apply(&self, batch: Batch) -> Applied {
        let mut state = self.state.lock();
        let applied = state.apply(batch);
        self.publish(&state, applied)
    }

    /// Makes these resources all there are and publishes one snapshot, or none when nothing
    /// changed. Resources that are in the store already and equal stay as they are.
    pub fn replace_all(&self, workloads: Vec<WorkloadSpec>, services: Vec<ServiceSpec>) -> Applied {
        let mut state = self.state.lock();
        let removed = state.retain(&workloads, &services);
        let mut applied = state.apply(Batch {
            removals: Vec::new(),
            services: services.into_iter().map(Update::Upsert).collect(),
            workloads: workloads.into_iter().map(Update::Upsert).collect(),
        });
        applied.removed += removed;
        self.publish(&state, applied)
    }

    fn publish(&self, state: &State, applied: Applied) -> Applied {
        if applied != Applied::default() {
            self.publisher.publish(state.mesh.clone());
        }
        applied
    }
}

impl Default for MeshStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MeshStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshStore")
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

impl State {
    fn apply(&mut self, batch: Batch) -> Applied {
        let mut applied = Applied::default();
        for key in batch.removals {
            let removed = self.remove_workload(&key) || self.remove_service(&key);
            applied.removed += usize::from(removed);
        }
        for update in batch.services {
            match update {
                Update::Upsert(spec) => {
                    applied.upserted += usize::from(self.mesh.upsert_service(spec));
                }
                Update::Remove(key) => applied.removed += usize::from(self.remove_service(&key)),
            }
        }
        if self.mesh.workload_count() == 0 && is_distinct(&batch.workloads) {
            applied.upserted += self.fill(batch.workloads);
            return applied;
        }
        for update in batch.workloads {
            match update {
                Update::Upsert(spec) => applied.upserted += usize::from(self.upsert_workload(spec)),
                Update::Remove(key) => applied.removed += usize::from(self.remove_workload(&key)),
            }
        }
        applied
    }

    /// Inserts workloads into a mesh that has none.
    fn fill(&mut self, updates: Vec<Update<WorkloadSpec>>) -> usize {
        let specs = updates.into_iter().filter_map(|update| match update {
            Update::Upsert(spec) => Some(spec),
            Update::Remove(_) => None,
        });
        let all: Vec<_> = specs
            .map(|spec| Arc::new(self.pool.workload(spec)))
            .collect();
        self.mesh.fill(&all);
        all.len()
    }

    fn upsert_workload(&mut self, spec: WorkloadSpec) -> bool {
        let workload = Arc::new(self.pool.workload(spec));
        let old = self.mesh.workload(workload.uid()).cloned();
        if old.as_ref().is_some_and(|old| old.is_same(&workload)) {
            self.pool.release(&workload);
            return false;
        }
        if let Some(old) = old {
            self.mesh.remove_workload(&old);
            self.pool.release(&old);
        }
        self.mesh.insert_workload(&workload);
        true
    }

    fn remove_workload(&mut self, uid: &str) -> bool {
        let Some(old) = self.mesh.workload(uid).cloned() else {
            return false;
        };
        self.mesh.remove_workload(&old);
        self.pool.release(&old);
        true
    }

    fn remove_service(&mut self, key: &str) -> bool {
        let Some((namespace, hostname)) = key.split_once('/') else {
            return false;
        };
        let Some(old) = self.mesh.service(namespace, hostname).cloned() else {
            return false;
        };
        self.mesh.remove_service(&old);
        true
    }

    /// Removes what is not among these resources; how many that were.
    fn retain(&mut self, workloads: &[WorkloadSpec], services: &[ServiceSpec]) -> usize {
        if self.mesh.workload_count() + self.mesh.service_count() == 0 {
            return 0;
        }
        let uids: HashSet<&str> = workloads.iter().map(|spec| &*spec.uid).collect();
        let keys: HashSet<(&str, &str)> = services
            .iter()
            .map(|spec| (&*spec.namespace, &*spec.hostname))
            .collect();
        let mesh = self.mesh.clone();
        let mut removed = 0;
        for workload in mesh.workloads().filter(|w| !uids.contains(w.uid())) {
            removed += usize::from(self.remove_workload(workload.uid()));
        }
        for service in mesh.services() {
            let spec = service.spec();
            if !keys.contains(&(&*spec.namespace, &*spec.hostname)) {
                self.mesh.remove_service(service);
                removed += 1;
            }
        }
        removed
    }
}

/// Whether there are many upserts and nothing else, each of another workload.
fn is_distinct(updates: &[Update<WorkloadSpec>]) -> bool {
    let mut seen = HashSet::with_capacity_and_hasher(updates.len(), RandomState::default());
    updates.len() >= FILL
        && updates.iter().all(|update| match update {
            Update::Upsert(spec) => seen.insert(spec.uid.as_str()),
            Update::Remove(_) => false,
        })
}

#[cfg(test)]
mod tests;
