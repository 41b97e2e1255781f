//! Endpoints that others choose, and what they choose from.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use mesh_core::balance::{PickMode, Picked, hosts, pick};
use mesh_core::model::{
    HealthPolicy, LoadBalancing, LoadBalancingMode, Locality, RoutingScope, ServiceSpec,
    WorkloadSpec, WorkloadStatus,
};
use mesh_core::resolve::{OutboundRequest, outbound_to};
use proptest::prelude::*;

use crate::mesh::*;

/// Resolves with an endpoint that was chosen, by its name.
fn hop_to(mesh: &Mesh, to: &str, chosen: &str, port: u16) -> String {
    let uid = format!("cluster1//Pod/default/{chosen}");
    let workload = mesh.snapshot.workload(&uid).unwrap();
    let picked = Picked::new(workload, NonZeroU16::new(port).unwrap());
    let source = mesh.source();
    let request = OutboundRequest::new(source.ips()[0], addr(to));
    let random = &mut || 0;
    let route = outbound_to(
        &mesh.snapshot,
        &mesh.config,
        source,
        &request,
        picked,
        random,
    );
    show(route)
}

fn remote(name: &str) -> WorkloadSpec {
    pod(name, &[])
        .network("remote")
        .of("web", &[])
        .gateway(by_ip_on("remote", "10.9.0.1", 15009))
}

fn mesh(change: impl FnOnce(ServiceSpec) -> ServiceSpec) -> Mesh {
    let workloads = vec![
        pod("web-1", &["10.1.0.2"]).of("web", &[]),
        pod("web-2", &["10.1.0.3"]).of("web", &[]),
        tcp_pod("web-3", &["10.1.0.4"]).of("web", &[]),
        remote("far"),
        pod("gw", &["10.9.0.1"]).network("remote"),
        pod("wp", &["10.1.0.9"]),
    ];
    let web = service("web", &["10.2.0.1"]).sans(&["web"]);
    Mesh::new(workloads, vec![change(web)])
}

#[test]
fn a_chosen_endpoint_is_gone_to_as_if_it_had_been_drawn() {
    let mesh = mesh(|web| web);
    let table = [
        (
            "web-1",
            "hbone 10.1.0.2:15008 for 10.1.0.2:8080 as web+web-1",
        ),
        (
            "web-2",
            "hbone 10.1.0.3:15008 for 10.1.0.3:8080 as web+web-2",
        ),
        ("web-3", "tcp 10.1.0.4:8080"),
        (
            "far",
            "double 10.9.0.1:15009 as gw for web.default:80 as web",
        ),
    ];
    for (chosen, expected) in table {
        assert_eq!(hop_to(&mesh, "10.2.0.1:80", chosen, 8080), expected);
    }
}

#[test]
fn a_choice_leads_around_nothing() {
    let behind = mesh(|web| web.waypoint(by_ip("10.1.0.9")));
    let through = "hbone 10.1.0.9:15008 for 10.2.0.1:80 as wp";
    assert_eq!(hop_to(&behind, "10.2.0.1:80", "web-1", 8080), through);
    let open = mesh(ServiceSpecExt::passthrough);
    let passed = "passthrough 10.2.0.1:80";
    assert_eq!(hop_to(&open, "10.2.0.1:80", "web-1", 8080), passed);
    // Nor is it of concern for what is no service, and it does not lead to the proxy itself.
    let mesh = mesh(|web| web);
    let other = hop_to(&mesh, "10.1.0.3:80", "web-1", 8080);
    assert_eq!(other, "hbone 10.1.0.3:15008 for 10.1.0.3:80 as web-2");
    for port in [15001, 15006, 15008] {
        let mut mesh = Mesh::new(
            vec![pod("self", &["10.1.0.7"]).of("web", &[])],
            vec![service("web", &["10.2.0.1"])],
        );
        mesh.config.illegal_ports = mesh_core::resolve::IllegalPorts::new([15001, 15006, 15008]);
        let shown = hop_to(&mesh.from("self"), "10.2.0.1:80", "self", port);
        assert!(shown.starts_with("error: "), "{port}: {shown}");
    }
}

fn zone(zone: &'static str) -> impl FnOnce(&mut WorkloadSpec) {
    move |w| {
        w.locality = Locality {
            region: "r1".into(),
            zone: zone.into(),
            subzone: "".into(),
        };
    }
}

