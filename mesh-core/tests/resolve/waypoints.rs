//! Destinations with waypoints.

use mesh_core::model::{ApplicationProtocol, WorkloadSpec};
use mesh_core::resolve::RouteReason;

use crate::mesh::*;

/// A waypoint pod that belongs to the service of the same name.
fn waypoint(name: &str, ips: &[&str]) -> WorkloadSpec {
    pod(name, ips).of(name, &[])
}

#[test]
fn a_waypoint_is_asked_for_the_original_destination() {
    let mesh = Mesh::new(
        vec![
            waypoint("wp", &["10.1.0.9", "fd00::9"]),
            tcp_pod("plain-wp", &["10.1.0.8"]).with(|w| w.hostname = "plain.wp".into()),
            pod("by-ip", &["10.1.0.2", "fd00::2"])
                .waypoint(by_ip("10.1.0.9"))
                .of("pods", &[]),
            pod("by-vip", &["10.1.0.3"]).waypoint(by_ip("10.2.0.9")),
            pod("by-name", &["10.1.0.4", "fd00::4"]).waypoint(by_name("wp.default")),
            tcp_pod("tcp", &["10.1.0.5"]).waypoint(by_name("wp.default")),
            pod("plain", &["10.1.0.6"]).waypoint(by_name("plain.wp")),
        ],
        vec![
            service("wp", &["10.2.0.9"]).sans(&["fleet"]),
            service("by-ip", &["10.2.0.1"]).waypoint(by_ip("10.1.0.9")),
            service("by-vip", &["10.2.0.2"]).waypoint(by_ip("10.2.0.9")),
            service("by-name", &["10.2.0.3", "fd01::3"]).waypoint(by_name("wp.default")),
            service("none", &["10.2.0.4"])
                .passthrough()
                .waypoint(by_name("wp.default")),
            service("plain", &["10.2.0.5"]).waypoint(by_name("plain.wp")),
            service("pods", &["10.2.0.6"]),
        ],
    );
    let hop = |ip: &str, to: &str, who: &str| format!("hbone {ip}:15008 for {to} as {who}");
    let table = [
        // A pod stands for itself; a service's names are expected too.
        ("workload by IP", "10.1.0.2:80", "10.1.0.9", "wp"),
        ("workload by VIP", "10.1.0.3:80", "10.1.0.9", "fleet+wp"),
        ("workload by name", "10.1.0.4:80", "10.1.0.9", "fleet+wp"),
        ("TCP workload", "10.1.0.5:80", "10.1.0.9", "fleet+wp"),
        ("service by IP", "10.2.0.1:80", "10.1.0.9", "wp"),
        ("service by VIP", "10.2.0.2:80", "10.1.0.9", "fleet+wp"),
        ("service by name", "10.2.0.3:80", "10.1.0.9", "fleet+wp"),
        (
            "service without that port",
            "10.2.0.3:99",
            "10.1.0.9",
            "fleet+wp",
        ),
        (
            "service without balancing",
            "10.2.0.4:80",
            "10.1.0.9",
            "fleet+wp",
        ),
        // Whatever tunnel a waypoint announces, it is HBONE.
        (
            "workload, waypoint by workload name",
            "10.1.0.6:80",
            "10.1.0.8",
            "plain-wp",
        ),
        (
            "service, waypoint by workload name",
            "10.2.0.5:80",
            "10.1.0.8",
            "plain-wp",
        ),
        // A reference by name follows the family of the request, one by address does not.
        (
            "workload by name, v6",
            "[fd00::4]:80",
            "[fd00::9]",
            "fleet+wp",
        ),
        (
            "service by name, v6",
            "[fd01::3]:80",
            "[fd00::9]",
            "fleet+wp",
        ),
        ("workload by IP, v6", "[fd00::2]:80", "10.1.0.9", "wp"),
    ];
    for (name, to, ip, who) in table {
        assert_eq!(mesh.hop(to), hop(ip, to, who), "{name}");
    }
    // Addressed through a service without waypoint, the workload's own is not used.
    let direct = "hbone 10.1.0.2:15008 for 10.1.0.2:8080 as by-ip";
    assert_eq!(mesh.hop("10.2.0.6:80"), direct);

    let route = mesh.resolve("10.2.0.3:80", 0).unwrap();
    assert_eq!(route.reason, RouteReason::ServiceWaypoint);
    assert_eq!(*route.service.unwrap().spec().name, *"by-name");
    assert_eq!(route.destination.unwrap().name(), "wp");
    assert_eq!(
        mesh.resolve("10.1.0.4:80", 0).unwrap().reason,
        RouteReason::WorkloadWaypoint
    );
}

