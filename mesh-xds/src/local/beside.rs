//! The sink of another source beside a local file.

use std::sync::Arc;

#[cfg(feature = "authz")]
use mesh_authz::{spec::PolicySpec, store::PolicyStore};
use mesh_core::name::Name;
use mesh_core::store::{Batch, MeshStore, Update};

use super::merge::{Merger, Placed, Record, service};
#[cfg(feature = "authz")]
use crate::apply::Updates;
use crate::apply::{Apply, Rejection};

/// A store as the sink of a source that fills it beside the local file of a [`Merger`].
///
/// It takes batches for a [`MeshStore`], and with the feature `authz` those for a `PolicyStore`. What the source removes and the file says as well is not gone then: what the file says takes its
/// place, in the same change of the store.
///
/// ```
/// use std::sync::Arc;
/// use mesh_core::model::WorkloadSpec;
/// use mesh_core::store::{Batch, MeshStore, Update};
/// use mesh_xds::apply::Apply;
/// use mesh_xds::local::{Beside, Merger, parse};
///
/// let (store, merger) = (Arc::new(MeshStore::new()), Merger::default());
/// let text = "workloads: [{uid: a, name: of-file, namespace: ns, workloadIps: [10.0.0.1], services: {}}]";
/// merger.merge(&store, None, parse(text, "mesh.yaml")?, "mesh.yaml")?;
/// let sink = Beside::new(store.clone(), &merger);
/// let mut batch = Batch::default();
/// batch.workloads.push(Update::Upsert(WorkloadSpec { uid: "a".into(), ..Default::default() }));
/// sink.apply(batch);
/// let mut batch = Batch::default();
/// batch.removals.push("a".into());
/// sink.apply(batch);
/// assert_eq!(store.snapshot().workload("a").unwrap().name(), "of-file");
/// # Ok::<(), mesh_xds::local::LocalError>(())
/// ```
#[derive(Debug)]
pub struct Beside<S> {
    store: Arc<S>,
    merger: Merger,
}

impl<S> Beside<S> {
    /// A store that the file of `merger` fills as well.
    #[must_use]
    pub fn new(store: Arc<S>, merger: &Merger) -> Self {
        let merger = merger.clone();
        Self { store, merger }
    }
}

impl Apply<Batch> for Beside<MeshStore> {
    fn apply(&self, mut batch: Batch) -> Vec<Rejection> {
        let mut merged = self.merger.lock();
        let (mut services, mut workloads) = (Vec::new(), Vec::new());
        let mut back = (Vec::new(), Vec::new());
        for key in &batch.removals {
            if let Some(spec) = merged.services.says(key) {
                services.push(Update::Upsert(spec.clone()));
                back.0.push(key.clone());
            } else if let Some(spec) = merged.workloads.says(key) {
                workloads.push(Update::Upsert(spec.clone()));
                back.1.push(key.clone());
            }
        }
        back.0.extend(kept(&mut batch.services, &merged.services));
        back.1.extend(kept(&mut batch.workloads, &merged.workloads));
        // In front of the batch's own, which come after all removals.
        services.append(&mut batch.services);
        workloads.append(&mut batch.workloads);
        (batch.services, batch.workloads) = (services, workloads);
        self.store.apply(batch);
        let mesh = self.store.snapshot();
        for key in back.0 {
            let there = service(&mesh, &key);
            merged.services.put(key, there);
        }
        for uid in back.1 {
            let there = mesh.workload(&uid).cloned();
            merged.workloads.put(uid, there);
        }
        Vec::new()
    }
}

#[cfg(feature = "authz")]
impl Apply<Updates<PolicySpec>> for Beside<PolicyStore> {
    fn apply(&self, mut batch: Updates<PolicySpec>) -> Vec<Rejection> {
        let mut merged = self.merger.lock();
        let back = kept(&mut batch, &merged.policies);
        let rejected = Apply::apply(&*self.store, batch);
        let index = self.store.index();
        for key in back {
            let there = index.policy(&key).cloned();
            merged.policies.put(key, there);
        }
        rejected
    }
}

/// Turns removals of what the file says into insertions of that; of which keys.
fn kept<R: Record, S: Clone>(updates: &mut [Update<S>], placed: &Placed<R, S>) -> Vec<Name> {
    let mut back = Vec::new();
    for update in updates {
        if let Update::Remove(key) = update
            && let Some(spec) = placed.says(key)
        {
            back.push(key.clone());
            *update = Update::Upsert(spec.clone());
        }
    }
    back
}