#[test]
fn hosts_are_known_by_their_address_and_ranked_by_preference() {
    let workloads = vec![
        pod("near", &["10.1.0.2"]).of("web", &[]).with(zone("z1")),
        pod("six", &["fd00::7"])
            .of("web", &[(80, 9090)])
            .with(zone("z2")),
        pod("named", &[])
            .of("web", &[])
            .with(|w| w.hostname = "db.example".into()),
        pod("sick", &["10.1.0.3"])
            .of("web", &[])
            .with(|w| w.status = WorkloadStatus::Unhealthy),
        pod("nothing", &["10.1.0.4"])
            .of("web", &[])
            .with(|w| w.capacity = 0),
        remote("far").with(|w| w.capacity = 3),
        client()
            .with(zone("z1"))
            .with(|w| w.uid = "cluster1//Pod/default/me".into()),
    ];
    let balancing = |mode| LoadBalancing {
        routing_preferences: vec![
            RoutingScope::Network,
            RoutingScope::Region,
            RoutingScope::Zone,
        ],
        mode,
        health_policy: HealthPolicy::OnlyHealthy,
    };
    let of = |mode| {
        let web = service("web", &["10.2.0.1"]).with(|s| s.load_balancing = Some(balancing(mode)));
        let mesh = Mesh::new(workloads.clone(), vec![web]).from("me");
        let web = mesh.snapshot.service("default", "web.default").unwrap();
        let set = mesh.snapshot.endpoints(web);
        let hosts = hosts(web, set, mesh.source(), 80);
        let row = |host: mesh_core::lb::HostSpec<mesh_core::balance::EndpointTarget>| {
            let key = host.key.to_string();
            (key, host.priority, host.weight, host.locality.to_string())
        };
        hosts.into_iter().map(row).collect::<Vec<_>>()
    };
    let row = |key: &str, priority, weight, locality: &str| {
        (key.to_owned(), priority, weight, locality.to_owned())
    };
    let near = row("10.1.0.2:8080", 0, 1, "r1/z1");
    let all = [
        near.clone(),
        row("[fd00::7]:9090", 1, 1, "r1/z2"),
        row("db.example:8080", 2, 1, ""),
        row("remote/cluster1//Pod/default/far:8080", 3, 3, ""),
    ];
    assert_eq!(of(LoadBalancingMode::Failover), all);
    assert_eq!(of(LoadBalancingMode::Strict), [near]);
    let equal: Vec<u32> = of(LoadBalancingMode::Standard)
        .iter()
        .map(|row| row.1)
        .collect();
    assert_eq!(equal, [0; 4]);
}

fn arbitrary_endpoint() -> impl Strategy<Value = (u8, u8, u32, bool, bool)> {
    (0_u8..3, 0_u8..3, 0_u32..3, any::<bool>(), any::<bool>())
}

proptest! {
    /// Hosts of the first priority are those that drawing may come to.
    #[test]
    fn hosts_and_draws_agree(
        endpoints in prop::collection::vec(arbitrary_endpoint(), 0..7),
        mode in 0_usize..3,
    ) {
        let workloads = endpoints.iter().enumerate().map(|(n, (region, zone, capacity, healthy, mapped))| {
            let ports: &[(u16, u16)] = if *mapped { &[(80, 9000)] } else { &[] };
            pod(&format!("p{n}"), &[&format!("10.1.1.{n}")]).of("web", ports).with(|w| {
                w.locality.region = format!("r{region}").into();
                w.locality.zone = format!("z{zone}").into();
                w.capacity = *capacity;
                if !healthy {
                    w.status = WorkloadStatus::Unhealthy;
                }
            })
        });
        let me = client().with(|w| {
            w.uid = "cluster1//Pod/default/me".into();
            (w.locality.region, w.locality.zone) = ("r0".into(), "z0".into());
        });
        let workloads = workloads.chain([me]).collect();
        let mode = [LoadBalancingMode::Standard, LoadBalancingMode::Failover, LoadBalancingMode::Strict][mode];
        let web = service("web", &["10.2.0.1"]).with(|s| s.load_balancing = Some(LoadBalancing {
            routing_preferences: vec![RoutingScope::Region, RoutingScope::Zone],
            mode,
            health_policy: HealthPolicy::OnlyHealthy,
        }));
        let mesh = Mesh::new(workloads, vec![web]).from("me");
        let web = mesh.snapshot.service("default", "web.default").unwrap();
        let set = mesh.snapshot.endpoints(web);
        let first: BTreeSet<String> = hosts(web, set, mesh.source(), 80)
            .into_iter()
            .filter(|host| host.priority == 0)
            .map(|host| format!("{}:{}", host.target.workload.uid(), host.target.port))
            .collect();
        let mut seed = 0_u64;
        let mut random = move || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
        };
        let drawn: BTreeSet<String> = (0..400)
            .filter_map(|_| pick(web, set, mesh.source(), 80, PickMode::Standard, &mut random))
            .map(|picked| format!("{}:{}", picked.workload.uid(), picked.port))
            .collect();
        prop_assert_eq!(first, drawn);
    }
}
