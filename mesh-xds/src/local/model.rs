//! From the shape of a local file to the model, with the defaults.

use std::num::NonZeroU16;

use mesh_core::model::{
    ApplicationTunnel, GatewayAddress, LoadBalancing, Locality, NetworkCidr, PortMap, ServiceSpec,
    WeightedWaypoint, WorkloadSpec,
};
use mesh_core::name::Name;

use super::file;

/// The trust domain of a workload that names none, as Istio's control plane has it.
const TRUST_DOMAIN: &str = "cluster.local";
/// The service account of a workload that names none, as in Kubernetes.
const SERVICE_ACCOUNT: &str = "default";
/// The cluster within the uid of a workload that names neither, as in Istio.
const CLUSTER: &str = "Kubernetes";

/// A workload, or the field that is wrong and what was expected.
pub(super) fn workload(from: file::Workload) -> Result<WorkloadSpec, (&'static str, String)> {
    let uid = uid(&from)?;
    Ok(WorkloadSpec {
        uid,
        name: from.name.into(),
        namespace: from.namespace.into(),
        trust_domain: from
            .trust_domain
            .map_or(TRUST_DOMAIN.into(), |domain| domain.as_str().into()),
        service_account: or(from.service_account, SERVICE_ACCOUNT),
        network: from.network.into(),
        ips: from.workload_ips.into_iter().map(|ip| ip.0).collect(),
        hostname: from.hostname.into(),
        tunnel_protocol: from.protocol.into(),
        network_mode: from.network_mode.into(),
        native_tunnel: from.native_tunnel,
        waypoint: from.waypoint.map(gateway),
        network_gateway: from.network_gateway.map(gateway),
        node: from.node.into(),
        canonical_name: from.canonical_name.into(),
        canonical_revision: from.canonical_revision.into(),
        workload_type: from.workload_type.into(),
        workload_name: from.workload_name.into(),
        authorization_policies: from
            .authorization_policies
            .into_iter()
            .map(|key| key.0.0)
            .collect(),
        status: from.status.into(),
        cluster_id: from.cluster_id.into(),
        services: from
            .services
            .into_iter()
            .map(|(service, map)| (service.0, ports(&map)))
            .collect(),
        application_tunnel: from.application_tunnel.map(|tunnel| ApplicationTunnel {
            protocol: tunnel.protocol.into(),
            port: tunnel.port.and_then(|port| NonZeroU16::new(port.0)),
        }),
        locality: from.locality.map_or_else(Locality::default, |at| Locality {
            region: at.region.into(),
            zone: at.zone.into(),
            subzone: at.subzone.into(),
        }),
        capacity: from.capacity,
    })
}

/// The uid, or one of the control plane's form made of what the entry has.
fn uid(from: &file::Workload) -> Result<Name, (&'static str, String)> {
    if !from.uid.is_empty() {
        return Ok(from.uid.as_str().into());
    }
    let cluster = or(from.cluster_id.clone(), CLUSTER);
    let name = match from.workload_ips.first() {
        _ if !from.name.is_empty() => from.name.clone(),
        Some(ip) => ip.0.to_string(),
        None => return Err(("uid", "expected a uid, a name or an IP address".to_owned())),
    };
    Ok(format!("{cluster}//Pod/{}/{name}", from.namespace).into())
}

fn or(text: String, default: &str) -> Name {
    if text.is_empty() {
        default.into()
    } else {
        text.into()
    }
}

/// A service without its endpoints: those are kept by the workloads.
pub(super) fn service(from: file::Service) -> ServiceSpec {
    ServiceSpec {
        name: from.name.into(),
        namespace: from.namespace.into(),
        hostname: from.hostname.into(),
        vips: from.vips.into_iter().map(|vip| vip.0).collect(),
        cidr_vips: from
            .cidr_vips
            .into_iter()
            .map(|vip| NetworkCidr {
                network: vip.network.into(),
                cidr: vip.cidr.0,
            })
            .collect(),
        ports: ports(&from.ports),
        subject_alt_names: from.subject_alt_names.into_iter().map(|id| id.0).collect(),
        waypoint: from.waypoint.map(gateway),
        weighted_waypoints: from
            .weighted_waypoints
            .into_iter()
            .map(|share| WeightedWaypoint {
                waypoint: gateway(share.destination),
                weight: share.weight,
            })
            .collect(),
        load_balancing: from.load_balancer.map(|balancer| LoadBalancing {
            routing_preferences: balancer
                .routing_preferences
                .into_iter()
                .map(Into::into)
                .collect(),
            mode: balancer.mode.into(),
            health_policy: balancer.health_policy.into(),
        }),
        ip_families: from
            .ip_families
            .map_or_else(Default::default, |families| families.into()),
        canonical: from.canonical,
        visibility: from.visibility.into(),
    }
}

fn gateway(from: file::Gateway) -> GatewayAddress {
    GatewayAddress {
        destination: from.destination.0,
        hbone_mtls_port: from.hbone_mtls_port.0,
    }
}

pub(super) fn ports(from: &file::Ports) -> PortMap {
    from.iter()
        .map(|(port, target)| (port.0, target.0))
        .collect()
}
