//! Defaults, limits and rejections of section 3 of Istio's workload API, field by field.

use bytes::Bytes;
use mesh_core::model::{
    ApplicationProtocol, ApplicationTunnel, GatewayAddress, GatewayDestination, HealthPolicy,
    IpFamilies, LoadBalancing, LoadBalancingMode, Locality, NamespacedHostname, NetworkAddress,
    NetworkMode, RoutingScope, ServiceSpec, TunnelProtocol, Visibility, WorkloadSpec,
    WorkloadStatus, WorkloadType,
};
use mesh_core::store::{MeshStore, Update};
use prost::Message;

use super::{Addresses, Converter};
use crate::apply::{Apply, Rejection};
use crate::delta::{Change, Incoming, Resources};
use crate::wire::workload as wire;

fn workload(edit: impl FnOnce(&mut wire::Workload)) -> Result<WorkloadSpec, String> {
    let mut message = wire::Workload {
        uid: "uid".into(),
        ..wire::Workload::default()
    };
    edit(&mut message);
    Converter::new()
        .workload(message, None)
        .map_err(|error| error.to_string())
}

fn service(edit: impl FnOnce(&mut wire::Service)) -> Result<ServiceSpec, String> {
    let mut message = wire::Service {
        namespace: "ns".into(),
        hostname: "host".into(),
        ..wire::Service::default()
    };
    edit(&mut message);
    Converter::new()
        .service(message, None)
        .map_err(|error| error.to_string())
}

fn network_address(address: &'static [u8], length: Option<u32>) -> wire::NetworkAddress {
    wire::NetworkAddress {
        network: "net".into(),
        address: Bytes::from_static(address),
        length,
    }
}

fn gateway(port: u32) -> wire::GatewayAddress {
    let address = network_address(&[10, 0, 0, 9], None);
    wire::GatewayAddress {
        destination: Some(wire::gateway_address::Destination::Address(address)),
        hbone_mtls_port: port,
    }
}

fn port(service_port: u32, target_port: u32) -> wire::Port {
    wire::Port {
        service_port,
        target_port,
        app_protocol: 77,
    }
}

#[test]
fn absent_fields_of_a_workload_have_their_defaults() {
    let expected = WorkloadSpec {
        uid: "uid".into(),
        trust_domain: "cluster.local".into(),
        service_account: "default".into(),
        cluster_id: "Kubernetes".into(),
        capacity: 1,
        ..WorkloadSpec::default()
    };
    assert_eq!(workload(|_| {}), Ok(expected));
}

