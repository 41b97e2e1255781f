//! From the model to messages, for servers.

use std::net::IpAddr;

use bytes::Bytes;
use mesh_core::model::{
    ApplicationProtocol, GatewayAddress, GatewayDestination, HealthPolicy, IpFamilies,
    LoadBalancing, LoadBalancingMode, NetworkAddress, NetworkMode, PortMap, RoutingScope,
    ServiceSpec, TunnelProtocol, Visibility, WorkloadSpec, WorkloadStatus, WorkloadType,
};

use crate::wire::workload as wire;

/// A workload as a control plane sends it, with the fields that have their default left out.
#[must_use]
pub fn workload_address(spec: &WorkloadSpec) -> wire::Address {
    let locality = &spec.locality;
    let has_locality = [&locality.region, &locality.zone, &locality.subzone]
        .into_iter()
        .any(|part| !part.is_empty());
    let workload = wire::Workload {
        uid: spec.uid.to_string(),
        name: spec.name.to_string(),
        namespace: spec.namespace.to_string(),
        addresses: spec.ips.iter().map(|ip| bytes(*ip)).collect(),
        hostname: spec.hostname.to_string(),
        network: spec.network.to_string(),
        tunnel_protocol: tunnel_protocol(spec.tunnel_protocol).into(),
        trust_domain: unless(&spec.trust_domain, "cluster.local"),
        service_account: unless(&spec.service_account, "default"),
        waypoint: spec.waypoint.as_ref().map(gateway),
        network_gateway: spec.network_gateway.as_ref().map(gateway),
        node: spec.node.to_string(),
        canonical_name: spec.canonical_name.to_string(),
        canonical_revision: spec.canonical_revision.to_string(),
        workload_type: workload_type(spec.workload_type).into(),
        workload_name: spec.workload_name.to_string(),
        native_tunnel: spec.native_tunnel,
        authorization_policies: spec
            .authorization_policies
            .iter()
            .map(ToString::to_string)
            .collect(),
        status: match spec.status {
            WorkloadStatus::Unhealthy => wire::WorkloadStatus::Unhealthy,
            _ => wire::WorkloadStatus::Healthy,
        }
        .into(),
        cluster_id: unless(&spec.cluster_id, "Kubernetes"),
        services: spec
            .services
            .iter()
            .map(|(key, map)| {
                let ports = ports(map);
                (key.to_string(), wire::PortList { ports })
            })
            .collect(),
        application_tunnel: spec
            .application_tunnel
            .map(|tunnel| wire::ApplicationTunnel {
                protocol: match tunnel.protocol {
                    ApplicationProtocol::Proxy => wire::application_tunnel::Protocol::Proxy,
                    _ => wire::application_tunnel::Protocol::None,
                }
                .into(),
                port: tunnel.port.map_or(0, |port| port.get().into()),
            }),
        locality: has_locality.then(|| wire::Locality {
            region: locality.region.to_string(),
            zone: locality.zone.to_string(),
            subzone: locality.subzone.to_string(),
        }),
        network_mode: match spec.network_mode {
            NetworkMode::HostNetwork => wire::NetworkMode::HostNetwork,
            _ => wire::NetworkMode::Standard,
        }
        .into(),
        extensions: Vec::new(),
        capacity: (spec.capacity != 1).then_some(spec.capacity),
    };
    wire::Address {
        r#type: Some(wire::address::Type::Workload(workload)),
    }
}

