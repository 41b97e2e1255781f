//! A local file beside other sources of configuration.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mesh_authz::Policy;
use mesh_authz::store::PolicyStore;
use mesh_core::model::{Service, ServiceSpec, Workload, WorkloadSpec};
use mesh_core::name::Name;
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::store::{Batch, MeshStore, Update};

use super::config::{Loaded, LocalConfig};
use super::error::LocalError;

/// Keeps what one file says in stores that other sources fill as well.
///
/// It remembers what it has put there, and changes and removes nothing else: what another source
/// has under the same name stays, with a warning in the log, and so does what another source has put in
/// the place of the file's. Only where another source says the very same as the file did before,
/// the two cannot be told apart, and it goes with the file's.
///
/// ```
/// use mesh_core::model::WorkloadSpec;
/// use mesh_core::store::MeshStore;
/// use mesh_xds::local::{Merger, parse};
///
/// let store = MeshStore::new();
/// store.replace_all(vec![WorkloadSpec { uid: "other".into(), ..Default::default() }], vec![]);
/// let mut merger = Merger::default();
/// let text = "workloads: [{uid: own, namespace: ns, workloadIps: [10.0.0.1], services: {}}]";
/// merger.merge(&store, None, parse(text, "mesh.yaml")?, "mesh.yaml")?;
/// assert_eq!(store.snapshot().workload_count(), 2);
/// merger.merge(&store, None, parse("{}", "mesh.yaml")?, "mesh.yaml")?;
/// assert!(store.snapshot().workload("other").is_some());
/// # Ok::<(), mesh_xds::local::LocalError>(())
/// ```
#[derive(Debug, Default)]
pub struct Merger {
    policies: Placed<Policy>,
    services: Placed<Service>,
    workloads: Placed<Workload>,
}

/// What the file has put into a store, as it is there.
#[derive(Debug)]
struct Placed<R>(HashMap<Name, Arc<R>>);

impl<R> Default for Placed<R> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<R> Placed<R> {
    /// What the file says, without what another source has under the same key.
    fn own<S>(
        &self,
        specs: Vec<S>,
        key: impl Fn(&S) -> Name,
        present: impl Fn(&str) -> Option<Arc<R>>,
    ) -> Vec<(Name, S)> {
        let specs = specs.into_iter().map(|spec| (key(&spec), spec));
        let own = specs.filter(|(key, _)| {
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
    fn gone<S>(&self, own: &[(Name, S)], present: impl Fn(&str) -> Option<Arc<R>>) -> Vec<Name> {
        let keys: HashSet<&Name> = own.iter().map(|(key, _)| key).collect();
        let gone = self.0.keys().filter(|key| !keys.contains(key));
        let own = gone.filter(|key| present(key).is_some_and(|present| self.has(key, &present)));
        own.cloned().collect()
    }

    fn has(&self, key: &str, present: &Arc<R>) -> bool {
        self.0.get(key).is_some_and(|own| Arc::ptr_eq(own, present))
    }

    fn of(keys: Vec<Name>, present: impl Fn(&str) -> Option<Arc<R>>) -> Self {
        let placed = keys.into_iter().filter_map(|key| {
            let resource = present(&key)?;
            Some((key, resource))
        });
        Self(placed.collect())
    }
}

fn keys<S>(own: &[(Name, S)]) -> Vec<Name> {
    own.iter().map(|(key, _)| key.clone()).collect()
}

fn upserts<S>(own: Vec<(Name, S)>) -> impl Iterator<Item = Update<S>> {
    own.into_iter().map(|(_, spec)| Update::Upsert(spec))
}

fn service(mesh: &MeshSnapshot, key: &str) -> Option<Arc<Service>> {
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
        &mut self,
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
        if let Some(policies) = policies {
            let present = |key: &str| policies.index().policy(key).cloned();
            let own = self
                .policies
                .own(config.policies, |policy| policy.key(), present);
            let (gone, keys) = (self.policies.gone(&own, present), keys(&own));
            let gone = gone.into_iter().map(Update::Remove);
            // None is rejected: each was checked when the configuration was made.
            let _ = policies.apply(gone.chain(upserts(own)).collect());
            self.policies = Placed::of(keys, present);
        }

        let before = mesh.snapshot();
        let present = |key: &str| service(&before, key);
        let key = |spec: &ServiceSpec| Name::from(format!("{}/{}", spec.namespace, spec.hostname));
        let services = self.services.own(config.services, key, present);
        let mut batch = Batch::default();
        let gone = self.services.gone(&services, present);
        batch.services.extend(gone.into_iter().map(Update::Remove));
        let present = |uid: &str| before.workload(uid).cloned();
        let key = |spec: &WorkloadSpec| spec.uid.clone();
        let workloads = self.workloads.own(config.workloads, key, present);
        let gone = self.workloads.gone(&workloads, present);
        batch.workloads.extend(gone.into_iter().map(Update::Remove));
        let (service_keys, uids) = (keys(&services), keys(&workloads));
        batch.services.extend(upserts(services));
        batch.workloads.extend(upserts(workloads));
        mesh.apply(batch);
        let after = mesh.snapshot();
        self.services = Placed::of(service_keys, |key| service(&after, key));
        self.workloads = Placed::of(uids, |uid| after.workload(uid).cloned());
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests;
