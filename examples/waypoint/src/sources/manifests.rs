//! The directory of manifests, read and watched.

use std::path::Path;
use std::sync::Arc;

use mesh_xds::local::Merger;
use mesh_xds::manifest::{ManifestSource, MeshOptions, Problem, Report, RouteOptions};

use crate::config::Settings;
use crate::mesh::Mesh;
use crate::mesh_config::MeshConfigKind;

/// Reads the directory for the first time; it is then to be watched.
///
/// # Errors
/// [`Problem`] when the directory is not there, or has a file or a policy that is not right.
pub(super) fn load(
    directory: &Path,
    settings: &Settings,
    mesh: &Mesh,
    merger: &Merger,
) -> Result<ManifestSource, Problem> {
    let mut options = MeshOptions::new(settings.trust_domain.clone());
    options.cluster_id = settings.cluster_id.clone();
    options.network = settings.network.clone();
    options.domain = settings.node.domain.as_str().into();
    let routes = RouteOptions::new(settings.workload.namespace.clone());
    let root = options.policies.root_namespace.clone();
    let mut source = ManifestSource::new(directory, options, mesh.store.clone())
        .routes(routes)
        .kinds(Arc::new(MeshConfigKind { root }))
        .beside_others(merger)
        .interval(settings.interval);
    let report = source.first_look()?;
    take(settings, mesh, &report);
    Ok(source)
}

/// Keeps what is known up to date until the process ends.
pub(super) async fn watch(source: ManifestSource, settings: Arc<Settings>, mesh: Arc<Mesh>) {
    source
        .watch(move |report| take(&settings, &mesh, &report))
        .await;
}

fn take(settings: &Settings, mesh: &Mesh, report: &Report) {
    mesh.take(settings, report);
    for problem in &report.rejected {
        tracing::error!(%problem, "manifest not accepted, the last good state stays in force");
    }
    for note in &report.notes {
        tracing::warn!(%note, "manifest accepted with a note");
    }
    let routing = report.routing.as_ref();
    let routes = routing.map_or(0, |routing| routing.table.len());
    tracing::info!(
        workloads = report.loaded.workloads,
        services = report.loaded.services,
        routes,
        "manifests in force"
    );
}
