//! The mesh as a directory of manifests describes it.

use std::sync::Arc;

use mesh_authz::store::PolicyStore;
use mesh_core::store::MeshStore;
use mesh_xds::local::Merger;
use mesh_xds::manifest::{ManifestSource, MeshOptions, Problem, Report};

use super::local::say_loaded;
use crate::config::{LocalMesh, Settings};
use crate::telemetry::Metrics;

/// Fills the stores for the first time; the directory, if there is one, is then to be watched.
///
/// # Errors
/// [`Problem`] when the directory is not there, or has a file or a policy that is not right.
pub(super) fn load(
    settings: &Settings,
    store: &Arc<MeshStore>,
    policies: &Arc<PolicyStore>,
    merger: &Merger,
) -> Result<Option<ManifestSource>, Problem> {
    let Some(LocalMesh::Manifests(path, interval)) = &settings.local else {
        return Ok(None);
    };
    let mut source = ManifestSource::new(path, options(settings), store.clone())
        .policies(policies.clone())
        .beside_others(merger)
        .interval(*interval);
    let report = source.first_look()?;
    say(settings, store, &report);
    Ok(Some(source))
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
    metrics: Arc<Metrics>,
) {
    let report = |report: Report| {
        metrics.count_reload(report.rejected.is_empty());
        say(&settings, &store, &report);
    };
    source.watch(report).await;
}

fn say(settings: &Settings, store: &MeshStore, report: &Report) {
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
