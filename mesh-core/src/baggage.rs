//! The `baggage` header: what a proxy says about its workload.

use crate::name::Name;

/// A workload as its proxy describes it in the `baggage` header. Empty names are not known.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data of a header")]
pub struct Baggage {
    /// `k8s.cluster.name`.
    pub cluster_id: Name,
    /// `k8s.namespace.name`.
    pub namespace: Name,
    /// Which of the `k8s.<type>.name` keys carries the workload name.
    pub workload_type: crate::model::WorkloadType,
    /// `k8s.<type>.name`.
    pub workload_name: Name,
    /// `service.name`.
    pub canonical_name: Name,
    /// `service.version`.
    pub canonical_revision: Name,
    /// `cloud.region`.
    pub region: Name,
    /// `cloud.availability_zone`.
    pub zone: Name,
}
