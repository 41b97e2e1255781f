//! The mesh and the settings as JSON, with the field names that `istioctl` reads.

use std::sync::Arc;

use mesh_core::endpoints::EndpointSet;
use mesh_core::model::{
    ApplicationProtocol, GatewayAddress, GatewayDestination, HealthPolicy, IpFamilies,
    LoadBalancingMode, NetworkMode, PortMap, RoutingScope, Service, TunnelProtocol, Visibility,
    Workload, WorkloadStatus,
};
use mesh_core::snapshot::MeshSnapshot;
use serde_json::{Map, Value, json};

use super::config;
use crate::config::Settings;

/// Everything.
pub(super) fn all(
    snapshot: &MeshSnapshot,
    settings: &Settings,
    policies: Value,
    certificates: Value,
) -> Value {
    let mut services: Vec<_> = snapshot.services().collect();
    services.sort_by(|a, b| a.spec().hostname.cmp(&b.spec().hostname));
    let services: Vec<_> = services
        .into_iter()
        .map(|s| service(s, snapshot.endpoints(s)))
        .collect();
    json!({
        "workloads": snapshot.workloads().map(workload).collect::<Vec<_>>(),
        "services": services,
        "policies": policies,
        "stagedServices": {},
        "staticConfig": {},
        "version": version(settings),
        "config": config::dump(settings),
        "certificates": certificates,
    })
}

fn version(settings: &Settings) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "istioVersion": settings.version,
    })
}

fn workload(workload: &Arc<Workload>) -> Value {
    let services: Vec<_> = workload
        .services()
        .map(|(key, _)| key.to_string())
        .collect();
    let locality = workload.locality();
    json!({
        "uid": workload.uid(),
        "name": text(workload.name()),
        "namespace": text(workload.namespace()),
        "trustDomain": text(workload.trust_domain()),
        "serviceAccount": text(workload.service_account()),
        "network": text(workload.network()),
        "workloadIps": workload.ips(),
        "hostname": text(workload.hostname()),
        "protocol": match workload.tunnel_protocol() {
            TunnelProtocol::Hbone => "HBONE",
            _ => "TCP",
        },
        "networkMode": match workload.network_mode() {
            NetworkMode::HostNetwork => "HostNetwork",
            _ => "Standard",
        },
        "nativeTunnel": workload.native_tunnel(),
        "applicationTunnel": workload.application_tunnel().map(|tunnel| json!({
            "protocol": match tunnel.protocol {
                ApplicationProtocol::Proxy => "PROXY",
                _ => "NONE",
            },
            "port": tunnel.port,
        })),
        "waypoint": workload.waypoint().map(gateway),
        "networkGateway": workload.network_gateway().map(gateway),
        "node": text(workload.node()),
        "workloadName": text(workload.workload_name()),
        "workloadType": workload.workload_type().as_str(),
        "canonicalName": text(workload.canonical_name()),
        "canonicalRevision": text(workload.canonical_revision()),
        "clusterId": text(workload.cluster_id()),
        "status": status(workload.status()),
        "authorizationPolicies": workload
            .authorization_policies()
            .iter()
            .map(|policy| policy.as_str())
            .collect::<Vec<_>>(),
        "locality": {
            "region": locality.region.as_str(),
            "zone": locality.zone.as_str(),
            "subzone": locality.subzone.as_str(),
        },
        "services": services,
        "capacity": workload.capacity(),
    })
}

fn text(name: &(impl AsRef<str> + ?Sized)) -> &str {
    name.as_ref()
}

fn service(service: &Arc<Service>, endpoints: &EndpointSet) -> Value {
    let spec = service.spec();
    let endpoints: Map<_, _> = endpoints
        .iter()
        .map(|endpoint| {
            let uid = endpoint.workload().uid();
            let entry = json!({
                "workloadUid": uid,
                "port": ports(endpoint.ports()),
                "status": status(endpoint.health()),
            });
            (uid.to_owned(), entry)
        })
        .collect();
    json!({
        "name": spec.name.as_str(),
        "namespace": spec.namespace.as_str(),
        "hostname": spec.hostname.as_str(),
        "vips": spec.vips.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "cidrVips": spec.cidr_vips.iter().map(|vip| json!({
            "network": vip.network.as_str(),
            "cidr": vip.cidr.to_string(),
        })).collect::<Vec<_>>(),
        "ports": ports(&spec.ports),
        "endpoints": endpoints,
        "subjectAltNames":
            spec.subject_alt_names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "waypoint": spec.waypoint.as_ref().map(gateway),
        "weightedWaypoints": spec.weighted_waypoints.iter().map(|share| json!({
            "destination": gateway(&share.waypoint),
            "weight": share.weight,
        })).collect::<Vec<_>>(),
        "loadBalancer": spec.load_balancing.as_ref().map(|lb| json!({
            "routingPreferences":
                lb.routing_preferences.iter().map(|s| scope(*s)).collect::<Vec<_>>(),
            "mode": mode(lb.mode),
            "healthPolicy": match lb.health_policy {
                HealthPolicy::AllowAll => "AllowAll",
                _ => "OnlyHealthy",
            },
        })),
        "ipFamilies": match spec.ip_families {
            IpFamilies::V4 => Some("IPv4"),
            IpFamilies::V6 => Some("IPv6"),
            IpFamilies::Dual => Some("Dual"),
            _ => None,
        },
        "canonical": spec.canonical,
        "visibility": match spec.visibility {
            Visibility::Namespace => "Namespace",
            _ => "Public",
        },
    })
}

fn ports(map: &PortMap) -> Value {
    let entry = |(port, target): (u16, Option<std::num::NonZeroU16>)| {
        (
            port.to_string(),
            json!(target.map_or(0, std::num::NonZeroU16::get)),
        )
    };
    Value::Object(map.iter().map(entry).collect())
}

fn gateway(gateway: &GatewayAddress) -> Value {
    let destination = match &gateway.destination {
        GatewayDestination::Address(address) => address.to_string(),
        GatewayDestination::Hostname(hostname) => hostname.to_string(),
        _ => String::new(),
    };
    json!({ "destination": destination, "hboneMtlsPort": gateway.hbone_mtls_port })
}

fn status(status: WorkloadStatus) -> &'static str {
    match status {
        WorkloadStatus::Unhealthy => "Unhealthy",
        _ => "Healthy",
    }
}

fn mode(mode: LoadBalancingMode) -> &'static str {
    match mode {
        LoadBalancingMode::Strict => "Strict",
        LoadBalancingMode::Failover => "Failover",
        LoadBalancingMode::Passthrough => "Passthrough",
        _ => "Standard",
    }
}

fn scope(scope: RoutingScope) -> &'static str {
    match scope {
        RoutingScope::Region => "Region",
        RoutingScope::Zone => "Zone",
        RoutingScope::Subzone => "Subzone",
        RoutingScope::Node => "Node",
        RoutingScope::Cluster => "Cluster",
        _ => "Network",
    }
}

/// Standard base64 with padding (RFC 4648 section 4).
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4_usize {
            let six = usize::try_from(group >> (18 - 6 * at) & 63).unwrap_or(0);
            let letter = ALPHABET.get(six).copied().unwrap_or(b'=');
            text.push(if at <= chunk.len() {
                letter.into()
            } else {
                '='
            });
        }
    }
    text
}
