//! Destinations on other networks: HBONE within HBONE through a gateway.

use mesh_core::model::{
    HealthPolicy, LoadBalancing, LoadBalancingMode, RoutingScope, ServiceSpec, WorkloadSpec,
    WorkloadStatus,
};
use mesh_core::resolve::RouteReason;

use crate::mesh::*;

/// What stands for the endpoints of a service on another network: no addresses, a gateway.
fn placeholder(gateway: mesh_core::model::GatewayAddress) -> WorkloadSpec {
    pod("remote", &[])
        .network("remote")
        .of("web", &[])
        .gateway(gateway)
        .with(|w| {
            w.uid = "remote/SplitHorizonWorkload/gateway/web".into();
            w.capacity = 3;
        })
}

fn web() -> ServiceSpec {
    service("web", &["10.2.0.1"]).sans(&["web-a", "web-b"])
}

fn gateways() -> Vec<WorkloadSpec> {
    vec![
        pod("gw", &["10.9.0.1"]).network("remote"),
        pod("gw-named", &[])
            .network("remote")
            .with(|w| w.hostname = "gw.example.com".into()),
        pod("gw-pod", &["10.9.0.2", "fd09::2"])
            .network("remote")
            .of("gw-service", &[]),
    ]
}

fn gateway_service() -> ServiceSpec {
    service("gw-service", &[])
        .ports(&[(15009, 15010)])
        .sans(&["gw-fleet"])
}

fn across(gateway: mesh_core::model::GatewayAddress) -> Mesh {
    let mut workloads = gateways();
    workloads.push(placeholder(gateway));
    Mesh::new(workloads, vec![web(), gateway_service()])
}

#[test]
fn a_service_on_another_network_is_asked_for_by_name_through_the_gateway() {
    let end = "for web.default:80 as web-a+web-b";
    let table = [
        (
            "gateway by IP",
            by_ip_on("remote", "10.9.0.1", 15009),
            format!("double 10.9.0.1:15009 as gw {end}"),
        ),
        (
            "gateway by the host name of a workload",
            by_name_at("gw.example.com", 15009),
            format!("double gw.example.com:15009 (V4) as gw-named {end}"),
        ),
        (
            "gateway by the host name of a service, which maps the port",
            by_name_at("gw-service.default", 15009),
            format!("double 10.9.0.2:15010 as gw-fleet+gw-pod {end}"),
        ),
        (
            "unknown gateway",
            by_ip_on("remote", "10.9.9.9", 15009),
            "error: network gateway remote/10.9.9.9 of workload \
             remote/SplitHorizonWorkload/gateway/web cannot be resolved"
                .to_owned(),
        ),
        (
            "a gateway of a network is not looked for on another",
            by_ip_on("", "10.9.0.1", 15009),
            "error: network gateway /10.9.0.1 of workload \
             remote/SplitHorizonWorkload/gateway/web cannot be resolved"
                .to_owned(),
        ),
        (
            "gateway service without the port",
            by_name_at("gw-service.default", 15008),
            "error: network gateway default/gw-service.default of workload \
             remote/SplitHorizonWorkload/gateway/web cannot be resolved"
                .to_owned(),
        ),
    ];
    for (name, gateway, expected) in table {
        assert_eq!(across(gateway).hop("10.2.0.1:80"), expected, "{name}");
    }
    let route = across(by_ip_on("remote", "10.9.0.1", 15009))
        .resolve("10.2.0.1:80", 0)
        .unwrap();
    assert_eq!(route.reason, RouteReason::ServiceEndpoint);
    assert_eq!(route.destination.unwrap().name(), "remote");
    assert_eq!(route.gateway.unwrap().name(), "gw");
}

#[test]
fn a_gateway_service_needs_the_port_even_with_an_application_tunnel() {
    let tunnelled = pod("gw", &["10.9.0.1"])
        .network("remote")
        .of("gw-service", &[])
        .tunnel(mesh_core::model::ApplicationProtocol::Proxy, 15088);
    let hop = |port| {
        let remote = placeholder(by_name_at("gw-service.default", port));
        let mesh = Mesh::new(
            vec![tunnelled.clone(), remote],
            vec![web(), gateway_service()],
        );
        mesh.hop("10.2.0.1:80")
    };
    assert!(hop(15009).starts_with("double 10.9.0.1:15010 "));
    assert!(hop(15008).starts_with("error: network gateway default/gw-service.default "));
}

