//! The writer's side of the mesh: batches of updates go in, snapshots come out.
//!
//! The store keeps the newest snapshot and changes it: in place as long as only the store knows
//! the part, by copying one path of an index where a published snapshot shares it. What a batch
//! brings goes into the indexes together, in the order of their keys: a first sync in however many
//! batches builds each node once or twice, and one update later costs a few copied nodes. Workloads of one store share equal names and records; what no workload of the
//! store uses any more is forgotten at once.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::model::{ServiceSpec, Workload, WorkloadSpec};
use crate::name::Name;
use crate::snapshot::MeshSnapshot;
use crate::watch::{self, Publisher, Watch};

mod pool;

use pool::Pool;

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
        if let Some(order) = self.distinct(&batch.workloads) {
            applied.upserted += self.upsert_workloads(batch.workloads, &order);
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

    /// Upserts of distinct workloads, as if one by one; how many are new or different. `order` has
    /// their places in the order in which they are looked up fastest.
    fn upsert_workloads(&mut self, updates: Vec<Update<WorkloadSpec>>, order: &[usize]) -> usize {
        let specs = updates.into_iter().filter_map(|update| match update {
            Update::Upsert(spec) => Some(spec),
            Update::Remove(_) => None,
        });
        let all: Vec<_> = specs
            .map(|spec| Arc::new(self.pool.workload(spec)))
            .collect();
        let mut known = Vec::new();
        if self.mesh.workload_count() > 0 {
            known.resize(all.len(), None);
            for at in order {
                if let (Some(workload), Some(known)) = (all.get(*at), known.get_mut(*at)) {
                    *known = self.mesh.workload(workload.uid()).cloned();
                }
            }
        }
        let known = known.into_iter().chain(std::iter::repeat(None));
        let new = all.into_iter().zip(known);
        let new = new.filter_map(|(workload, old)| self.renewed(workload, old));
        let new: Vec<_> = new.collect();
        self.mesh.insert_workloads(&new);
        new.len()
    }

    fn upsert_workload(&mut self, spec: WorkloadSpec) -> bool {
        let workload = Arc::new(self.pool.workload(spec));
        let old = self.mesh.workload(workload.uid()).cloned();
        let new = self.renewed(workload, old);
        if let Some(workload) = &new {
            self.mesh.insert_workload(workload);
        }
        new.is_some()
    }

    /// Removes the old one to insert the new one; `None` when they are the same.
    fn renewed(
        &mut self,
        workload: Arc<Workload>,
        old: Option<Arc<Workload>>,
    ) -> Option<Arc<Workload>> {
        if old.as_ref().is_some_and(|old| old.is_same(&workload)) {
            self.pool.release(&workload);
            return None;
        }
        if let Some(old) = old {
            self.mesh.remove_workload(&old);
            self.pool.release(&old);
        }
        Some(workload)
    }

    /// The places of several upserts by the keys of their unique ids, when there is nothing else and
    /// each is of another workload.
    fn distinct(&self, updates: &[Update<WorkloadSpec>]) -> Option<Vec<usize>> {
        let uid = |at: usize| match updates.get(at) {
            Some(Update::Upsert(spec)) => Some(&spec.uid),
            _ => None,
        };
        let places = 0..updates.len();
        let keyed = places.map(|at| Some((self.mesh.uid_key(uid(at)?), at)));
        let mut keyed: Vec<_> = keyed.collect::<Option<_>>()?;
        keyed.sort_unstable();
        let alike = keyed.chunk_by(|(a, _), (b, _)| a == b);
        let distinct = alike.filter(|alike| alike.len() > 1).all(|alike| {
            let mut seen = HashSet::with_capacity(alike.len());
            alike.iter().all(|(_, at)| seen.insert(uid(*at)))
        });
        let order = keyed.into_iter().map(|(_, at)| at);
        (distinct && updates.len() > 1).then(|| order.collect())
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

#[cfg(test)]
mod tests;