#[test]
fn every_field_of_a_workload_has_its_number() {
    // Written out as protobuf has it: (number << 3 | wire type), length, content.
    let mut bytes = vec![];
    let mut text = |number: u32, text: &str| {
        prost::encoding::encode_varint(u64::from(number << 3 | 2), &mut bytes);
        prost::encoding::encode_varint(text.len() as u64, &mut bytes);
        bytes.extend(text.as_bytes());
    };
    text(20, "c//Pod/ns/web-1");
    text(1, "web-1");
    text(2, "ns");
    text(3, "\u{a}\0\0\u{1}");
    text(21, "host.example");
    text(4, "net");
    text(6, "td");
    text(7, "sa");
    text(
        8,
        "\u{12}\u{b}\u{a}\u{3}net\u{12}\u{4}\u{a}\0\0\u{9}\u{18}\u{8}",
    );
    text(9, "node");
    text(10, "canonical");
    text(11, "v1");
    text(13, "web");
    text(16, "ns/policy");
    text(18, "cluster");
    text(
        22,
        "\u{a}\u{7}ns/host\u{12}\u{6}\u{a}\u{4}\u{8}\u{50}\u{10}\u{51}",
    );
    text(23, "\u{8}\u{1}\u{10}\u{5}");
    text(24, "\u{a}\u{1}r\u{12}\u{1}z\u{1a}\u{1}s");
    text(27, "\u{8}\u{7}");
    // An unknown field.
    text(99, "future");
    for (number, value) in [(5, 1), (12, 2), (14, 1), (17, 1), (25, 1)] {
        prost::encoding::encode_varint(number << 3, &mut bytes);
        bytes.push(value);
    }
    let message = wire::Workload::decode(bytes.as_slice()).unwrap();
    let spec = Converter::new().workload(message, None).unwrap();
    let expected = WorkloadSpec {
        uid: "c//Pod/ns/web-1".into(),
        name: "web-1".into(),
        namespace: "ns".into(),
        trust_domain: "td".into(),
        service_account: "sa".into(),
        network: "net".into(),
        ips: vec!["10.0.0.1".parse().unwrap()],
        hostname: "host.example".into(),
        tunnel_protocol: TunnelProtocol::Hbone,
        network_mode: NetworkMode::HostNetwork,
        native_tunnel: true,
        waypoint: Some(GatewayAddress {
            destination: GatewayDestination::Address(NetworkAddress::new(
                "net",
                "10.0.0.9".parse().unwrap(),
            )),
            hbone_mtls_port: 8,
        }),
        network_gateway: None,
        node: "node".into(),
        canonical_name: "canonical".into(),
        canonical_revision: "v1".into(),
        workload_type: WorkloadType::Pod,
        workload_name: "web".into(),
        authorization_policies: vec!["ns/policy".into()],
        status: WorkloadStatus::Unhealthy,
        cluster_id: "cluster".into(),
        services: vec![(
            NamespacedHostname::new("ns", "host"),
            [(80, 81)].into_iter().collect(),
        )],
        application_tunnel: Some(ApplicationTunnel {
            protocol: ApplicationProtocol::Proxy,
            port: 5.try_into().ok(),
        }),
        locality: Locality {
            region: "r".into(),
            zone: "z".into(),
            subzone: "s".into(),
        },
        capacity: 7,
    };
    assert_eq!(spec, expected);
}

#[test]
fn a_capacity_of_0_is_not_an_absent_one() {
    assert_eq!(workload(|w| w.capacity = Some(0)).unwrap().capacity, 0);
    assert_eq!(workload(|w| w.capacity = None).unwrap().capacity, 1);
}

#[test]
fn a_sidecar_is_known_and_not_rejected() {
    let spec = workload(|w| w.tunnel_protocol = 2).unwrap();
    assert_eq!(spec.tunnel_protocol, TunnelProtocol::LegacyIstioMtls);
}

#[test]
fn addresses_have_4_or_16_bytes() {
    let with = |bytes: &'static [u8]| workload(|w| w.addresses = vec![Bytes::from_static(bytes)]);
    for good in [&[127, 0, 0, 1][..], &[0; 4], &[0; 16], &[0xfd; 16]] {
        assert_eq!(with(good).unwrap().ips.len(), 1, "{good:?}");
    }
    for bad in [&[][..], &[1], &[10, 0, 0], &[0; 5], &[0; 15], &[0; 17]] {
        let expected = "addresses: expected an IP address of 4 or 16 bytes, got";
        assert_eq!(with(bad), Err(format!("{expected} {} bytes", bad.len())));
    }
}

