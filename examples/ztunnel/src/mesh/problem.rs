//! What would keep the own workload from being served.

use mesh_core::store::MeshStore;

use crate::config::Settings;

/// What would keep every connection of the own workload from being carried.
pub(super) fn problem_with_local(settings: &Settings, store: &MeshStore) -> Option<&'static str> {
    let info = &settings.workload;
    let node = settings.node.as_deref();
    let snapshot = store.snapshot();
    let found = snapshot.local_workload(&info.namespace, &info.name, &info.service_account, node);
    let Some(workload) = found else {
        return Some(
            "the mesh has no workload with the namespace, name and service account of \
             PROXY_WORKLOAD_INFO on the node NODE_NAME",
        );
    };
    let workload_domain: &str = workload.trust_domain().as_ref();
    let workload_network: &str = workload.network().as_ref();
    if workload_domain != settings.trust_domain.as_str() {
        return Some("its trust domain is not TRUST_DOMAIN");
    }
    if workload_network != settings.network.as_str() {
        return Some("its network is not NETWORK");
    }
    None
}
