//! Where the description of the mesh comes from, and keeping it up to date.

mod local;
mod problem;

use std::sync::Arc;

use mesh_authz::store::PolicyStore;
use mesh_core::store::MeshStore;
use mesh_xds::local::LocalError;

use crate::config::Settings;
use crate::telemetry::Metrics;

/// Why there is no description of the mesh.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error("this version cannot ask the control plane at {0}, set LOCAL_XDS_PATH to a file")]
    NotYet(String),
}

/// Fills the stores, as far as that needs no waiting, and keeps them up to date on the current runtime.
///
/// # Errors
/// [`StartError`] when a local description is not there or not right: there is no earlier state to
/// stay with.
pub(crate) fn start(
    settings: &Arc<Settings>,
    store: &Arc<MeshStore>,
    policies: &Arc<PolicyStore>,
    metrics: &Arc<Metrics>,
) -> Result<(), StartError> {
    if let Some(xds) = &settings.xds {
        return Err(StartError::NotYet(xds.server.address.clone()));
    }
    if let Some(file) = local::load(settings, store, policies)? {
        let (settings, store, metrics) = (settings.clone(), store.clone(), metrics.clone());
        tokio::spawn(local::watch(file, settings, store, metrics));
    }
    Ok(())
}
