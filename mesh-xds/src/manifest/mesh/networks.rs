//! Who may be behind the gateways of other networks.

use std::collections::BTreeMap;

use mesh_core::identity::{SpiffeId, TrustDomain};
use mesh_core::model::{ServiceSpec, WorkloadSpec};
use mesh_core::name::Name;

/// Adds the identities of endpoints in other networks to their services: their gateway chooses the endpoint, so that it
/// may be any of them.
///
/// Source: Istio's control plane, which tells the identities behind services of several networks.
pub(super) fn name_remote_peers(
    workloads: &BTreeMap<Name, WorkloadSpec>,
    services: &mut BTreeMap<Name, ServiceSpec>,
    domain: &TrustDomain,
    own: &str,
) {
    let mut remote: BTreeMap<Name, Vec<SpiffeId>> = BTreeMap::new();
    for workload in workloads.values() {
        if workload.network == *own || workload.network_gateway.is_none() {
            continue;
        }
        let account = &workload.service_account;
        let Ok(identity) = SpiffeId::new(domain.clone(), &workload.namespace, account) else {
            continue;
        };
        for (service, _) in &workload.services {
            let key = Name::from(format!("{}/{}", service.namespace, service.hostname));
            remote.entry(key).or_default().push(identity.clone());
        }
    }
    for (key, identities) in remote {
        let Some(service) = services.get_mut(&key) else {
            continue;
        };
        for identity in identities {
            if !service.subject_alt_names.contains(&identity) {
                service.subject_alt_names.push(identity);
            }
        }
    }
}
