//! The mesh as a directory of manifests describes it.

use std::sync::Arc;

use mesh_authz::store::PolicyStore;
use mesh_core::store::MeshStore;
use mesh_xds::local::Merger;
use mesh_xds::manifest::{ManifestSource, MeshOptions, Problem, Report, RouteOptions};

use super::local::say_loaded;
use crate::config::{LocalMesh, Settings};
use crate::telemetry::Metrics;
use crate::traffic::Traffic;

/// Fills the stores for the first time; the directory, if there is one, is then to be watched.
///
/// # Errors
/// [`Problem`] when the directory is not there, or has a file or a policy that is not right.
pub(super) fn load(
    settings: &Settings,
    store: &Arc<MeshStore>,
    policies: &Arc<PolicyStore>,
    merger: &Merger,
) -> Result<Option<(ManifestSource, Traffic)>, Problem> {
    let Some(LocalMesh::Manifests(path, interval)) = &settings.local else {
        return Ok(None);
    };
    let mut source = ManifestSource::new(path, options(settings), store.clone())
        .policies(policies.clone())
        .routes(RouteOptions::new(settings.workload.namespace.clone()))
        .beside_others(merger)
        .interval(*interval);
    let report = source.first_look()?;
    let traffic = Traffic::new(store);
    take(settings, store, &traffic, &report);
    Ok(Some((source, traffic)))
}

fn options(settings: &Settings) -> MeshOptions {
    let mut options = MeshOptions::new(settings.trust_domain.clone());
    options.cluster_id = settings.cluster_id.clone();
    options.network = settings.network.clone();
    options
}

/// Keeps the stores up to date until the process ends.
pub(super) async fn watch(
    source: ManifestSource,
    settings: Arc<Settings>,
    store: Arc<MeshStore>,
    traffic: Traffic,
    metrics: Arc<Metrics>,
) {
    let report = |report: Report| {
        metrics.count_reload(report.rejected.is_empty());
        take(&settings, &store, &traffic, &report);
    };
    source.watch(report).await;
}

fn take(settings: &Settings, store: &MeshStore, traffic: &Traffic, report: &Report) {
    if let Some(routing) = &report.routing {
        traffic.take(&report.inventory, routing, &options(settings).domain);
    }
    for problem in &report.rejected {
        tracing::error!(
            problem = %problem,
            "manifest not accepted, the last good state stays in force"
        );
    }
    for note in &report.notes {
        tracing::warn!(note = %note, "manifest accepted with a note");
    }
    say_loaded(settings, store, report.loaded);
}
