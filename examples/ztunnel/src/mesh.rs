//! Where the description of the mesh comes from, and keeping it up to date.

mod local;
mod manifests;
mod problem;
mod xds;

use std::sync::Arc;

use mesh_authz::store::PolicyStore;
use mesh_core::store::MeshStore;
use mesh_hbone::proxy::MeshTraffic;
use mesh_xds::ads::Demand;
use mesh_xds::control::ControlError;
use mesh_xds::local::{LocalError, Merger};
use mesh_xds::manifest::Problem;
use tokio::sync::watch;

use crate::config::Settings;
use crate::telemetry::Metrics;

/// Why there is no description of the mesh.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Manifest(#[from] Problem),
    #[error("the settings of the control plane cannot be used")]
    ControlPlane(#[from] ControlError),
}

/// Whether the mesh is known as far as it has to be before connections are carried.
#[derive(Debug)]
pub(crate) struct Synced(Option<watch::Receiver<bool>>);

/// The description of the mesh as it comes.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) synced: Synced,
    pub(crate) source: Source,
}

/// What the workers have from where the mesh comes from.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Where what is not known of the mesh can be had.
    pub(crate) demand: Option<Demand>,
    /// What manifests want of connections to services.
    pub(crate) traffic: Option<Arc<MeshTraffic>>,
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
) -> Result<Mesh, StartError> {
    let merger = Merger::default();
    if let Some(file) = local::load(settings, store, policies, &merger)? {
        let (settings, store, metrics) = (settings.clone(), store.clone(), metrics.clone());
        tokio::spawn(local::watch(file, settings, store, metrics));
    }
    let mut source = Source::default();
    if let Some((directory, traffic)) = manifests::load(settings, store, policies, &merger)? {
        metrics.upstreams().show(&traffic.policy);
        source.traffic = Some(traffic.policy.clone());
        let (settings, store, metrics) = (settings.clone(), store.clone(), metrics.clone());
        tokio::spawn(manifests::watch(
            directory, settings, store, traffic, metrics,
        ));
    }
    let Some(control_plane) = &settings.xds else {
        return Ok(Mesh {
            synced: Synced(None),
            source,
        });
    };
    let (synced, demand) =
        xds::start(control_plane, settings, (store, policies), &merger, metrics)?;
    source.demand = demand;
    Ok(Mesh {
        synced: Synced(Some(synced)),
        source,
    })
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
