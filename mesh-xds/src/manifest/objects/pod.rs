//! Pods.

use serde::Deserialize;

use super::PortNumber;
use crate::manifest::unread::Unread;

/// What a pod is to be. Source: Kubernetes API, `PodSpec` v1.
///
/// Fields that are not read are not checked either: a pod has more than a hundred.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct PodSpec {
    /// The node; empty as long as none is chosen.
    pub node_name: String,
    /// The service account; empty for `default`.
    pub service_account_name: String,
    /// Whether it shares the node's addresses.
    pub host_network: bool,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Its containers that run before the others, or beside them (`restartPolicy: Always`).
    pub init_containers: Vec<Container>,
}

/// A container. Source: Kubernetes API, `Container` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its ports.
    pub ports: Vec<ContainerPort>,
    /// `Always` for an init container that runs beside the others.
    pub restart_policy: String,
}

/// A port of a container. Source: Kubernetes API, `ContainerPort` v1.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ContainerPort {
    /// Its name; empty for none.
    #[serde(default)]
    pub name: String,
    /// The number.
    pub container_port: PortNumber,
    /// `TCP` (default), `UDP` or `SCTP`.
    #[serde(default = "tcp")]
    pub protocol: String,
}

pub(super) fn tcp() -> String {
    "TCP".to_owned()
}

/// What a pod is. Source: Kubernetes API, `PodStatus` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`; empty when it is not said.
    pub phase: String,
    /// Its first address; empty as long as it has none.
    #[serde(rename = "podIP")]
    pub pod_ip: String,
    /// Its addresses, one of each family.
    #[serde(rename = "podIPs")]
    pub pod_ips: Vec<PodIp>,
    /// What holds of it, `Ready` among others.
    pub conditions: Vec<Condition>,
}

/// An address of a pod. Source: Kubernetes API, `PodIP` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PodIp {
    /// The address.
    pub ip: String,
}

/// Something that holds of an object, or not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Condition {
    /// What is said, such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
}

/// A pod as a whole: what is not read is not looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(in crate::manifest) struct PodObject {
    pub(in crate::manifest) spec: PodSpec,
    pub(in crate::manifest) status: PodStatus,
    api_version: Unread,
    kind: Unread,
    metadata: Unread,
}