/// A service as a control plane sends it.
#[must_use]
pub fn service_address(spec: &ServiceSpec) -> wire::Address {
    let ranges = spec.cidr_vips.iter().map(|vip| wire::NetworkAddress {
        network: vip.network.to_string(),
        address: bytes(vip.cidr.addr()),
        length: Some(vip.cidr.prefix_len().into()),
    });
    let service = wire::Service {
        name: spec.name.to_string(),
        namespace: spec.namespace.to_string(),
        hostname: spec.hostname.to_string(),
        addresses: spec.vips.iter().map(address).chain(ranges).collect(),
        ports: ports(&spec.ports),
        subject_alt_names: spec
            .subject_alt_names
            .iter()
            .map(ToString::to_string)
            .collect(),
        waypoint: spec.waypoint.as_ref().map(gateway),
        load_balancing: spec.load_balancing.as_ref().map(load_balancing),
        ip_families: match spec.ip_families {
            IpFamilies::V4 => wire::IpFamilies::Ipv4Only,
            IpFamilies::V6 => wire::IpFamilies::Ipv6Only,
            IpFamilies::Dual => wire::IpFamilies::Dual,
            _ => wire::IpFamilies::Automatic,
        }
        .into(),
        canonical: spec.canonical,
        weighted_waypoints: spec
            .weighted_waypoints
            .iter()
            .map(|share| wire::WeightedWaypoint {
                destination: Some(gateway(&share.waypoint)),
                weight: share.weight,
            })
            .collect(),
        visibility: match spec.visibility {
            Visibility::Namespace => wire::service::Visibility::Namespace,
            _ => wire::service::Visibility::Public,
        }
        .into(),
        ..wire::Service::default()
    };
    wire::Address {
        r#type: Some(wire::address::Type::Service(service)),
    }
}

fn unless(text: &str, default: &str) -> String {
    if text == default { "" } else { text }.to_owned()
}

fn bytes(ip: IpAddr) -> Bytes {
    match ip {
        IpAddr::V4(ip) => Bytes::copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => Bytes::copy_from_slice(&ip.octets()),
    }
}

fn address(address: &NetworkAddress) -> wire::NetworkAddress {
    wire::NetworkAddress {
        network: address.network.to_string(),
        address: bytes(address.ip),
        length: None,
    }
}

fn gateway(from: &GatewayAddress) -> wire::GatewayAddress {
    use wire::gateway_address::Destination;
    let destination = match &from.destination {
        GatewayDestination::Address(at) => Some(Destination::Address(address(at))),
        GatewayDestination::Hostname(host) => {
            Some(Destination::Hostname(wire::NamespacedHostname {
                namespace: host.namespace.to_string(),
                hostname: host.hostname.to_string(),
            }))
        }
        _ => None,
    };
    wire::GatewayAddress {
        destination,
        hbone_mtls_port: from.hbone_mtls_port.into(),
    }
}

fn ports(map: &PortMap) -> Vec<wire::Port> {
    map.iter()
        .map(|(service, target)| wire::Port {
            service_port: service.into(),
            target_port: target.map_or(0, |port| port.get().into()),
            app_protocol: 0,
        })
        .collect()
}

fn tunnel_protocol(from: TunnelProtocol) -> wire::TunnelProtocol {
    match from {
        TunnelProtocol::Hbone => wire::TunnelProtocol::Hbone,
        TunnelProtocol::LegacyIstioMtls => wire::TunnelProtocol::LegacyIstioMtls,
        _ => wire::TunnelProtocol::None,
    }
}

fn workload_type(from: WorkloadType) -> wire::WorkloadType {
    match from {
        WorkloadType::CronJob => wire::WorkloadType::Cronjob,
        WorkloadType::Pod => wire::WorkloadType::Pod,
        WorkloadType::Job => wire::WorkloadType::Job,
        _ => wire::WorkloadType::Deployment,
    }
}

fn load_balancing(from: &LoadBalancing) -> wire::LoadBalancing {
    use wire::load_balancing::{HealthPolicy as Policy, Mode, Scope};
    let scope = |scope: &RoutingScope| match scope {
        RoutingScope::Region => Scope::Region,
        RoutingScope::Zone => Scope::Zone,
        RoutingScope::Subzone => Scope::Subzone,
        RoutingScope::Node => Scope::Node,
        RoutingScope::Cluster => Scope::Cluster,
        RoutingScope::Network => Scope::Network,
        _ => Scope::UnspecifiedScope,
    };
    wire::LoadBalancing {
        routing_preference: from
            .routing_preferences
            .iter()
            .map(|preference| scope(preference).into())
            .collect(),
        mode: match from.mode {
            LoadBalancingMode::Strict => Mode::Strict,
            LoadBalancingMode::Failover => Mode::Failover,
            LoadBalancingMode::Passthrough => Mode::Passthrough,
            _ => Mode::UnspecifiedMode,
        }
        .into(),
        health_policy: match from.health_policy {
            HealthPolicy::AllowAll => Policy::AllowAll,
            _ => Policy::OnlyHealthy,
        }
        .into(),
    }
}
