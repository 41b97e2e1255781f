//! Labels and annotations, and the names that telemetry calls a workload by.

use mesh_core::model::WorkloadType;
use mesh_core::name::Name;

use crate::manifest::document::{Labels, Metadata};

/// Annotation of pods whose traffic goes through the node proxy. Source: Istio, ambient mode.
pub(super) const REDIRECTION: &str = "ambient.istio.io/redirection";
/// Label of namespaces and pods: `ambient`, or `none`.
pub(super) const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";
/// Label with the name of a waypoint, or `none`.
pub(super) const USE_WAYPOINT: &str = "istio.io/use-waypoint";
/// Label with the namespace of the waypoint, where that is another one.
pub(super) const USE_WAYPOINT_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
/// Label of waypoints: `service` (default), `workload`, `all` or `none`.
pub(super) const WAYPOINT_FOR: &str = "istio.io/waypoint-for";
/// Label with the name of the gateway that a pod or a service belongs to.
pub(super) const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// Label with who manages what belongs to a gateway.
pub(super) const GATEWAY_MANAGED: &str = "gateway.istio.io/managed";
/// The value of [`GATEWAY_MANAGED`] for waypoints.
pub(super) const MESH_CONTROLLER: &str = "istio.io-mesh-controller";
/// Annotation of gateways and their classes: how connections are handed to a waypoint that does not speak HBONE itself.
pub(super) const INBOUND_BINDING: &str = "ambient.istio.io/waypoint-inbound-binding";
/// Label with the network of a workload, a gateway or the root namespace.
pub(super) const NETWORK: &str = "topology.istio.io/network";
/// Label of workloads that speak HBONE themselves (`http`).
pub(super) const TUNNEL: &str = "networking.istio.io/tunnel";
/// Annotation with the namespaces that may see a service.
pub(super) const EXPORT_TO: &str = "networking.istio.io/exportTo";
/// Annotation with which endpoints are preferred.
pub(super) const TRAFFIC_DISTRIBUTION: &str = "networking.istio.io/traffic-distribution";
/// Annotation that a sidecar was injected.
pub(super) const SIDECAR: &str = "sidecar.istio.io/status";

const CANONICAL_NAMES: &[&str] = &[
    "service.istio.io/canonical-name",
    "app.kubernetes.io/name",
    "app",
];
const CANONICAL_REVISIONS: &[&str] = &[
    "service.istio.io/canonical-revision",
    "app.kubernetes.io/version",
    "version",
];

/// What telemetry calls the workload: a label, or the name of what owns it.
pub(super) fn canonical_name(labels: &Labels, workload_name: &str) -> Name {
    first(labels, CANONICAL_NAMES)
        .unwrap_or(workload_name)
        .into()
}

/// What telemetry calls its version; `latest` when no label says.
pub(super) fn canonical_revision(labels: &Labels) -> Name {
    first(labels, CANONICAL_REVISIONS)
        .unwrap_or("latest")
        .into()
}

fn first<'a>(labels: &'a Labels, names: &[&str]) -> Option<&'a str> {
    let values = names.iter().filter_map(|name| labels.get(*name));
    values.map(String::as_str).find(|value| !value.is_empty())
}

/// The name and the kind of what owns a pod, seen through the objects that Kubernetes puts in
/// between.
///
/// The controller of a pod of a deployment is a replica set that is called after it and the hash of the
/// pod template; that of a pod of a cron job is a job called after it and the time in minutes.
pub(super) fn owner(metadata: &Metadata) -> (Name, WorkloadType) {
    let controller = metadata
        .owner_references
        .iter()
        .find(|owner| owner.controller);
    let Some(owner) = controller else {
        return (generated(metadata).into(), WorkloadType::Pod);
    };
    match owner.kind.as_str() {
        "ReplicaSet" => {
            let hash = metadata.labels.get("pod-template-hash");
            let deployment = hash.and_then(|hash| before_dash(&owner.name, hash));
            match deployment {
                Some(deployment) => (deployment.into(), WorkloadType::Deployment),
                None => (owner.name.as_str().into(), WorkloadType::Pod),
            }
        }
        "Job" => match cron_job(&owner.name) {
            Some(cron_job) => (cron_job.into(), WorkloadType::CronJob),
            None => (owner.name.as_str().into(), WorkloadType::Job),
        },
        "CronJob" => (owner.name.as_str().into(), WorkloadType::CronJob),
        "Deployment" => (owner.name.as_str().into(), WorkloadType::Deployment),
        _ => (owner.name.as_str().into(), WorkloadType::Pod),
    }
}

/// The name of a pod, or what it was generated from.
fn generated(metadata: &Metadata) -> &str {
    let from = metadata.generate_name.trim_end_matches('-');
    if from.is_empty() {
        &metadata.name
    } else {
        from
    }
}

fn before_dash<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    name.strip_suffix(end)?.strip_suffix('-')
}

/// A job of a cron job ends with the time that it was planned for, in minutes since 1970.
fn cron_job(job: &str) -> Option<&str> {
    let (name, time) = job.rsplit_once('-')?;
    let is_time = (8..=10).contains(&time.len()) && time.bytes().all(|b| b.is_ascii_digit());
    (is_time && !name.is_empty()).then_some(name)
}
