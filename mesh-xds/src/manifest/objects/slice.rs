//! Endpoint slices: endpoints of services as the cluster knows them.

use serde::Deserialize;

use super::PortNumber;
use crate::manifest::unread::Unread;

/// Endpoints of one service, or some of them. Source: Kubernetes API, `EndpointSlice` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct EndpointSlice {
    /// `IPv4`, `IPv6` or `FQDN`.
    pub address_type: String,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The ports that each of them has.
    pub ports: Vec<SlicePort>,
    api_version: Unread,
    kind: Unread,
    metadata: Unread,
}

/// An endpoint. Source: Kubernetes API, `Endpoint` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its addresses, of which the first one counts.
    pub addresses: Vec<String>,
    /// Its state.
    pub conditions: EndpointConditions,
    /// The object that it is an address of.
    pub target_ref: Option<TargetRef>,
    /// Its node.
    pub node_name: String,
    /// Its zone.
    pub zone: String,
    #[serde(rename = "hostname")]
    host_name: Unread,
    hints: Unread,
    deprecated_topology: Unread,
    topology: Unread,
}

/// The state of an endpoint. Source: Kubernetes API, `EndpointConditions` v1.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EndpointConditions {
    /// Whether it takes connections; absent for yes.
    pub ready: Option<bool>,
    serving: Unread,
    terminating: Unread,
}

/// The object that an endpoint is an address of. Source: Kubernetes API, `ObjectReference` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TargetRef {
    /// Its kind, `Pod` usually.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace; empty for that of the slice.
    pub namespace: String,
    api_version: Unread,
    field_path: Unread,
    resource_version: Unread,
    uid: Unread,
}

/// A port of endpoints. Source: Kubernetes API, `EndpointPort` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct SlicePort {
    /// The name of the service's port.
    pub name: String,
    /// The endpoints' port.
    pub port: Option<PortNumber>,
    /// `TCP` (default, also when empty), `UDP` or `SCTP`.
    pub protocol: String,
    app_protocol: Unread,
}