#[test]
fn the_port_of_a_waypoint_is_mapped_by_its_service() {
    let mesh = |ports: &[(u16, u16)], own: &[(u16, u16)], tunnel: Option<u16>| {
        let mut wp = pod("wp", &["10.1.0.9"]).of("wp", own);
        if let Some(port) = tunnel {
            wp = wp.tunnel(ApplicationProtocol::Proxy, port);
        }
        let web = service("web", &["10.2.0.1"]).waypoint(by_name_at("wp.default", 15009));
        Mesh::new(
            vec![wp],
            vec![service("wp", &["10.2.0.9"]).ports(ports), web],
        )
    };
    let hop = |port: u16| format!("hbone 10.1.0.9:{port} for 10.2.0.1:80 as wp");
    let unknown = "error: waypoint default/wp.default of default/web.default cannot be resolved";
    let to = "10.2.0.1:80";
    assert_eq!(mesh(&[(15009, 15010)], &[], None).hop(to), hop(15010));
    assert_eq!(
        mesh(&[(15009, 15010)], &[(15009, 15011)], None).hop(to),
        hop(15011)
    );
    assert_eq!(
        mesh(&[(15009, 0)], &[(15009, 15011)], None).hop(to),
        hop(15011)
    );
    assert_eq!(mesh(&[(80, 80)], &[], None).hop(to), unknown);
    // A waypoint with an application tunnel may have a service without the port.
    assert_eq!(mesh(&[], &[], Some(15088)).hop(to), hop(15009));
    assert_eq!(mesh(&[], &[], Some(0)).hop(to), unknown);
}

#[test]
fn a_waypoint_that_cannot_be_resolved_is_never_bypassed() {
    let sick = mesh_core::model::WorkloadStatus::Unhealthy;
    let mesh = Mesh::new(
        vec![
            pod("wp", &["10.1.0.9"])
                .of("sick", &[])
                .with(|w| w.status = sick),
            pod("pod", &["10.1.0.2"])
                .waypoint(by_name("missing"))
                .of("web", &[]),
            pod("pod-ip", &["10.1.0.3"]).waypoint(by_ip("10.9.9.9")),
            pod("endpoint", &["10.1.0.4"])
                .of("a", &[])
                .of("b", &[])
                .of("c", &[]),
        ],
        vec![
            service("sick", &["10.2.0.8"]),
            service("empty", &["10.2.0.9"]),
            service("a", &["10.2.0.1"]).waypoint(by_name("missing")),
            service("b", &["10.2.0.2"]).waypoint(by_name("empty.default")),
            service("c", &["10.2.0.3"]).waypoint(by_name("sick.default")),
            service("e", &["10.2.0.5"]).waypoint(by_name("")),
            service("d", &["10.2.0.4"])
                .passthrough()
                .waypoint(by_ip("10.9.9.9")),
        ],
    );
    let error =
        |waypoint: &str, of: &str| format!("error: waypoint {waypoint} of {of} cannot be resolved");
    let uid = "cluster1//Pod/default/";
    let table = [
        (
            "workload",
            "10.1.0.2:80",
            error("default/missing", &format!("{uid}pod")),
        ),
        (
            "workload by IP",
            "10.1.0.3:80",
            error("/10.9.9.9", &format!("{uid}pod-ip")),
        ),
        (
            "service",
            "10.2.0.1:80",
            error("default/missing", "default/a.default"),
        ),
        (
            "no endpoints",
            "10.2.0.2:80",
            error("default/empty.default", "default/b.default"),
        ),
        (
            "none healthy",
            "10.2.0.3:80",
            error("default/sick.default", "default/c.default"),
        ),
        (
            "empty name",
            "10.2.0.5:80",
            error("default/", "default/e.default"),
        ),
        (
            "no balancing",
            "10.2.0.4:80",
            error("/10.9.9.9", "default/d.default"),
        ),
    ];
    for (name, to, expected) in table {
        assert_eq!(mesh.hop(to), expected, "{name}");
    }
}