#[test]
fn what_a_workload_cannot_say_rejects_it_with_the_field() {
    type Edit = fn(&mut wire::Workload);
    let services = |w: &mut wire::Workload, key: &str, ports: Vec<wire::Port>| {
        w.services.insert(key.into(), wire::PortList { ports });
    };
    let list = |service, target| vec![port(service, target)];
    let cases: [(&str, Edit); 5] = [
        ("uid: missing", |w| w.uid.clear()),
        ("tunnel_protocol: unknown value 3", |w| {
            w.tunnel_protocol = 3
        }),
        ("network_mode: unknown value 2", |w| w.network_mode = 2),
        ("waypoint: missing", |w| {
            w.waypoint = Some(wire::GatewayAddress::default())
        }),
        (
            "network_gateway: expected a port from 0 to 65535, got 65536",
            |w| {
                w.network_gateway = Some(gateway(65536));
            },
        ),
    ];
    for (expected, edit) in cases {
        assert_eq!(workload(edit), Err(expected.to_owned()));
    }
    for (key, ports, expected) in [
        (
            "host",
            vec![],
            "services: expected namespace/hostname, got `host`",
        ),
        (
            "/host",
            vec![],
            "services: expected namespace/hostname, got `/host`",
        ),
        (
            "ns/",
            vec![],
            "services: expected namespace/hostname, got `ns/`",
        ),
        (
            "a/b/c",
            vec![],
            "services: expected namespace/hostname, got `a/b/c`",
        ),
        (
            "ns/host",
            list(65616, 80),
            "services.ports.service_port: expected a port from 1 to 65535, got 65616",
        ),
        (
            "ns/host",
            list(0, 80),
            "services.ports.service_port: expected a port from 1 to 65535, got 0",
        ),
        (
            "ns/host",
            list(80, 70000),
            "services.ports.target_port: expected a port from 0 to 65535, got 70000",
        ),
    ] {
        assert_eq!(
            workload(|w| services(w, key, ports)),
            Err(expected.to_owned())
        );
    }
    let tunnel = |protocol, port| {
        workload(|w| w.application_tunnel = Some(wire::ApplicationTunnel { protocol, port }))
    };
    assert_eq!(
        tunnel(2, 0),
        Err("application_tunnel.protocol: unknown value 2".into())
    );
    assert_eq!(
        tunnel(1, 65536),
        Err("application_tunnel.port: expected a port from 0 to 65535, got 65536".into())
    );
    assert_eq!(tunnel(1, 0).unwrap().application_tunnel.unwrap().port, None);
}

#[test]
fn unknown_values_without_danger_count_as_absent() {
    let mut converter = Converter::new();
    let message = wire::Workload {
        uid: "uid".into(),
        workload_type: 9,
        status: 9,
        ..wire::Workload::default()
    };
    let spec = converter.workload(message, None).unwrap();
    assert_eq!(spec.workload_type, WorkloadType::Deployment);
    assert_eq!(spec.status, WorkloadStatus::Healthy);
    assert_eq!(converter.finish(), 2);
    let message = wire::Service {
        namespace: "ns".into(),
        hostname: "host".into(),
        ip_families: 9,
        visibility: 9,
        load_balancing: Some(wire::LoadBalancing {
            routing_preference: vec![1, 9, 2],
            mode: 9,
            health_policy: 9,
        }),
        subject_alt_names: vec!["not-spiffe.example".into(), "spiffe://td/ns/a/sa/b".into()],
        ..wire::Service::default()
    };
    let spec = converter.service(message, None).unwrap();
    let expected = LoadBalancing {
        routing_preferences: vec![RoutingScope::Region, RoutingScope::Zone],
        mode: LoadBalancingMode::Standard,
        health_policy: HealthPolicy::OnlyHealthy,
    };
    assert_eq!(spec.load_balancing, Some(expected));
    assert_eq!(spec.ip_families, IpFamilies::Automatic);
    assert_eq!(spec.visibility, Visibility::Public);
    assert_eq!(spec.subject_alt_names.len(), 1);
    assert_eq!(converter.finish(), 6);
    assert_eq!(converter.finish(), 0);
}

#[test]
fn a_virtual_ip_with_a_length_is_a_range_unless_it_is_a_whole_address() {
    let v6 = &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    for (address, length, vips, ranges) in [
        (&[10, 0, 0, 1][..], None, vec!["10.0.0.1"], vec![]),
        (&[10, 0, 0, 1], Some(32), vec!["10.0.0.1"], vec![]),
        (&[10, 0, 0, 1], Some(24), vec![], vec!["10.0.0.0/24"]),
        (&[10, 0, 0, 1], Some(0), vec![], vec!["0.0.0.0/0"]),
        (v6, None, vec!["fd00::1"], vec![]),
        (v6, Some(128), vec!["fd00::1"], vec![]),
        (v6, Some(32), vec![], vec!["fd00::/32"]),
    ] {
        let spec = service(|s| s.addresses = vec![network_address(address, length)]).unwrap();
        let exact: Vec<_> = spec.vips.iter().map(|vip| vip.ip.to_string()).collect();
        let cidrs: Vec<_> = spec
            .cidr_vips
            .iter()
            .map(|vip| vip.cidr.to_string())
            .collect();
        assert_eq!(
            (exact, cidrs),
            (
                vips.iter().map(ToString::to_string).collect(),
                ranges.iter().map(ToString::to_string).collect()
            )
        );
    }
    for (length, most) in [(33, 32), (256, 32)] {
        let spec = service(|s| s.addresses = vec![network_address(&[10, 0, 0, 1], Some(length))]);
        let expected =
            format!("addresses.length: expected a prefix length of at most {most}, got {length}");
        assert_eq!(spec, Err(expected));
    }
}

