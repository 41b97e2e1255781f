//! One end of a request or connection as labels show it.

use mesh_core::baggage::Baggage;
use mesh_core::model::Workload;

/// One end: a workload of the mesh, or what its proxy said about it. Empty texts are not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End<'a> {
    /// Name of the owner, such as the deployment.
    pub(super) workload: &'a str,
    pub(super) namespace: &'a str,
    pub(super) canonical_name: &'a str,
    pub(super) canonical_revision: &'a str,
    pub(super) cluster: &'a str,
}

impl<'a> End<'a> {
    /// The workload, else what its proxy said, else nothing.
    pub(super) fn of(workload: Option<&'a Workload>, baggage: Option<&'a Baggage>) -> Self {
        match (workload, baggage) {
            (Some(workload), _) => Self {
                workload: workload.workload_name(),
                namespace: workload.namespace(),
                canonical_name: workload.canonical_name(),
                canonical_revision: workload.canonical_revision(),
                cluster: workload.cluster_id(),
            },
            (None, Some(baggage)) => Self {
                workload: &baggage.workload_name,
                namespace: &baggage.namespace,
                canonical_name: &baggage.canonical_name,
                canonical_revision: &baggage.canonical_revision,
                cluster: &baggage.cluster_id,
            },
            (None, None) => Self::default(),
        }
    }
}
