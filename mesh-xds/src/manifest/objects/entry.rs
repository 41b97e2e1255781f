//! Istio's objects for what is outside of the cluster: service entries and workload entries.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::PortNumber;
use super::pod::Condition;
use crate::manifest::document::Labels;
use crate::manifest::unread::Unread;

/// A service that is not the cluster's. Source: Istio API, `ServiceEntry` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ServiceEntrySpec {
    /// Its host names.
    pub hosts: Vec<String>,
    /// Virtual addresses and ranges of them.
    pub addresses: Vec<String>,
    /// Its ports.
    pub ports: Vec<EntryPort>,
    /// `MESH_EXTERNAL` (default) or `MESH_INTERNAL`.
    pub location: String,
    /// How endpoints are found.
    pub resolution: Resolution,
    /// Its endpoints, where it names them itself.
    pub endpoints: Vec<WorkloadEntrySpec>,
    /// The pods and workload entries behind it.
    pub workload_selector: Option<WorkloadLabels>,
    /// Namespaces that may see it: `*` for all, `.` for its own; none for all.
    pub export_to: Vec<String>,
    /// Identities that the endpoints may have.
    pub subject_alt_names: Vec<String>,
}

/// Labels of workloads. Source: Istio API, `WorkloadSelector` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct WorkloadLabels {
    /// Labels that must be there with these values.
    pub labels: Labels,
}

/// How the endpoints of a service entry are found. Source: Istio API, `ServiceEntry.Resolution`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
pub enum Resolution {
    /// Not at all: connections go to the address that the client wants.
    #[default]
    #[serde(rename = "NONE")]
    None,
    /// They have addresses.
    #[serde(rename = "STATIC")]
    Static,
    /// By DNS.
    #[serde(rename = "DNS")]
    Dns,
    /// By DNS, as if the name had one address only.
    #[serde(rename = "DNS_ROUND_ROBIN")]
    DnsRoundRobin,
    /// By DNS, of the name that the client asks for below a wildcard.
    #[serde(rename = "DYNAMIC_DNS")]
    DynamicDns,
}

/// A port of a service entry. Source: Istio API, `ServicePort` v1.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EntryPort {
    /// The number.
    pub number: PortNumber,
    /// Its protocol, such as `HTTP`; empty for TCP.
    #[serde(default)]
    pub protocol: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The endpoints' port; absent for the same number.
    pub target_port: Option<PortNumber>,
}

/// What the control plane added to a service entry. Source: Istio API, `ServiceEntryStatus` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ServiceEntryStatus {
    /// Virtual addresses that were allocated for it.
    pub addresses: Vec<EntryAddress>,
    conditions: Unread,
    validation_messages: Unread,
    observed_generation: Unread,
}

/// A virtual address that was allocated. Source: Istio API, `ServiceEntryAddress` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EntryAddress {
    /// The address.
    pub value: String,
    /// The host name that it is for; empty for all.
    pub host: String,
}

/// A workload that is not a pod. Source: Istio API, `WorkloadEntry` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct WorkloadEntrySpec {
    /// An IP address or a host name.
    pub address: String,
    /// Its ports by the name of the service's port.
    pub ports: BTreeMap<String, PortNumber>,
    /// Its labels, beside those of the object.
    pub labels: Labels,
    /// Its network; empty for that of its labels, or the default one.
    pub network: String,
    /// Where it is, as `region/zone/subzone`.
    pub locality: String,
    /// Share of the connections; 0 for 1.
    pub weight: u32,
    /// Its service account; empty for `default`.
    pub service_account: String,
}

/// What is known of a workload. Source: Istio API, `IstioStatus`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct WorkloadEntryStatus {
    /// What holds of it, `Healthy` among others.
    pub conditions: Vec<Condition>,
    validation_messages: Unread,
    observed_generation: Unread,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::manifest) struct ServiceEntryObject {
    pub(in crate::manifest) spec: ServiceEntrySpec,
    pub(in crate::manifest) status: ServiceEntryStatus,
    api_version: Unread,
    kind: Unread,
    metadata: Unread,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::manifest) struct WorkloadEntryObject {
    pub(in crate::manifest) spec: WorkloadEntrySpec,
    pub(in crate::manifest) status: WorkloadEntryStatus,
    api_version: Unread,
    kind: Unread,
    metadata: Unread,
}