#[test]
fn what_a_service_cannot_say_rejects_it_with_the_field() {
    type Edit = fn(&mut wire::Service);
    let cases: [(&str, Edit); 7] = [
        ("namespace: missing", |s| s.namespace.clear()),
        ("hostname: missing", |s| s.hostname.clear()),
        (
            "ports.service_port: expected a port from 1 to 65535, got 65536",
            |s| {
                s.ports = vec![port(65536, 1)];
            },
        ),
        (
            "addresses.address: expected an IP address of 4 or 16 bytes, got 0 bytes",
            |s| {
                s.addresses = vec![network_address(&[], None)];
            },
        ),
        ("load_balancing.routing_preference: missing", |s| {
            s.load_balancing = Some(wire::LoadBalancing {
                routing_preference: vec![0],
                ..wire::LoadBalancing::default()
            });
        }),
        ("weighted_waypoints.destination: missing", |s| {
            s.weighted_waypoints = vec![wire::WeightedWaypoint::default()];
        }),
        ("waypoint: missing", |s| {
            s.waypoint = Some(wire::GatewayAddress::default())
        }),
    ];
    for (expected, edit) in cases {
        assert_eq!(service(edit), Err(expected.to_owned()));
    }
}

#[test]
fn a_gateway_without_a_port_has_the_hbone_port() {
    let spec = service(|s| s.waypoint = Some(gateway(0))).unwrap();
    assert_eq!(spec.waypoint.unwrap().hbone_mtls_port, 15008);
}

#[test]
fn equal_workloads_have_their_services_in_one_order() {
    let keys = ["ns/c", "ns/a", "ns/b"];
    let spec = workload(|w| {
        w.services = keys
            .map(|key| (key.to_owned(), wire::PortList::default()))
            .into();
    });
    let spec = spec.unwrap();
    let order: Vec<_> = spec
        .services
        .iter()
        .map(|(key, _)| key.to_string())
        .collect();
    assert_eq!(order, ["ns/a", "ns/b", "ns/c"]);
}

