//! A local file beside other sources of configuration.

use std::collections::HashSet;

use mesh_authz::store::PolicyStore;
use mesh_core::name::Name;
use mesh_core::store::{Batch, MeshStore, Update};

use super::config::{Loaded, LocalConfig};
use super::error::LocalError;

/// Keeps what one file says in stores that other sources fill as well.
///
/// It remembers what it has put there and removes no more than that. Where two sources have a
/// resource of the same name, the last to speak is heard.
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
    /// Keys of the workloads and services, and of the policies.
    mesh: HashSet<Name>,
    policies: HashSet<Name>,
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
        let keys: HashSet<Name> = config.policies.iter().map(|policy| policy.key()).collect();
        let gone = self.policies.difference(&keys).cloned();
        let mut updates: Vec<_> = gone.map(Update::Remove).collect();
        updates.extend(config.policies.into_iter().map(Update::Upsert));
        self.policies = keys;
        if let Some(policies) = policies {
            // None is rejected: each was checked when the configuration was made.
            let _ = policies.apply(updates);
        }

        let services = config.services.iter();
        let services =
            services.map(|spec| Name::from(format!("{}/{}", spec.namespace, spec.hostname)));
        let keys: HashSet<Name> = config
            .workloads
            .iter()
            .map(|spec| spec.uid.clone())
            .chain(services)
            .collect();
        let mut batch = Batch::default();
        batch.removals = self.mesh.difference(&keys).cloned().collect();
        batch.services = config.services.into_iter().map(Update::Upsert).collect();
        batch.workloads = config.workloads.into_iter().map(Update::Upsert).collect();
        self.mesh = keys;
        mesh.apply(batch);
        Ok(loaded)
    }
}
