//! What is known of the mesh, read for the first time and then kept up to date.

mod manifests;
mod xds;

use std::sync::Arc;

use mesh_xds::control::ControlError;
use mesh_xds::local::Merger;
use mesh_xds::manifest::Problem;
use tokio::sync::watch;

use crate::config::Settings;
use crate::mesh::Mesh;

/// Why there is no description of the mesh.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Manifest(#[from] Problem),
    #[error("the settings of the control plane cannot be used")]
    ControlPlane(#[from] ControlError),
}

/// Whether the mesh is known as far as it has to be before connections are carried.
#[derive(Debug)]
pub(crate) struct Synced(Option<watch::Receiver<bool>>);

/// Reads what needs no waiting, and keeps everything up to date on the current runtime.
///
/// # Errors
/// [`StartError`] when manifests are not there or not right: there is no earlier state to stay with.
pub(crate) fn start(settings: &Arc<Settings>, mesh: &Arc<Mesh>) -> Result<Synced, StartError> {
    let merger = Merger::default();
    if let Some(directory) = &settings.manifests {
        let source = manifests::load(directory, settings, mesh, &merger)?;
        tokio::spawn(manifests::watch(source, settings.clone(), mesh.clone()));
    }
    let Some(control_plane) = &settings.xds else {
        return Ok(Synced(None));
    };
    let synced = xds::start(control_plane, settings, &mesh.store, &merger)?;
    tokio::spawn(follow(settings.clone(), mesh.clone()));
    Ok(Synced(Some(synced)))
}

/// Reads manifests once, for those who have no runtime.
///
/// # Errors
/// [`StartError`] when manifests are not there or not right.
pub(crate) fn read_once(settings: &Settings, mesh: &Mesh) -> Result<(), StartError> {
    if let Some(directory) = &settings.manifests {
        manifests::load(directory, settings, mesh, &Merger::default())?;
    }
    Ok(())
}

/// Takes over what becomes of the store, whoever fills it.
async fn follow(settings: Arc<Settings>, mesh: Arc<Mesh>) {
    let mut store = mesh.store.watch();
    while store.changed().await.is_ok() {
        mesh.refresh(&settings);
    }
}

impl Synced {
    /// Waits until the mesh is known: until what the control plane said first is applied, rejected
    /// resources or not.
    pub(crate) async fn wait(self) {
        let Some(mut synced) = self.0 else { return };
        if !*synced.borrow() {
            tracing::info!("waiting for the control plane");
        }
        if synced.wait_for(|synced| *synced).await.is_err() {
            // The client of the control plane ends with the process only.
            std::future::pending::<()>().await;
        }
    }
}
