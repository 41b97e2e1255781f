//! A local file beside other sources of configuration.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mesh_authz::Policy;
use mesh_authz::spec::PolicySpec;
use mesh_authz::store::PolicyStore;
use mesh_core::model::{Service, ServiceSpec, Workload, WorkloadSpec};
use mesh_core::name::Name;
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::store::{Batch, MeshStore, Update};
use parking_lot::Mutex;

use super::config::{Loaded, LocalConfig};
use super::error::LocalError;

/// Keeps what one file says in stores that other sources fill as well.
///
/// It remembers what it has put there, and changes and removes nothing else: what another source
/// has under the same name stays, with a warning in the log, and so does what another source has put in
/// the place of the file's. Only where another source says the very same as the file did before,
/// the two cannot be told apart, and it goes with the file's.
///
/// The other source fills the stores through [`Beside`](super::Beside): where it removes what the
/// file says as well, that of the file takes the place at once. Clones are one.
///
/// ```
/// use mesh_core::model::WorkloadSpec;
/// use mesh_core::store::MeshStore;
/// use mesh_xds::local::{Merger, parse};
///
/// let store = MeshStore::new();
/// store.replace_all(vec![WorkloadSpec { uid: "other".into(), ..Default::default() }], vec![]);
/// let merger = Merger::default();
/// let text = "workloads: [{uid: own, namespace: ns, workloadIps: [10.0.0.1], services: {}}]";
/// merger.merge(&store, None, parse(text, "mesh.yaml")?, "mesh.yaml")?;
/// assert_eq!(store.snapshot().workload_count(), 2);
/// merger.merge(&store, None, parse("{}", "mesh.yaml")?, "mesh.yaml")?;
/// assert!(store.snapshot().workload("other").is_some());
/// # Ok::<(), mesh_xds::local::LocalError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Merger(Arc<Mutex<Merged>>);

/// What the file says, and what of it is in the stores.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) policies: Placed<Policy, PolicySpec>,
    pub(super) services: Placed<Arc<Service>, ServiceSpec>,
    pub(super) workloads: Placed<Arc<Workload>, WorkloadSpec>,
}

/// What the file says of one kind, and what it has put into a store, as it is there.
#[derive(Debug)]
pub(super) struct Placed<R, S> {
    says: HashMap<Name, S>,
    there: HashMap<Name, R>,
}

/// A record in a store, which is never changed in place.
pub(super) trait Record {
    /// Whether both are one record, and not only equal.
    fn is(&self, other: &Self) -> bool;
}

impl<T> Record for Arc<T> {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(self, other)
    }
}

impl Record for Policy {
    fn is(&self, other: &Self) -> bool {
        self.version() == other.version()
    }
}

impl<R, S> Default for Placed<R, S> {
    fn default() -> Self {
        Self {
            says: HashMap::new(),
            there: HashMap::new(),
        }
    }
}

impl<R: Record, S: Clone> Placed<R, S> {
    /// What the file says about a key.
    pub(super) fn says(&self, key: &str) -> Option<&S> {
        self.says.get(key)
    }

    /// What the file says has been put into a store.
    pub(super) fn put(&mut self, key: Name, present: Option<R>) {
        self.there.extend(present.map(|present| (key, present)));
    }

    /// What the file says, without what another source has under the same key.
    fn own(
        &mut self,
        specs: Vec<S>,
        key: impl Fn(&S) -> Name,
        present: impl Fn(&str) -> Option<R>,
    ) -> Vec<(Name, S)> {
        let specs: Vec<_> = specs.into_iter().map(|spec| (key(&spec), spec)).collect();
        self.says = specs.iter().cloned().collect();
        let own = specs.into_iter().filter(|(key, _)| {
            let foreign = present(key).is_some_and(|present| !self.has(key, &present));
            if foreign {
                let key = key.as_str();
                tracing::warn!(
                    key,
                    "also in the local file: that of the other source stays"
                );
            }
            !foreign
        });
        own.collect()
    }