#[test]
fn weighted_waypoints_share_connections_by_weight() {
    let weights = |a, b| [(by_ip("10.1.0.7"), a), (by_ip("10.1.0.8"), b)];
    let shares = |weights: &[(mesh_core::model::GatewayAddress, u32)]| {
        let mesh = Mesh::new(
            vec![
                pod("primary", &["10.1.0.6"]),
                pod("a", &["10.1.0.7"]),
                pod("b", &["10.1.0.8"]),
            ],
            vec![
                service("web", &["10.2.0.1"])
                    .waypoint(by_ip("10.1.0.6"))
                    .weighted(weights),
            ],
        );
        let mut counts = std::collections::BTreeMap::<_, u32>::new();
        for at in 0..100 {
            let random = (u64::MAX / 100) * at + u64::MAX / 200;
            let route = mesh.resolve("10.2.0.1:80", random).unwrap();
            *counts
                .entry(route.destination.unwrap().name().to_string())
                .or_default() += 1;
        }
        counts.into_iter().collect::<Vec<_>>()
    };
    let table = [
        (
            "shares",
            weights(80, 20).to_vec(),
            vec![("a", 80), ("b", 20)],
        ),
        (
            "other shares",
            weights(1, 3).to_vec(),
            vec![("a", 25), ("b", 75)],
        ),
        ("one is 0", weights(0, 5).to_vec(), vec![("b", 100)]),
        ("the last is 0", weights(5, 0).to_vec(), vec![("a", 100)]),
        ("all are 0", weights(0, 0).to_vec(), vec![("primary", 100)]),
        ("none", vec![], vec![("primary", 100)]),
        (
            "largest",
            weights(u32::MAX, u32::MAX).to_vec(),
            vec![("a", 50), ("b", 50)],
        ),
    ];
    for (name, weights, expected) in table {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(n, c)| (n.to_owned(), c))
            .collect();
        assert_eq!(shares(&weights), expected, "{name}");
    }
}

#[test]
fn a_waypoint_itself_goes_straight_to_what_is_behind_it() {
    let mesh = |from: &str| {
        Mesh::new(
            vec![
                waypoint("wp", &["10.1.0.9"]),
                waypoint("canary", &["10.1.0.8"]),
                // Same service account as the waypoint, but not one.
                pod("twin", &["10.1.0.7"]).with(|w| w.service_account = "wp".into()),
                pod("web", &["10.1.0.2"])
                    .waypoint(by_name("wp.default"))
                    .of("web", &[]),
                pod("web-ip", &["10.1.0.3"]).waypoint(by_ip("10.1.0.9")),
                pod("web-vip", &["10.1.0.4"]).waypoint(by_ip("10.2.0.9")),
            ],
            vec![
                service("wp", &["10.2.0.9"]),
                service("canary", &["10.2.0.8"]),
                service("web", &["10.2.0.1"])
                    .waypoint(by_name("wp.default"))
                    .weighted(&[(by_name("wp.default"), 100), (by_name("canary.default"), 0)]),
            ],
        )
        .from(from)
    };
    let direct = |ip: &str, who: &str| format!("hbone {ip}:15008 for {ip}:80 as {who}");
    let through = |to: &str| format!("hbone 10.1.0.9:15008 for {to} as wp");
    let table = [
        ("by name", "wp", "10.1.0.2:80", direct("10.1.0.2", "web")),
        ("by IP", "wp", "10.1.0.3:80", direct("10.1.0.3", "web-ip")),
        ("by VIP", "wp", "10.1.0.4:80", direct("10.1.0.4", "web-vip")),
        (
            "its service",
            "wp",
            "10.2.0.1:80",
            "hbone 10.1.0.2:15008 for 10.1.0.2:8080 as web".into(),
        ),
        // A waypoint that only gets a share (here none at the moment) is a waypoint nevertheless.
        (
            "canary",
            "canary",
            "10.2.0.1:80",
            "hbone 10.1.0.2:15008 for 10.1.0.2:8080 as web".into(),
        ),
        (
            "not its workload",
            "canary",
            "10.1.0.2:80",
            through("10.1.0.2:80"),
        ),
        (
            "same account",
            "twin",
            "10.1.0.2:80",
            through("10.1.0.2:80"),
        ),
        ("client", "client", "10.1.0.2:80", through("10.1.0.2:80")),
    ];
    for (name, from, to, expected) in table {
        assert_eq!(mesh(from).hop(to), expected, "{name}");
    }
}
