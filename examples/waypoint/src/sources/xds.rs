//! The mesh as a control plane describes it.

use std::sync::Arc;

use mesh_core::store::MeshStore;
use mesh_xds::ads::{AdsClient, AdsError, AdsObserver, Termination};
use mesh_xds::control::ControlError;
use mesh_xds::convert::Addresses;
use mesh_xds::delta::{Received, Subscription};
use mesh_xds::local::{Beside, Merger};
use process::control_plane::XdsSettings;
use tokio::sync::watch;

use crate::config::Settings;

/// Follows the control plane's workloads and services on the current runtime. The watch turns true when
/// everything that there is to know at first is known.
///
/// # Errors
/// [`ControlError`] when a setting cannot be used.
pub(crate) fn start(
    xds: &XdsSettings,
    settings: &Settings,
    store: &Arc<MeshStore>,
    merger: &Merger,
) -> Result<watch::Receiver<bool>, ControlError> {
    let endpoint = xds.server.endpoint(&settings.token, &settings.cluster_id)?;
    let (synced, is_synced) = watch::channel(false);
    let addresses = Addresses::new(Beside::new(store.clone(), merger));
    let client = AdsClient::builder(endpoint, settings.node.identity("waypoint"))
        .subscribe(Subscription::new(addresses))
        .observer(Observer {
            store: store.clone(),
            synced,
        })
        .build();
    tokio::spawn(client.run());
    Ok(is_synced)
}

/// Says what the client does.
struct Observer {
    store: Arc<MeshStore>,
    synced: watch::Sender<bool>,
}

impl AdsObserver for Observer {
    fn received(&self, received: &Received, _: usize) {
        for rejected in &received.rejected {
            tracing::error!(
                ?rejected,
                "resource not accepted, the last good one stays in force"
            );
        }
    }

    fn synced(&self) {
        let mesh = self.store.snapshot();
        tracing::info!(
            workloads = mesh.workload_count(),
            services = mesh.service_count(),
            "mesh synchronized"
        );
        self.synced.send_replace(true);
    }

    fn terminated(&self, reason: Termination, error: Option<&AdsError>) {
        let error = error.map(|error| error as &(dyn std::error::Error + 'static));
        tracing::debug!(?reason, error, "stream to the control plane ended");
    }
}