fn incoming(name: &str, r#type: Option<wire::address::Type>) -> Incoming {
    Incoming {
        name: name.into(),
        body: wire::Address { r#type }.encode_to_vec().into(),
        known: false,
    }
}

fn named(uid: &str) -> Option<wire::address::Type> {
    let workload = wire::Workload {
        uid: uid.into(),
        ..wire::Workload::default()
    };
    Some(wire::address::Type::Workload(workload))
}

#[test]
fn good_addresses_reach_the_store_and_bad_ones_are_named() {
    let store = std::sync::Arc::new(MeshStore::new());
    let mut addresses = Addresses::new(store.clone());
    let service = wire::Service {
        namespace: "ns".into(),
        hostname: "host".into(),
        ..wire::Service::default()
    };
    let garbage = Incoming {
        name: "garbage".into(),
        body: Bytes::from_static(&[0xff]),
        known: false,
    };
    let all = vec![
        incoming("uid", named("uid")),
        incoming("other", named("uid-2")),
        incoming("ns/host", Some(wire::address::Type::Service(service))),
        incoming("kind", None),
        garbage,
    ];
    let applied = addresses.apply(Change::new(Vec::new(), all));
    let rejected: Vec<_> = applied.rejected.iter().map(|r| &*r.name).collect();
    assert_eq!(rejected, ["other", "kind", "garbage"]);
    assert_eq!(
        applied.rejected[0].reason,
        "the resource's own key is `uid-2`"
    );
    assert_eq!(
        applied.rejected[1].reason,
        "neither a workload nor a service"
    );
    let mesh = store.snapshot();
    assert!(mesh.workload("uid").is_some() && mesh.service("ns", "host").is_some());
    assert_eq!(mesh.workload_count(), 1);
    addresses.apply(Change::new(
        vec!["uid".into(), "ns/host".into()],
        Vec::new(),
    ));
    let mesh = store.snapshot();
    assert_eq!(mesh.workload_count() + mesh.service_count(), 0);
}

#[test]
fn what_a_sink_rejects_is_rejected() {
    struct Refusing;
    impl Apply<mesh_core::store::Batch> for Refusing {
        fn apply(&self, batch: mesh_core::store::Batch) -> Vec<Rejection> {
            let refuse = |update: Update<WorkloadSpec>| match update {
                Update::Upsert(spec) => Some(Rejection::new(spec.uid, "no")),
                Update::Remove(_) => None,
            };
            batch.workloads.into_iter().filter_map(refuse).collect()
        }
    }
    let change = Change::new(Vec::new(), vec![incoming("uid", named("uid"))]);
    let applied = Addresses::new(Refusing).apply(change);
    assert_eq!(applied.rejected, [Rejection::new("uid", "no")]);
}

#[cfg(feature = "server")]
mod encoding {
    use super::*;
    use crate::convert::{service_address, workload_address};

    #[test]
    fn what_a_server_encodes_is_what_a_client_gets() {
        let spec = WorkloadSpec {
            uid: "c//Pod/ns/web-1".into(),
            name: "web-1".into(),
            namespace: "ns".into(),
            trust_domain: "cluster.local".into(),
            service_account: "web".into(),
            cluster_id: "Kubernetes".into(),
            ips: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
            tunnel_protocol: TunnelProtocol::Hbone,
            network_mode: NetworkMode::HostNetwork,
            network_gateway: Some(GatewayAddress {
                destination: GatewayDestination::Hostname(NamespacedHostname::new("ns", "gw")),
                hbone_mtls_port: 15443,
            }),
            authorization_policies: vec!["ns/a".into(), "ns/b".into()],
            services: vec![(
                NamespacedHostname::new("ns", "host"),
                [(80, 8080), (90, 0)].into_iter().collect(),
            )],
            application_tunnel: Some(ApplicationTunnel {
                protocol: ApplicationProtocol::Proxy,
                port: None,
            }),
            status: WorkloadStatus::Unhealthy,
            workload_type: WorkloadType::CronJob,
            capacity: 0,
            ..WorkloadSpec::default()
        };
        let bytes = workload_address(&spec).encode_to_vec();
        let Some(wire::address::Type::Workload(message)) =
            wire::Address::decode(bytes.as_slice()).unwrap().r#type
        else {
            panic!("not a workload");
        };
        assert!(message.trust_domain.is_empty(), "as Istio omits it");
        assert_eq!(Converter::new().workload(message, None), Ok(spec));

        let spec = ServiceSpec {
            name: "web".into(),
            namespace: "ns".into(),
            hostname: "host".into(),
            vips: vec![NetworkAddress::new("net", "10.1.0.1".parse().unwrap())],
            cidr_vips: vec![mesh_core::model::NetworkCidr {
                network: "net".into(),
                cidr: "10.2.0.0/16".parse().unwrap(),
            }],
            ports: [(80, 0)].into_iter().collect(),
            subject_alt_names: vec!["spiffe://td/ns/a/sa/b".parse().unwrap()],
            weighted_waypoints: vec![mesh_core::model::WeightedWaypoint {
                waypoint: GatewayAddress {
                    destination: GatewayDestination::Hostname(NamespacedHostname::new("ns", "wp")),
                    hbone_mtls_port: 15008,
                },
                weight: 3,
            }],
            load_balancing: Some(LoadBalancing {
                routing_preferences: vec![RoutingScope::Network, RoutingScope::Node],
                mode: LoadBalancingMode::Failover,
                health_policy: HealthPolicy::AllowAll,
            }),
            ip_families: IpFamilies::Dual,
            canonical: true,
            visibility: Visibility::Namespace,
            waypoint: None,
        };
        let bytes = service_address(&spec).encode_to_vec();
        let Some(wire::address::Type::Service(message)) =
            wire::Address::decode(bytes.as_slice()).unwrap().r#type
        else {
            panic!("not a service");
        };
        assert_eq!(Converter::new().service(message, Some("ns/host")), Ok(spec));
    }
}
