//! Pods.

use std::net::IpAddr;

use mesh_core::model::{
    Locality, NamespacedHostname, NetworkMode, PortMap, TunnelProtocol, WorkloadStatus,
};

use super::draft::{Draft, Target};
use super::slices::Named;
use super::waypoints::Asking;
use super::{Builder, addresses, names};
use crate::manifest::document::Labels;
use crate::manifest::inventory::Object;
use crate::manifest::objects::{Container, PodSpec, PodStatus};

type Pod = Object<PodSpec, PodStatus>;

impl<'a> Builder<'a> {
    pub(super) fn pods(&mut self) {
        let named = self.named_by_slices();
        for pod in self.inventory.pods.iter() {
            // It has ended, and its address may be another pod's by now.
            if matches!(pod.status.phase.as_str(), "Succeeded" | "Failed") {
                continue;
            }
            match pod_ips(pod) {
                Ok(ips) if ips.is_empty() => {}
                Ok(ips) => self.pod(pod, ips, &named),
                Err(problem) => self.note(&pod.document, "status.podIPs", problem),
            }
        }
    }

    fn pod(&mut self, pod: &'a Pod, ips: Vec<IpAddr>, named: &Named) {
        let (namespace, labels) = (pod.namespace(), pod.labels());
        let uid = format!(
            "{}//Pod/{namespace}/{}",
            self.options.cluster_id,
            pod.name()
        );
        let mut workload = self.base(&pod.document, uid, labels);
        (workload.workload_name, workload.workload_type) = names::owner(pod.metadata());
        workload.canonical_name = names::canonical_name(labels, &workload.workload_name);
        workload.canonical_revision = names::canonical_revision(labels);
        if !pod.spec.service_account_name.is_empty() {
            workload.service_account = pod.spec.service_account_name.as_str().into();
        }
        workload.ips = ips;
        workload.node = pod.spec.node_name.as_str().into();
        workload.locality = self.locality(pod);
        if pod.spec.host_network {
            workload.network_mode = NetworkMode::HostNetwork;
        }
        (workload.tunnel_protocol, workload.native_tunnel) = self.pod_tunnel(pod);
        if !is_ready(pod) {
            workload.status = WorkloadStatus::Unhealthy;
        }
        match self.waypoints.instance(namespace, labels) {
            Some(tunnel) => workload.application_tunnel = tunnel,
            None => {
                workload.waypoint = self.waypoint(Asking::Workload, &pod.document, labels);
            }
        }
        workload.services = self.pod_services(pod, named);
        workload.authorization_policies = (self.policies)(namespace, labels);
        self.workload(&pod.document, workload, labels);
    }

    /// The services that select the pod, and those without a selector whose slices name it.
    fn pod_services(&self, pod: &Pod, named: &Named) -> Vec<(NamespacedHostname, PortMap)> {
        let selecting = self.selecting(pod.namespace(), pod.labels());
        let key = (pod.namespace().clone(), pod.name().to_string());
        let services = named.get(&key).into_iter().flatten();
        let named = services.flat_map(|service| self.drafts_of(service));
        let drafts = selecting.into_iter().chain(named);
        drafts
            .map(|draft| (draft.key(), pod_ports(draft, pod)))
            .collect()
    }

    fn pod_tunnel(&self, pod: &Pod) -> (TunnelProtocol, bool) {
        let found = tunnel_protocol(&pod.metadata().annotations, pod.labels());
        if found.0 == TunnelProtocol::Hbone || !self.is_written_for_ambient(pod) {
            return found;
        }
        (TunnelProtocol::Hbone, false)
    }

    /// Whether a pod that no API server has seen is in ambient mode by its labels or those of its
    /// namespace.
    fn is_written_for_ambient(&self, pod: &Pod) -> bool {
        let metadata = pod.metadata();
        if !metadata.uid.is_empty()
            || pod.spec.host_network
            || metadata.annotations.contains_key(names::REDIRECTION)
            || metadata.annotations.contains_key(names::SIDECAR)
        {
            return false;
        }
        let of_namespace = || self.waypoints.namespace(pod.namespace());
        let mode = pod.labels().get(names::DATAPLANE_MODE);
        let mode = mode.or_else(|| of_namespace()?.get(names::DATAPLANE_MODE));
        mode.is_some_and(|mode| mode == "ambient")
    }

    /// Where the pod's node is; nodes whose objects are not there are where the pod's labels say.
    fn locality(&self, pod: &Pod) -> Locality {
        let node = self.inventory.nodes.get("", &pod.spec.node_name);
        let labels = node.map_or(pod.labels(), |node| node.labels());
        let label = |name: &str| labels.get(name).map_or("", String::as_str).into();
        Locality {
            region: label("topology.kubernetes.io/region"),
            zone: label("topology.kubernetes.io/zone"),
            subzone: label("topology.istio.io/subzone"),
        }
    }
}

/// How a workload is reached, and whether it speaks HBONE itself.
pub(super) fn tunnel_protocol(annotations: &Labels, labels: &Labels) -> (TunnelProtocol, bool) {
    let redirected = annotations.get(names::REDIRECTION);
    if redirected.is_some_and(|redirected| redirected == "enabled") {
        return (TunnelProtocol::Hbone, false);
    }
    let tunnels = labels.get(names::TUNNEL).map_or("", String::as_str);
    if tunnels.split(',').any(|tunnel| tunnel.trim() == "http") {
        return (TunnelProtocol::Hbone, true);
    }
    (TunnelProtocol::None, false)
}

fn pod_ips(pod: &Pod) -> Result<Vec<IpAddr>, String> {
    let all = pod.status.pod_ips.iter().map(|one| &one.ip);
    let mut texts: Vec<&String> = all.filter(|ip| !ip.is_empty()).collect();
    if texts.is_empty() && !pod.status.pod_ip.is_empty() {
        texts.push(&pod.status.pod_ip);
    }
    let ip = |text: &&String| {
        let problem = || format!("expected an IP address, got `{text}`");
        addresses::ip(text).ok_or_else(problem)
    };
    texts.iter().map(ip).collect()
}

/// Whether a pod takes connections. One whose state nobody wrote down counts as ready.
fn is_ready(pod: &Pod) -> bool {
    if !pod.metadata().deletion_timestamp.is_empty() {
        return false;
    }
    let mut conditions = pod.status.conditions.iter();
    match conditions.find(|condition| condition.kind == "Ready") {
        Some(ready) => ready.status == "True",
        None => {
            let written = pod.metadata().uid.is_empty();
            written && matches!(pod.status.phase.as_str(), "" | "Running")
        }
    }
}

/// The pod's ports for a service: named target ports are those of its containers.
fn pod_ports(draft: &Draft<'_>, pod: &Pod) -> PortMap {
    draft.mapping(|_, port| match &port.target {
        Target::Number(number) => Some(*number),
        Target::Name(name) => container_port(&pod.spec, name),
    })
}

fn container_port(spec: &PodSpec, name: &str) -> Option<u16> {
    let beside = |container: &&Container| container.restart_policy == "Always";
    let containers = spec.containers.iter();
    let containers = containers.chain(spec.init_containers.iter().filter(beside));
    let mut ports = containers.flat_map(|container| &container.ports);
    let port = ports.find(|port| port.name == name && port.protocol == "TCP")?;
    Some(port.container_port.get())
}
