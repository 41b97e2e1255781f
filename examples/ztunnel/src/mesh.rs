//! Where the description of the mesh comes from, and keeping it up to date.

use std::sync::Arc;

use mesh_core::store::MeshStore;
use mesh_xds::local::{Loaded, LocalError, LocalSource, parse, replace};

use crate::config::{MeshSource, Settings};
use crate::telemetry::Metrics;

/// Fills the store for the first time; the file, if it is one, is then to be watched.
///
/// # Errors
/// [`LocalError`] when the description is not there or not right: there is no earlier state to
/// stay with.
pub(crate) fn load(
    settings: &Settings,
    store: &Arc<MeshStore>,
) -> Result<Option<LocalSource>, LocalError> {
    match &settings.mesh {
        MeshSource::Inline(text) => {
            say_loaded(settings, store, replace(store, parse(text, "LOCAL_XDS")?));
            Ok(None)
        }
        MeshSource::File(path, interval) => {
            let mut source = LocalSource::new(path, store.clone()).interval(*interval);
            if let Some(loaded) = source.look() {
                say_loaded(settings, store, loaded?);
            }
            Ok(Some(source))
        }
    }
}

/// Keeps the store up to date until the process ends.
pub(crate) async fn watch(
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

fn say_loaded(settings: &Settings, store: &MeshStore, loaded: Loaded) {
    tracing::info!(
        workloads = loaded.workloads,
        services = loaded.services,
        "mesh loaded"
    );
    if let Some(problem) = problem_with_local(settings, store) {
        tracing::warn!(problem, "the workload of this proxy cannot be served");
    }
}

/// What would keep every connection of the own workload from being carried.
fn problem_with_local(settings: &Settings, store: &MeshStore) -> Option<&'static str> {
    let info = &settings.workload;
    let node = settings.node.as_deref();
    let snapshot = store.snapshot();
    let found = snapshot.local_workload(&info.namespace, &info.name, &info.service_account, node);
    let Some(workload) = found else {
        return Some(
            "the mesh has no workload with the namespace, name and service account of \
             PROXY_WORKLOAD_INFO on the node NODE_NAME",
        );
    };
    let workload_domain: &str = workload.trust_domain().as_ref();
    let workload_network: &str = workload.network().as_ref();
    if workload_domain != settings.trust_domain.as_str() {
        return Some("its trust domain is not TRUST_DOMAIN");
    }
    if workload_network != settings.network.as_str() {
        return Some("its network is not NETWORK");
    }
    None
}
