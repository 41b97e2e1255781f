//! Destinations without waypoints on one network.

use mesh_core::model::{
    HealthPolicy, LoadBalancing, LoadBalancingMode, NetworkMode, RoutingScope, TunnelProtocol,
    WorkloadStatus,
};
use mesh_core::resolve::RouteReason;

use crate::mesh::*;

fn mesh() -> Mesh {
    let workloads = vec![
        pod("hbone", &["10.1.0.2"]).of("web", &[]),
        pod("hbone-remote", &["10.1.1.2"]).with(|w| w.node = "node2".into()),
        tcp_pod("tcp", &["10.1.0.3"]).of("plain", &[]),
        tcp_pod("tcp-remote", &["10.1.1.3"]).with(|w| w.node = "node2".into()),
        tcp_pod("legacy", &["10.1.0.4"])
            .with(|w| w.tunnel_protocol = TunnelProtocol::LegacyIstioMtls),
    ];
    let services = vec![
        service("web", &["10.2.0.1"]),
        service("plain", &["10.2.0.2"]),
        service("empty", &["10.2.0.3"]),
        service("none", &["10.2.0.4"]).passthrough(),
        service("sans", &["10.2.0.5"]).sans(&["extra"]),
    ];
    Mesh::new(workloads, services)
}

#[test]
fn destinations_go_where_the_mesh_says() {
    let table = [
        ("unknown", "1.2.3.4:80", "passthrough 1.2.3.4:80"),
        (
            "unknown v6",
            "[2001:db8::1]:80",
            "passthrough [2001:db8::1]:80",
        ),
        ("local TCP workload", "10.1.0.3:80", "tcp 10.1.0.3:80"),
        ("remote TCP workload", "10.1.1.3:80", "tcp 10.1.1.3:80"),
        (
            "local HBONE workload",
            "10.1.0.2:80",
            "hbone 10.1.0.2:15008 for 10.1.0.2:80 as hbone",
        ),
        (
            "remote HBONE workload",
            "10.1.1.2:80",
            "hbone 10.1.1.2:15008 for 10.1.1.2:80 as hbone-remote",
        ),
        ("sidecar mutual TLS", "10.1.0.4:80", "tcp 10.1.0.4:80"),
        (
            "HBONE port of another pod",
            "10.1.0.3:15008",
            "tcp 10.1.0.3:15008",
        ),
        (
            "service",
            "10.2.0.1:80",
            "hbone 10.1.0.2:15008 for 10.1.0.2:8080 as hbone",
        ),
        ("service of TCP pods", "10.2.0.2:80", "tcp 10.1.0.3:8080"),
        (
            "service without that port",
            "10.2.0.1:81",
            "error: service default/web.default has no healthy endpoint for port 81",
        ),
        (
            "service without endpoints",
            "10.2.0.3:80",
            "error: service default/empty.default has no healthy endpoint for port 80",
        ),
        (
            "service without balancing",
            "10.2.0.4:80",
            "passthrough 10.2.0.4:80",
        ),
        (
            "mapped address",
            "[::ffff:10.2.0.2]:80",
            "tcp 10.1.0.3:8080",
        ),
        (
            "own workload",
            "10.1.0.1:80",
            "hbone 10.1.0.1:15008 for 10.1.0.1:80 as client",
        ),
    ];
    let mesh = mesh();
    for (name, to, expected) in table {
        assert_eq!(mesh.hop(to), expected, "{name}");
    }
}

#[test]
fn a_route_says_what_was_addressed_and_chosen_and_why() {
    let table = [
        (
            "unknown",
            "1.2.3.4:80",
            "",
            "",
            RouteReason::UnknownDestination,
        ),
        (
            "workload",
            "10.1.0.2:80",
            "",
            "hbone",
            RouteReason::Workload,
        ),
        (
            "service",
            "10.2.0.1:80",
            "web.default",
            "hbone",
            RouteReason::ServiceEndpoint,
        ),
        (
            "none",
            "10.2.0.4:80",
            "none.default",
            "",
            RouteReason::PassthroughService,
        ),
    ];
    let mesh = mesh();
    for (name, to, service, workload, reason) in table {
        let route = mesh.resolve(to, 0).expect(name);
        let found = route.service.map(|s| s.spec().hostname.clone());
        assert_eq!(found.unwrap_or_default(), service, "{name}");
        let found = route.destination.map(|w| w.name().to_owned());
        assert_eq!(found.unwrap_or_default(), workload, "{name}");
        assert_eq!(route.reason, reason, "{name}");
    }
}

