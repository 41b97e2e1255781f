//! Kubernetes services.

use serde::Deserialize;

use super::pod::tcp;
use super::{PortNumber, TargetPort};
use crate::manifest::document::Labels;
use crate::manifest::unread::Unread;

/// What a service is to be. Source: Kubernetes API, `ServiceSpec` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ServiceSpec {
    /// `ClusterIP` (default), `NodePort`, `LoadBalancer` or `ExternalName`; empty for the default.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its first virtual address; `None` for a headless service, empty when there is none yet.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: String,
    /// Its virtual addresses, one of each family.
    #[serde(rename = "clusterIPs")]
    pub cluster_ips: Vec<String>,
    /// `IPv4` and `IPv6`.
    pub ip_families: Vec<String>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Labels of the pods behind it; none when its endpoints are kept by someone else.
    pub selector: Labels,
    /// `Cluster` (default) or `Local`.
    pub internal_traffic_policy: String,
    /// `PreferClose`, `PreferSameZone` or `PreferSameNode`; empty for no preference.
    pub traffic_distribution: String,
    /// Whether endpoints take part that are not ready.
    pub publish_not_ready_addresses: bool,
    #[serde(rename = "allocateLoadBalancerNodePorts")]
    allocate_node_ports: Unread,
    #[serde(rename = "externalIPs")]
    external_ips: Unread,
    external_name: Unread,
    external_traffic_policy: Unread,
    health_check_node_port: Unread,
    ip_family_policy: Unread,
    load_balancer_class: Unread,
    #[serde(rename = "loadBalancerIP")]
    load_balancer_ip: Unread,
    load_balancer_source_ranges: Unread,
    session_affinity: Unread,
    session_affinity_config: Unread,
}

/// A port of a service. Source: Kubernetes API, `ServicePort` v1.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServicePort {
    /// Its name; empty when it is the only one.
    #[serde(default)]
    pub name: String,
    /// The number.
    pub port: PortNumber,
    /// The endpoints' port; absent for the same number.
    pub target_port: Option<TargetPort>,
    /// `TCP` (default), `UDP` or `SCTP`.
    #[serde(default = "tcp")]
    pub protocol: String,
    /// The protocol above TCP, such as `http` or `kubernetes.io/h2c`; empty when it is not said.
    #[serde(default)]
    pub app_protocol: String,
    #[serde(default)]
    #[expect(dead_code, reason = "known, so that it is not reported")]
    node_port: Unread,
}

/// What a service has got. Source: Kubernetes API, `ServiceStatus` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// Its load balancer.
    pub load_balancer: LoadBalancerStatus,
    conditions: Unread,
}

/// What a load balancer listens on. Source: Kubernetes API, `LoadBalancerStatus` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LoadBalancerStatus {
    /// Its addresses.
    pub ingress: Vec<Ingress>,
}

/// An address of a load balancer. Source: Kubernetes API, `LoadBalancerIngress` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Ingress {
    /// The address; empty when it has a host name.
    pub ip: String,
    /// `VIP` (default) or `Proxy`: what is sent to a proxy's address must go there.
    pub ip_mode: String,
    hostname: Unread,
    ports: Unread,
}

/// A service as a whole.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::manifest) struct ServiceObject {
    pub(in crate::manifest) spec: ServiceSpec,
    pub(in crate::manifest) status: ServiceStatus,
    api_version: Unread,
    kind: Unread,
    metadata: Unread,
}
