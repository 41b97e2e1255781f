//! Endpoint slices of services without a selector.

use std::collections::HashMap;

use mesh_core::model::{NamespacedHostname, NetworkMode, PortMap, WorkloadStatus, WorkloadType};
use mesh_core::name::Name;

use super::draft::Draft;
use super::{Builder, addresses, names};
use crate::manifest::document::{GroupKind, Labels, ObjectKey};
use crate::manifest::inventory::Object;
use crate::manifest::objects::{Endpoint, EndpointSlice, TargetRef};

type Slice = Object<EndpointSlice>;

/// Label with the service that a slice is of.
const SERVICE: &str = "kubernetes.io/service-name";

/// Pods, by namespace and name, and the services without a selector of whose slices they are.
pub(super) type Named = HashMap<(Name, String), Vec<ObjectKey>>;

impl Builder<'_> {
    /// The pods that slices name for services without a selector.
    pub(super) fn named_by_slices(&self) -> Named {
        let mut named = Named::new();
        for slice in self.inventory.endpoint_slices.iter() {
            let Some(draft) = self
                .service_of(slice)
                .filter(|draft| is_without_selector(draft))
            else {
                continue;
            };
            for target in slice.spec.endpoints.iter().filter_map(target_pod) {
                let namespace = match target.namespace.as_str() {
                    "" => slice.namespace().clone(),
                    namespace => namespace.into(),
                };
                let pod = named.entry((namespace, target.name.clone())).or_default();
                if !pod.contains(draft.document.key()) {
                    pod.push(draft.document.key().clone());
                }
            }
        }
        named
    }

    /// Endpoints that are no pods: whoever wrote them knows where they are.
    pub(super) fn slices(&mut self) {
        for slice in self.inventory.endpoint_slices.iter() {
            let draft = self.service_of(slice);
            let of = draft.map(|draft| (draft.key(), slice_ports(slice, draft)));
            let Some((service, ports)) = of else { continue };
            for (index, endpoint) in slice.spec.endpoints.iter().enumerate() {
                if target_pod(endpoint).is_none() {
                    let of = (service.clone(), ports.clone());
                    self.slice_endpoint(slice, endpoint, index, of);
                }
            }
        }
    }

    fn service_of(&self, slice: &Slice) -> Option<&Draft<'_>> {
        let name = slice
            .label(SERVICE)
            .filter(|_| slice.spec.address_type != "FQDN")?;
        let key = ObjectKey {
            kind: GroupKind::new("", "Service"),
            namespace: slice.namespace().clone(),
            name: name.into(),
        };
        self.drafts_of(&key).next()
    }

    fn slice_endpoint(
        &mut self,
        slice: &Slice,
        endpoint: &Endpoint,
        index: usize,
        of: (NamespacedHostname, PortMap),
    ) {
        let address = endpoint.addresses.first().map_or("", String::as_str);
        let Some(ip) = addresses::ip(address) else {
            let path = format!("endpoints[{index}].addresses");
            let text = format!("expected an IP address, got `{address}`");
            return self.note(&slice.document, &path, text);
        };
        let cluster = &self.options.cluster_id;
        let (namespace, name) = (slice.namespace(), slice.name());
        let uid = format!("{cluster}/discovery.k8s.io/EndpointSlice/{namespace}/{name}/{address}");
        let mut workload = self.base(&slice.document, uid, &Labels::new());
        workload.ips = vec![ip];
        workload.node = endpoint.node_name.as_str().into();
        workload.locality.zone = endpoint.zone.as_str().into();
        workload.workload_name = name.clone();
        workload.workload_type = WorkloadType::Pod;
        workload.canonical_name = names::canonical_name(&Labels::new(), name);
        workload.canonical_revision = names::canonical_revision(&Labels::new());
        // Nothing is known about the address; another workload may have it as its own.
        workload.network_mode = NetworkMode::HostNetwork;
        if endpoint.conditions.ready == Some(false) {
            workload.status = WorkloadStatus::Unhealthy;
        }
        workload.services = vec![of];
        workload.authorization_policies = (self.policies)(namespace, &Labels::new());
        self.workload(&slice.document, workload, &Labels::new());
    }
}

fn is_without_selector(draft: &Draft<'_>) -> bool {
    draft.selector.is_none_or(Labels::is_empty)
}

fn target_pod(endpoint: &Endpoint) -> Option<&TargetRef> {
    endpoint
        .target_ref
        .as_ref()
        .filter(|target| target.kind == "Pod")
}

/// The ports of a slice by those of its service, which have the same names.
fn slice_ports(slice: &Slice, draft: &Draft<'_>) -> PortMap {
    let pairs = slice.spec.ports.iter().filter_map(|port| {
        let is_tcp = matches!(port.protocol.as_str(), "" | "TCP");
        let target = port.port.filter(|_| is_tcp)?.get();
        let of_service = draft.ports.iter().find(|one| one.name == port.name)?;
        Some((of_service.port, target))
    });
    pairs.collect()
}