#[test]
fn the_ports_of_an_endpoint_win_over_those_of_the_service() {
    let services = || vec![service("web", &["10.2.0.1"]).ports(&[(80, 8080), (81, 0)])];
    let own = || pod("own", &["10.1.0.2"]).of("web", &[(80, 9090), (81, 9091)]);
    let plain = || pod("plain", &["10.1.0.3"]).of("web", &[]);
    let table = [
        ("own mapping", vec![own()], "10.2.0.1:80", "10.1.0.2:9090"),
        (
            "the service's mapping",
            vec![plain()],
            "10.2.0.1:80",
            "10.1.0.3:8080",
        ),
        // A named port: only the endpoint that has it.
        (
            "named, first",
            vec![own(), plain()],
            "10.2.0.1:81",
            "10.1.0.2:9091",
        ),
        (
            "named, last",
            vec![plain(), own()],
            "10.2.0.1:81",
            "10.1.0.2:9091",
        ),
    ];
    for (name, workloads, to, authority) in table {
        let mesh = Mesh::new(workloads, services());
        for random in [0, u64::MAX / 2, u64::MAX] {
            let shown = show(mesh.resolve(to, random));
            assert!(
                shown.contains(&format!("for {authority} ")),
                "{name}: {shown}"
            );
        }
    }
    let nobody = Mesh::new(vec![plain()], services());
    assert!(nobody.hop("10.2.0.1:81").starts_with("error: service"));
}

#[test]
fn pods_in_the_network_of_their_node_are_found_by_service_and_not_by_address() {
    let host = |name: &str| {
        tcp_pod(name, &["10.0.0.1"]).with(|w| w.network_mode = NetworkMode::HostNetwork)
    };
    let mesh = Mesh::new(
        vec![
            host("a").of("a", &[(80, 1001)]),
            host("b").of("b", &[(80, 1002)]),
        ],
        vec![service("a", &["10.2.0.1"]), service("b", &["10.2.0.2"])],
    );
    let table = [
        ("service a", "10.2.0.1:80", "tcp 10.0.0.1:1001", Some("a")),
        ("service b", "10.2.0.2:80", "tcp 10.0.0.1:1002", Some("b")),
        ("node", "10.0.0.1:1001", "passthrough 10.0.0.1:1001", None),
    ];
    for (name, to, hop, workload) in table {
        assert_eq!(mesh.hop(to), hop, "{name}");
        let chosen = mesh.resolve(to, 0).unwrap().destination;
        assert_eq!(chosen.as_ref().map(|w| w.name()), workload, "{name}");
    }
}

#[test]
fn endpoints_are_balanced_before_addresses_are_chosen() {
    let failover = |mode| LoadBalancing {
        routing_preferences: vec![RoutingScope::Node],
        mode,
        health_policy: HealthPolicy::OnlyHealthy,
    };
    let near = || pod("near", &["10.1.0.2"]).of("web", &[]);
    let far = || {
        pod("far", &["10.1.0.3"])
            .of("web", &[])
            .with(|w| w.node = "node2".into())
    };
    let sick = |w: mesh_core::model::WorkloadSpec| w.with(|w| w.status = WorkloadStatus::Unhealthy);
    let idle = |w: mesh_core::model::WorkloadSpec| w.with(|w| w.capacity = 0);
    let none = "error: service default/web.default has no healthy endpoint for port 80";
    let near_hop = "hbone 10.1.0.2:15008 for 10.1.0.2:8080 as near";
    let far_hop = "hbone 10.1.0.3:15008 for 10.1.0.3:8080 as far";
    use LoadBalancingMode::{Failover, Strict};
    let table = [
        ("failover near", Failover, vec![near(), far()], near_hop),
        ("failover far", Failover, vec![sick(near()), far()], far_hop),
        ("strict near", Strict, vec![near(), far()], near_hop),
        ("strict none", Strict, vec![sick(near()), far()], none),
        ("capacity 0", Strict, vec![idle(near()), far()], none),
    ];
    for (name, mode, workloads, expected) in table {
        let balanced = service("web", &["10.2.0.1"]).with(|s| {
            s.load_balancing = Some(failover(mode));
        });
        assert_eq!(
            Mesh::new(workloads, vec![balanced]).hop("10.2.0.1:80"),
            expected,
            "{name}"
        );
    }
}

#[test]
fn the_identities_of_a_service_are_expected_beside_the_workloads_own() {
    let mesh = |account: &str, sans: &[&str]| {
        let workload = pod("web", &["10.1.0.2"]).of("web", &[]).with(|w| {
            w.service_account = account.into();
        });
        Mesh::new(
            vec![workload],
            vec![service("web", &["10.2.0.1"]).sans(sans)],
        )
    };
    let service = "10.2.0.1:80";
    let hop = |peers: &str| format!("hbone 10.1.0.2:15008 for 10.1.0.2:8080 as {peers}");
    assert_eq!(mesh("web", &["other"]).hop(service), hop("other+web"));
    assert_eq!(mesh("web", &["web"]).hop(service), hop("web"));
    assert_eq!(mesh("", &["other"]).hop(service), hop("other"));
    assert_eq!(
        mesh("", &[]).hop(service),
        "error: workload cluster1//Pod/default/web has no valid identity and its service names none",
    );
    // Addressed by its IP it is not the service's, whose names do not count.
    assert_eq!(
        mesh("web", &["other"]).hop("10.1.0.2:80"),
        "hbone 10.1.0.2:15008 for 10.1.0.2:80 as web",
    );
}

#[test]
fn the_hbone_port_is_configured() {
    let mut mesh = mesh();
    mesh.config.hbone_port = 25008;
    assert_eq!(
        mesh.hop("10.1.0.2:80"),
        "hbone 10.1.0.2:25008 for 10.1.0.2:80 as hbone"
    );
}
