//! Where the description of the mesh comes from, and keeping it up to date.

use std::sync::Arc;

use mesh_core::store::MeshStore;
use mesh_xds::local::{Loaded, LocalError, LocalSource, parse, replace};

use crate::config::MeshSource;
use crate::telemetry::Metrics;

/// Fills the store for the first time; the file, if it is one, is then to be watched.
///
/// # Errors
/// [`LocalError`] when the description is not there or not right: there is no earlier state to
/// stay with.
pub(crate) fn load(
    source: &MeshSource,
    store: &Arc<MeshStore>,
) -> Result<Option<LocalSource>, LocalError> {
    match source {
        MeshSource::Inline(text) => {
            log_loaded(replace(store, parse(text, "LOCAL_XDS")?));
            Ok(None)
        }
        MeshSource::File(path, interval) => {
            let mut source = LocalSource::new(path, store.clone()).interval(*interval);
            if let Some(loaded) = source.look() {
                log_loaded(loaded?);
            }
            Ok(Some(source))
        }
    }
}

/// Keeps the store up to date until the process ends.
pub(crate) async fn watch(source: LocalSource, metrics: Arc<Metrics>) {
    let report = |change: Result<Loaded, LocalError>| {
        metrics.count_reload(change.is_ok());
        match change {
            Ok(loaded) => log_loaded(loaded),
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

fn log_loaded(loaded: Loaded) {
    tracing::info!(
        workloads = loaded.workloads,
        services = loaded.services,
        "mesh loaded"
    );
}
