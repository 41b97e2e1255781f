//! Which workloads the two ends of a request are.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use mesh_core::model::Workload;
use mesh_core::name::Name;
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::watch::Watch;

/// Where workloads are looked up by address, for records that do not say them.
pub trait Workloads: fmt::Debug + Send + Sync {
    /// The workload that has an address.
    fn workload(&self, address: IpAddr) -> Option<Arc<Workload>>;

    /// The short name of a service, such as `web`.
    fn service_name(&self, namespace: &str, hostname: &str) -> Option<Name>;
}

/// The workloads of a mesh as it is now.
pub struct MeshWorkloads {
    mesh: Watch<MeshSnapshot>,
    network: Name,
}

impl MeshWorkloads {
    /// Addresses are those of a network.
    #[must_use]
    pub fn new(mesh: Watch<MeshSnapshot>, network: Name) -> Self {
        Self { mesh, network }
    }
}

impl Workloads for MeshWorkloads {
    fn workload(&self, address: IpAddr) -> Option<Arc<Workload>> {
        self.mesh
            .load()
            .workload_at(&self.network, address)
            .cloned()
    }

    fn service_name(&self, namespace: &str, hostname: &str) -> Option<Name> {
        let mesh = self.mesh.load();
        let service = mesh.service(namespace, hostname)?;
        Some(service.spec().name.clone())
    }
}

impl fmt::Debug for MeshWorkloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshWorkloads")
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}
