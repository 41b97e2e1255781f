//! What the objects do not say about the mesh.

use mesh_authz::kube::Settings;
use mesh_core::identity::TrustDomain;
use mesh_core::name::Name;

/// What the objects do not say about the mesh.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MeshOptions {
    /// The cluster that the objects are of; default `Kubernetes`.
    pub cluster_id: Name,
    /// The trust domain of all workloads; default `cluster.local`.
    pub trust_domain: TrustDomain,
    /// What the host names of Kubernetes services end with; default `cluster.local`.
    pub domain: Name,
    /// How policies are read, and the namespace whose policies apply everywhere.
    pub policies: Settings,
    /// The network of what says none, and of a root namespace without `topology.istio.io/network`; default the
    /// default network, which has an empty name.
    pub network: Name,
}

impl MeshOptions {
    /// The defaults, with a trust domain.
    #[must_use]
    pub fn new(trust_domain: TrustDomain) -> Self {
        Self {
            cluster_id: "Kubernetes".into(),
            trust_domain,
            domain: "cluster.local".into(),
            policies: Settings::default(),
            network: Name::default(),
        }
    }
}
