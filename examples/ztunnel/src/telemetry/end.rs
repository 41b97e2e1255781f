//! One end of a connection as labels and log lines show it.

use mesh_core::baggage::Baggage;
use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;
use mesh_core::telemetry::Connection;

/// One end of a connection: a workload of the mesh, or what its proxy said about it. Empty texts
/// are not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End<'a> {
    /// Name of the owner, such as the deployment.
    pub(super) workload: &'a str,
    /// Pod name; empty when only baggage is known.
    pub(super) pod: &'a str,
    pub(super) namespace: &'a str,
    pub(super) canonical_name: &'a str,
    pub(super) canonical_revision: &'a str,
    pub(super) cluster: &'a str,
    pub(super) region: &'a str,
    pub(super) zone: &'a str,
}

impl<'a> End<'a> {
    /// The client: its workload, else what its proxy said.
    pub(super) fn source(connection: &'a Connection) -> Option<Self> {
        let workload = connection.source.as_deref().map(Self::of_workload);
        workload.or_else(|| connection.source_baggage.as_deref().map(Self::of_baggage))
    }

    /// The server: what its proxy said where that replaces the workload, else its workload.
    pub(super) fn destination(connection: &'a Connection) -> Option<Self> {
        let baggage = connection.destination_baggage.as_deref();
        baggage
            .map(Self::of_baggage)
            .or_else(|| connection.destination.as_deref().map(Self::of_workload))
    }

    pub(super) fn of_workload(workload: &'a Workload) -> Self {
        Self {
            workload: workload.workload_name(),
            pod: workload.name(),
            namespace: workload.namespace(),
            canonical_name: workload.canonical_name(),
            canonical_revision: workload.canonical_revision(),
            cluster: workload.cluster_id(),
            region: &workload.locality().region,
            zone: &workload.locality().zone,
        }
    }

    fn of_baggage(baggage: &'a Baggage) -> Self {
        Self {
            workload: &baggage.workload_name,
            pod: "",
            namespace: &baggage.namespace,
            canonical_name: &baggage.canonical_name,
            canonical_revision: &baggage.canonical_revision,
            cluster: &baggage.cluster_id,
            region: &baggage.region,
            zone: &baggage.zone,
        }
    }

    /// What the access log calls the workload: the pod, else its canonical name.
    pub(super) fn log_name(&self) -> Option<&'a str> {
        [self.pod, self.canonical_name]
            .into_iter()
            .find(|name| !name.is_empty())
    }
}

/// The server's identity: the one TLS knows, else the one its workload has.
pub(super) fn destination_identity(connection: &Connection) -> Option<SpiffeId> {
    connection
        .destination_identity
        .clone()
        .or_else(|| connection.destination.as_ref()?.identity())
}
