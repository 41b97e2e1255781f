//! The mesh as the machine itself describes it: a file that is watched, or a text.

use std::sync::Arc;

use mesh_authz::store::PolicyStore;
use mesh_core::store::MeshStore;
use mesh_xds::local::{Loaded, LocalError, LocalSource, Merger, parse, replace};

use super::problem::problem_with_local;
use crate::config::{LocalMesh, Settings};
use crate::telemetry::Metrics;

/// Fills the store for the first time; the file, if there is one, is then to be watched.
///
/// # Errors
/// [`LocalError`] when the description is not there or not right.
pub(super) fn load(
    settings: &Settings,
    store: &Arc<MeshStore>,
    policies: &Arc<PolicyStore>,
    merger: &Merger,
) -> Result<Option<LocalSource>, LocalError> {
    // What the control plane knows is not the file's to remove.
    let beside = settings.xds.is_some();
    match &settings.local {
        None | Some(LocalMesh::Manifests(..)) => Ok(None),
        Some(LocalMesh::Inline(text)) => {
            let (name, config) = ("LOCAL_XDS", parse(text, "LOCAL_XDS")?);
            let loaded = if beside {
                merger.merge(store, Some(policies), config, name)?
            } else {
                replace(store, Some(policies), config, name)?
            };
            say_loaded(settings, store, loaded);
            Ok(None)
        }
        Some(LocalMesh::File(path, interval)) => {
            let source = LocalSource::new(path, store.clone())
                .policies(policies.clone())
                .interval(*interval);
            let mut source = if beside {
                source.beside_others(merger)
            } else {
                source
            };
            say_loaded(settings, store, source.first_look()?);
            Ok(Some(source))
        }
    }
}

/// Keeps the store up to date until the process ends.
pub(super) async fn watch(
    source: LocalSource,
    settings: Arc<Settings>,
    store: Arc<MeshStore>,
    metrics: Arc<Metrics>,
) {
    let report = |change: Result<Loaded, LocalError>| {
        metrics.count_reload(change.is_ok());
        match change {
            Ok(loaded) => say_loaded(&settings, &store, loaded),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "mesh not reloaded, the last good state stays in force"
                );
            }
        }
    };
    source.watch(report).await;
}

pub(super) fn say_loaded(settings: &Settings, store: &MeshStore, loaded: Loaded) {
    tracing::info!(
        workloads = loaded.workloads,
        services = loaded.services,
        policies = loaded.policies,
        "mesh loaded"
    );
    if let Some(problem) = problem_with_local(settings, store) {
        tracing::warn!(problem, "the workload of this proxy cannot be served");
    }
}
