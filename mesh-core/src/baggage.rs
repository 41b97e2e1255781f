//! The `baggage` header: what a proxy says about its workload.
//!
//! Source: W3C Baggage for the form, Istio for the keys.

mod parse;

use std::fmt::Write as _;

use crate::model::{Workload, WorkloadType};
use crate::name::Name;

const CLUSTER: &str = "k8s.cluster.name";
const NAMESPACE: &str = "k8s.namespace.name";
const SERVICE: &str = "service.name";
const REVISION: &str = "service.version";
const REGION: &str = "cloud.region";
const ZONE: &str = "cloud.availability_zone";

/// A workload as its proxy describes it in the `baggage` header. Empty names are not known.
///
/// It is what a peer says, so it serves telemetry only, never a decision.
///
/// # Example
/// ```
/// use mesh_core::baggage::Baggage;
///
/// let header = "k8s.namespace.name=shop,k8s.pod.name=cart-1,service.version=v2";
/// let baggage = Baggage::parse([header.as_bytes()]);
/// assert_eq!(baggage.namespace, "shop");
/// assert_eq!(baggage.workload_name, "cart-1");
/// assert_eq!(baggage.encode(), header);
/// ```
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data of a header")]
pub struct Baggage {
    /// `k8s.cluster.name`.
    pub cluster_id: Name,
    /// `k8s.namespace.name`.
    pub namespace: Name,
    /// Which of the `k8s.<type>.name` keys carries the workload name.
    pub workload_type: WorkloadType,
    /// `k8s.<type>.name`.
    pub workload_name: Name,
    /// `service.name`.
    pub canonical_name: Name,
    /// `service.version`.
    pub canonical_revision: Name,
    /// `cloud.region`.
    pub region: Name,
    /// `cloud.availability_zone`.
    pub zone: Name,
}

impl Baggage {
    /// The baggage of a workload.
    #[must_use]
    pub fn of(workload: &Workload) -> Self {
        let locality = workload.locality();
        Self {
            cluster_id: workload.cluster_id().clone(),
            namespace: workload.namespace().clone(),
            workload_type: workload.workload_type(),
            workload_name: workload.workload_name().clone(),
            canonical_name: workload.canonical_name().clone(),
            canonical_revision: workload.canonical_revision().clone(),
            region: locality.region.clone(),
            zone: locality.zone.clone(),
        }
    }

    /// The header's value; empty when nothing is known.
    ///
    /// Bytes that W3C Baggage does not allow in a value are percent-encoded, and so is `=`, which
    /// some readers take for a separator.
    #[must_use]
    pub fn encode(&self) -> String {
        let workload = match self.workload_type {
            WorkloadType::Deployment => "k8s.deployment.name",
            WorkloadType::CronJob => "k8s.cronjob.name",
            WorkloadType::Pod => "k8s.pod.name",
            WorkloadType::Job => "k8s.job.name",
        };
        let members = [
            (CLUSTER, &self.cluster_id),
            (NAMESPACE, &self.namespace),
            (workload, &self.workload_name),
            (SERVICE, &self.canonical_name),
            (REVISION, &self.canonical_revision),
            (REGION, &self.region),
            (ZONE, &self.zone),
        ];
        let known = members.iter().filter(|(_, value)| !value.is_empty());
        let length = known
            .clone()
            .map(|(key, value)| key.len() + value.len() + 2);
        let mut header = String::with_capacity(length.sum());
        for (key, value) in known {
            if !header.is_empty() {
                header.push(',');
            }
            header.push_str(key);
            header.push('=');
            push_encoded(&mut header, value);
        }
        header
    }
}

/// Whether a byte stands for itself in a value: `baggage-octet` of W3C Baggage without `=`, and
/// without `%`, which begins an encoded byte.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\' | b'%' | b'=')
}

fn push_encoded(header: &mut String, value: &str) {
    if value.bytes().all(is_plain) {
        header.push_str(value);
        return;
    }
    for byte in value.bytes() {
        if is_plain(byte) {
            header.push(char::from(byte));
        } else {
            let _ = write!(header, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests;