    /// Keys that the file has no more, of which its own is still there.
    fn gone(&self, own: &[(Name, S)], present: impl Fn(&str) -> Option<R>) -> Vec<Name> {
        let keys: HashSet<&Name> = own.iter().map(|(key, _)| key).collect();
        let gone = self.there.keys().filter(|key| !keys.contains(key));
        let own = gone.filter(|key| present(key).is_some_and(|present| self.has(key, &present)));
        own.cloned().collect()
    }

    fn has(&self, key: &str, present: &R) -> bool {
        self.there.get(key).is_some_and(|own| own.is(present))
    }

    fn placed(&mut self, keys: Vec<Name>, present: impl Fn(&str) -> Option<R>) {
        self.there.clear();
        for key in keys {
            let present = present(&key);
            self.put(key, present);
        }
    }
}

fn keys<S>(own: &[(Name, S)]) -> Vec<Name> {
    own.iter().map(|(key, _)| key.clone()).collect()
}

fn upserts<S>(own: Vec<(Name, S)>) -> impl Iterator<Item = Update<S>> {
    own.into_iter().map(|(_, spec)| Update::Upsert(spec))
}

pub(super) fn service(mesh: &MeshSnapshot, key: &str) -> Option<Arc<Service>> {
    let (namespace, hostname) = key.split_once('/')?;
    mesh.service(namespace, hostname).cloned()
}

impl Merger {
    /// Makes the stores hold what the configuration says, and no longer what the last one said
    /// beyond that; `file_name` is what errors call it.
    ///
    /// # Errors
    /// [`LocalError::Policies`] when there are policies and no store for them. Nothing is taken
    /// over then.
    pub fn merge(
        &self,
        mesh: &MeshStore,
        policies: Option<&PolicyStore>,
        config: LocalConfig,
        file_name: &str,
    ) -> Result<Loaded, LocalError> {
        if policies.is_none() && !config.policies.is_empty() {
            let file = file_name.to_owned();
            return Err(LocalError::Policies { file });
        }
        let loaded = Loaded {
            workloads: config.workloads.len(),
            services: config.services.len(),
            policies: config.policies.len(),
        };
        let mut merged = self.0.lock();
        let merged = &mut *merged;
        if let Some(policies) = policies {
            let present = |key: &str| policies.index().policy(key).cloned();
            let own = merged
                .policies
                .own(config.policies, |policy| policy.key(), present);
            let (gone, keys) = (merged.policies.gone(&own, present), keys(&own));
            let gone = gone.into_iter().map(Update::Remove);
            // None is rejected: each was checked when the configuration was made.
            let _ = policies.apply(gone.chain(upserts(own)).collect());
            merged.policies.placed(keys, present);
        }

        let before = mesh.snapshot();
        let present = |key: &str| service(&before, key);
        let key = |spec: &ServiceSpec| Name::from(format!("{}/{}", spec.namespace, spec.hostname));
        let services = merged.services.own(config.services, key, present);
        let mut batch = Batch::default();
        let gone = merged.services.gone(&services, present);
        batch.services.extend(gone.into_iter().map(Update::Remove));
        let present = |uid: &str| before.workload(uid).cloned();
        let key = |spec: &WorkloadSpec| spec.uid.clone();
        let workloads = merged.workloads.own(config.workloads, key, present);
        let gone = merged.workloads.gone(&workloads, present);
        batch.workloads.extend(gone.into_iter().map(Update::Remove));
        let (service_keys, uids) = (keys(&services), keys(&workloads));
        batch.services.extend(upserts(services));
        batch.workloads.extend(upserts(workloads));
        mesh.apply(batch);
        let after = mesh.snapshot();
        merged
            .services
            .placed(service_keys, |key| service(&after, key));
        merged
            .workloads
            .placed(uids, |uid| after.workload(uid).cloned());
        Ok(loaded)
    }

    pub(super) fn lock(&self) -> parking_lot::MutexGuard<'_, Merged> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests;
