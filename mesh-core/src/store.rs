//! The writer's side of the mesh: batches of updates go in, snapshots come out.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{Service, ServiceSpec, Workload, WorkloadSpec};
use crate::name::Name;
use crate::snapshot::MeshSnapshot;
use crate::watch::{self, Publisher, Watch};

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

#[derive(Default)]
struct State {
    workloads: Vec<Arc<Workload>>,
    services: Vec<Arc<Service>>,
}

impl MeshStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            publisher: watch::channel(MeshSnapshot::default()).0,
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

    /// Applies a batch and publishes one snapshot.
    pub fn apply(&self, batch: Batch) -> Applied {
        let mut state = self.state.lock();
        let applied = state.apply(batch);
        let snapshot = MeshSnapshot::build(state.workloads.iter(), state.services.iter());
        self.publisher.publish(snapshot);
        applied
    }

    /// Replaces everything by these resources and publishes one snapshot.
    pub fn replace_all(&self, workloads: Vec<WorkloadSpec>, services: Vec<ServiceSpec>) -> Applied {
        let mut state = self.state.lock();
        let removed = state.workloads.len() + state.services.len();
        *state = State::default();
        let mut applied = state.apply(Batch {
            removals: Vec::new(),
            services: services.into_iter().map(Update::Upsert).collect(),
            workloads: workloads.into_iter().map(Update::Upsert).collect(),
        });
        applied.removed += removed;
        let snapshot = MeshSnapshot::build(state.workloads.iter(), state.services.iter());
        self.publisher.publish(snapshot);
        applied
    }
}

impl Default for MeshStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MeshStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshStore")
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

impl State {
    fn apply(&mut self, batch: Batch) -> Applied {
        let mut applied = Applied::default();
        for key in batch.removals {
            if self.remove_workload(&key) || self.remove_service(&key) {
                applied.removed += 1;
            }
        }
        for update in batch.services {
            match update {
                Update::Upsert(spec) => {
                    let service = Arc::new(Service::new(spec));
                    let key = service.key();
                    match self.services.iter_mut().find(|s| s.key() == key) {
                        Some(old) => *old = service,
                        None => self.services.push(service),
                    }
                    applied.upserted += 1;
                }
                Update::Remove(key) => applied.removed += usize::from(self.remove_service(&key)),
            }
        }
        for update in batch.workloads {
            match update {
                Update::Upsert(spec) => {
                    self.remove_workload(&spec.uid.clone());
                    self.workloads.push(Arc::new(Workload::new(spec)));
                    applied.upserted += 1;
                }
                Update::Remove(key) => applied.removed += usize::from(self.remove_workload(&key)),
            }
        }
        applied
    }

    fn remove_workload(&mut self, uid: &str) -> bool {
        let before = self.workloads.len();
        self.workloads.retain(|w| w.uid() != uid);
        self.workloads.len() < before
    }

    fn remove_service(&mut self, key: &str) -> bool {
        let before = self.services.len();
        self.services
            .retain(|s| key.split_once('/') != Some((&s.spec().namespace, &s.spec().hostname)));
        self.services.len() < before
    }
}