#[test]
fn an_endpoint_on_another_network_without_gateway_is_not_reached() {
    let remote = |ips: &[&str]| pod("remote", ips).network("remote").of("web", &[]);
    let hop = |workload| Mesh::new(vec![workload], vec![web()]).hop("10.2.0.1:80");
    assert_eq!(
        hop(remote(&["10.9.0.5"])),
        "error: workload cluster1//Pod/default/remote is on another network that has no gateway",
    );
    // Without an address it is not even a candidate.
    let none = "error: service default/web.default has no healthy endpoint for port 80";
    assert_eq!(hop(remote(&[])), none);
}

#[test]
fn a_service_without_identities_for_other_networks_is_named() {
    let mut workloads = gateways();
    workloads.push(placeholder(by_ip_on("remote", "10.9.0.1", 15009)));
    let mesh = Mesh::new(workloads, vec![web().sans(&[])]);
    assert_eq!(
        mesh.hop("10.2.0.1:80"),
        "error: service default/web.default names no identities for its endpoints on other networks",
    );
}

#[test]
fn a_host_name_that_cannot_be_asked_for_is_an_error() {
    let mut workloads = gateways();
    let key = |w: &mut WorkloadSpec| w.services[0].0.hostname = "not a name".into();
    workloads.push(placeholder(by_ip_on("remote", "10.9.0.1", 15009)).with(key));
    let mesh = Mesh::new(
        workloads,
        vec![web().with(|s| s.hostname = "not a name".into())],
    );
    let expected = "error: default/not a name is not a valid host name";
    assert_eq!(mesh.hop("10.2.0.1:80"), expected);
}

#[test]
fn a_waypoint_on_another_network_is_reached_through_the_gateway() {
    let mesh = |sans: &[&str]| {
        let mut workloads = gateways();
        workloads.push(
            pod("wp", &[])
                .network("remote")
                .of("wp", &[])
                .gateway(by_ip_on("remote", "10.9.0.1", 15009)),
        );
        workloads.push(pod("near", &["10.1.0.2"]).of("web", &[]));
        workloads.push(pod("guarded", &["10.1.0.3"]).waypoint(by_name("wp.default")));
        let wp = service("wp", &["10.2.0.9"]).sans(sans);
        Mesh::new(workloads, vec![web().waypoint(by_name("wp.default")), wp])
    };
    // Asked for is the service that the client addressed; who answers is the waypoint.
    let double = "double 10.9.0.1:15009 as gw for web.default:80 as wp-fleet";
    assert_eq!(mesh(&["wp-fleet"]).hop("10.2.0.1:80"), double);
    assert_eq!(
        mesh(&[]).hop("10.2.0.1:80"),
        "error: service default/wp.default names no identities for its endpoints on other networks",
    );
    // A workload has no name to ask the gateway for.
    assert_eq!(
        mesh(&["wp-fleet"]).hop("10.1.0.3:80"),
        "error: workload cluster1//Pod/default/wp is on another network \
         and was not addressed through a service",
    );
}

#[test]
fn failover_leaves_the_network_only_when_it_must() {
    let mesh = |near: WorkloadStatus| {
        let mut workloads = gateways();
        workloads.push(placeholder(by_ip_on("remote", "10.9.0.1", 15009)));
        workloads.push(
            pod("near", &["10.1.0.2"])
                .of("web", &[])
                .with(|w| w.status = near),
        );
        let balancing = LoadBalancing {
            routing_preferences: vec![RoutingScope::Network, RoutingScope::Region],
            mode: LoadBalancingMode::Failover,
            health_policy: HealthPolicy::OnlyHealthy,
        };
        Mesh::new(
            workloads,
            vec![web().with(|s| s.load_balancing = Some(balancing))],
        )
    };
    for random in [0, u64::MAX] {
        let shown = |near| show(mesh(near).resolve("10.2.0.1:80", random));
        assert_eq!(
            shown(WorkloadStatus::Healthy),
            "hbone 10.1.0.2:15008 for 10.1.0.2:8080 as near+web-a+web-b",
        );
        assert_eq!(
            shown(WorkloadStatus::Unhealthy),
            "double 10.9.0.1:15009 as gw for web.default:80 as web-a+web-b",
        );
    }
}

#[test]
fn addresses_mean_something_on_the_network_of_the_source_only() {
    let mesh = Mesh::new(
        vec![
            pod("there", &["10.1.0.2"]).network("remote"),
            client().network("remote").with(|w| {
                w.uid = "cluster1//Pod/default/far".into();
            }),
        ],
        vec![],
    );
    assert_eq!(mesh.hop("10.1.0.2:80"), "passthrough 10.1.0.2:80");
    let expected = "hbone 10.1.0.2:15008 for 10.1.0.2:80 as there";
    assert_eq!(mesh.from("far").hop("10.1.0.2:80"), expected);
}
