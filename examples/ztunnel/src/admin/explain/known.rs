//! What the proxy knows when it is asked.

use std::sync::Arc;

use mesh_authz::PolicyIndex;
use mesh_core::model::Workload;
use mesh_core::resolve::ResolveConfig;
use mesh_core::snapshot::MeshSnapshot;
use mesh_hbone::proxy::MeshTraffic;

/// What is known when the question is asked.
pub(in crate::admin) struct Known<'a> {
    pub(in crate::admin) mesh: &'a MeshSnapshot,
    pub(in crate::admin) policies: &'a PolicyIndex,
    pub(in crate::admin) config: &'a ResolveConfig,
    /// The network of this proxy.
    pub(in crate::admin) network: &'a str,
    /// The workload of this proxy.
    pub(in crate::admin) local: Option<&'a Arc<Workload>>,
    /// The traffic policy of this proxy.
    pub(in crate::admin) traffic: Option<&'a MeshTraffic>,
}
