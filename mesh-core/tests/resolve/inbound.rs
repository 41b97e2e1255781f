//! CONNECT requests that reach a workload or its waypoint.

use std::sync::Arc;

use mesh_core::authority::ConnectAuthority;
use mesh_core::model::{ApplicationProtocol, NetworkAddress, Visibility};
use mesh_core::outcome::Outcome;
use mesh_core::resolve::{InboundRequest, InboundRoute, ResolveConfig, inbound};
use mesh_core::snapshot::MeshSnapshot;

use crate::mesh::*;

/// Resolves `authority` at a pod of this name that was connected to at its first address.
fn arrive(
    snapshot: &MeshSnapshot,
    config: &ResolveConfig,
    local: &str,
    authority: &str,
    change: impl FnOnce(&mut InboundRequest<'_>),
) -> Result<InboundRoute, mesh_core::resolve::InboundError> {
    let local = snapshot.workload(&pod(local, &[]).uid).unwrap();
    let authority: ConnectAuthority = authority.parse().unwrap();
    let destination = std::net::SocketAddr::new(local.ips()[0], 15008);
    let mut request = InboundRequest::new(addr("10.1.0.1:999"), destination, &authority);
    change(&mut request);
    inbound(snapshot, config, local, &request)
}

/// `destination [via dial] [proxy destination (service)]`, or the status and the error.
fn show(result: Result<InboundRoute, mesh_core::resolve::InboundError>) -> String {
    let route = match result {
        Err(error) => return format!("{} {error}", error.status()),
        Ok(route) => route,
    };
    let mut text = route.destination.to_string();
    assert_eq!(route.dial_from_loopback, route.dial != route.destination);
    if route.dial_from_loopback {
        text += &format!(" via {}", route.dial);
    }
    if let Some(header) = route.proxy_header {
        let service = header.service.unwrap_or_default();
        text += &format!(" proxy {} ({service})", header.destination);
    }
    text
}

fn check(snapshot: &Arc<MeshSnapshot>, table: &[(&str, &str, &str, &str)]) {
    for (name, local, authority, expected) in table {
        let route = arrive(snapshot, &ResolveConfig::new(), local, authority, |_| {});
        assert_eq!(show(route), *expected, "{name}");
    }
}

#[test]
fn a_workload_answers_for_itself_and_its_services() {
    let workloads = vec![
        pod("web", &["10.1.0.2", "fd00::2"]).of("web", &[(81, 9091)]),
        pod("other", &["10.1.0.3"]),
    ];
    let services = vec![
        service("web", &["10.2.0.1"]).ports(&[(80, 8080), (81, 0), (82, 0), (83, 15006)]),
        service("other", &["10.2.0.2"]),
        service("hidden", &["10.2.0.3"])
            .namespace("elsewhere")
            .with(|s| s.visibility = Visibility::Namespace),
    ];
    let table = [
        ("own IP", "web", "10.1.0.2:8080", "10.1.0.2:8080"),
        ("own service", "web", "web.default:80", "10.1.0.2:8080"),
        ("upper case", "web", "WEB.default:80", "10.1.0.2:8080"),
        ("named port", "web", "web.default:81", "10.1.0.2:9091"),
        (
            "named port that it lacks",
            "web",
            "web.default:82",
            "503 service default/web.default has no target port for 82",
        ),
        (
            "port that the service lacks",
            "web",
            "web.default:99",
            "503 service default/web.default has no target port for 99",
        ),
        (
            "another pod",
            "web",
            "10.1.0.3:80",
            "400 ip mismatch: 10.1.0.2 != 10.1.0.3",
        ),
        (
            "client",
            "web",
            "10.1.0.1:80",
            "400 ip mismatch: 10.1.0.2 != 10.1.0.1",
        ),
        (
            "its own other IP",
            "web",
            "[fd00::2]:80",
            "400 ip mismatch: 10.1.0.2 != fd00::2",
        ),
        (
            "the IP of its service",
            "web",
            "10.2.0.1:80",
            "400 ip mismatch: 10.1.0.2 != 10.2.0.1",
        ),
        (
            "another service",
            "web",
            "other.default:80",
            "400 10.1.0.2 is not an endpoint of default/other.default nor its waypoint",
        ),
        (
            "unknown service",
            "web",
            "nobody.default:80",
            "503 no service nobody.default:80",
        ),
        (
            "service not visible",
            "web",
            "hidden.default:80",
            "503 no service hidden.default:80",
        ),
        (
            "HBONE port of the proxy",
            "web",
            "10.1.0.2:15008",
            "503 recursive call: 10.1.0.2:15008 leads back to this proxy",
        ),
        (
            "port of the proxy by name",
            "web",
            "web.default:83",
            "503 recursive call: 10.1.0.2:15006 leads back to this proxy",
        ),
    ];
    check(&snapshot(workloads, services), &table);
}

/// Workloads and services with the waypoints `wp` (10.1.0.9, 10.2.0.9).
fn sandwich(protocol: Option<ApplicationProtocol>, port: u16) -> Arc<MeshSnapshot> {
    let mut wp = pod("wp", &["10.1.0.9"]).of("wp", &[]);
    if let Some(protocol) = protocol {
        wp = wp.tunnel(protocol, port);
    }
    let workloads = vec![
        wp,
        pod("canary", &["10.1.0.8"]).of("canary", &[]),
        pod("stray", &["10.1.0.7"]),
        pod("ip", &["10.1.0.2"]).waypoint(by_ip("10.1.0.9")),
        pod("vip", &["10.1.0.3"]).waypoint(by_ip("10.2.0.9")),
        pod("name", &["10.1.0.4"])
            .waypoint(by_name("wp.default"))
            .of("bare", &[]),
        pod("served", &["10.1.0.5"]).of("ip", &[]),
    ];
    let services = vec![
        service("wp", &["10.2.0.9"]),
        service("canary", &["10.2.0.8"]),
        service("ip", &["10.2.0.1"]).waypoint(by_ip("10.1.0.9")),
        service("vip", &["10.2.0.2"]).waypoint(by_ip("10.2.0.9")),
        service("name", &["10.2.0.3"]).waypoint(by_name("wp.default")),
        service("bare", &["10.2.0.4"]),
        service("weighted", &["10.2.0.5"])
            .waypoint(by_name("wp.default"))
            .weighted(&[(by_name("wp.default"), 100), (by_name("canary.default"), 0)]),
        service("only-weighted", &["10.2.0.6"]).weighted(&[(by_name("canary.default"), 1)]),
        service("range", &[])
            .cidr("", "10.3.0.0/16")
            .waypoint(by_name("wp.default")),
        service("lost", &["10.2.0.7"]).waypoint(by_name("missing.default")),
    ];
    snapshot(workloads, services)
}

#[test]
fn a_waypoint_answers_for_what_is_behind_it() {
    let table = [
        ("workload by IP", "wp", "10.1.0.2:80", "10.1.0.9:80"),
        ("workload by VIP", "wp", "10.1.0.3:80", "10.1.0.9:80"),
        ("workload by name", "wp", "10.1.0.4:80", "10.1.0.9:80"),
        ("service by IP", "wp", "10.2.0.1:80", "10.1.0.9:80"),
        ("service by VIP", "wp", "10.2.0.2:80", "10.1.0.9:80"),
        ("service by name", "wp", "10.2.0.3:80", "10.1.0.9:80"),
        ("range", "wp", "10.3.4.5:80", "10.1.0.9:80"),
        ("itself", "wp", "10.1.0.9:80", "10.1.0.9:80"),
        ("weighted, primary", "wp", "10.2.0.5:80", "10.1.0.9:80"),
        ("weighted, canary", "canary", "10.2.0.5:80", "10.1.0.8:80"),
        (
            "weighted, no primary",
            "canary",
            "10.2.0.6:80",
            "10.1.0.8:80",
        ),
        ("service name", "wp", "name.default:80", "10.1.0.9:8080"),
        (
            "service name, canary",
            "canary",
            "weighted.default:80",
            "10.1.0.8:8080",
        ),
        (
            "not attached",
            "stray",
            "10.1.0.2:80",
            "400 ip mismatch: 10.1.0.7 != 10.1.0.2",
        ),
        (
            "weighted, not attached",
            "stray",
            "10.2.0.5:80",
            "400 ip mismatch: 10.1.0.7 != 10.2.0.5",
        ),
        (
            "no primary, not attached",
            "wp",
            "10.2.0.6:80",
            "400 ip mismatch: 10.1.0.9 != 10.2.0.6",
        ),
        (
            "a workload of which only the service has the waypoint",
            "wp",
            "10.1.0.5:80",
            "400 ip mismatch: 10.1.0.9 != 10.1.0.5",
        ),
        (
            "a service of which only the workload has the waypoint",
            "wp",
            "10.2.0.4:80",
            "400 ip mismatch: 10.1.0.9 != 10.2.0.4",
        ),
        (
            "unknown waypoint",
            "wp",
            "10.2.0.7:80",
            "400 ip mismatch: 10.1.0.9 != 10.2.0.7",
        ),
        (
            "service name, not attached",
            "stray",
            "name.default:80",
            "400 10.1.0.7 is not an endpoint of default/name.default nor its waypoint",
        ),
        (
            "service name of which only the workload has the waypoint",
            "wp",
            "bare.default:80",
            "400 10.1.0.9 is not an endpoint of default/bare.default nor its waypoint",
        ),
    ];
    check(&sandwich(None, 0), &table);
}

#[test]
fn an_application_tunnel_is_told_the_destination() {
    let proxy = Some(ApplicationProtocol::Proxy);
    let via = "10.1.0.9:15088 via 127.0.0.1:15088 proxy";
    let table = [
        (
            "workload",
            "wp",
            "10.1.0.2:80",
            format!("{via} 10.1.0.2:80 ()"),
        ),
        (
            "service",
            "wp",
            "10.2.0.1:80",
            format!("{via} 10.2.0.1:80 (ip.default)"),
        ),
        (
            "anything",
            "wp",
            "10.2.0.4:81",
            format!("{via} 10.2.0.4:81 (bare.default)"),
        ),
        (
            "unknown",
            "wp",
            "8.8.8.8:53",
            format!("{via} 8.8.8.8:53 ()"),
        ),
        (
            "service name",
            "wp",
            "vip.default:80",
            format!("{via} 10.2.0.2:80 (vip.default)"),
        ),
        (
            "name without address",
            "wp",
            "range.default:80",
            "503 service default/range.default has no address to put into the PROXY header".into(),
        ),
    ];
    let table: Vec<_> = table
        .iter()
        .map(|(n, l, a, e)| (*n, *l, *a, e.as_str()))
        .collect();
    check(&sandwich(proxy, 15088), &table);

    let table = [(
        "own port",
        "wp",
        "10.1.0.2:80",
        "10.1.0.9:80 via 127.0.0.1:80 proxy 10.1.0.2:80 ()",
    )];
    check(&sandwich(proxy, 0), &table);

    let plain = [
        ("plain, port", "wp", "10.1.0.2:80", "10.1.0.9:15088"),
        ("plain, anything", "wp", "8.8.8.8:53", "10.1.0.9:15088"),
    ];
    check(&sandwich(Some(ApplicationProtocol::None), 15088), &plain);

    let looping = [(
        "port of the proxy",
        "wp",
        "10.1.0.2:80",
        "503 recursive call: 10.1.0.9:15008 leads back to this proxy",
    )];
    check(&sandwich(proxy, 15008), &looping);
}

#[test]
fn a_port_of_the_proxy_is_not_asked_for_even_where_the_tunnel_replaces_it() {
    let table = [(
        "port of the proxy",
        "wp",
        "10.2.0.1:15008",
        "503 recursive call: 10.1.0.9:15008 leads back to this proxy",
    )];
    check(&sandwich(Some(ApplicationProtocol::Proxy), 15088), &table);
}

#[test]
fn the_waypoint_of_another_network_with_the_same_address_is_another() {
    let mesh = snapshot(
        vec![
            pod("wp", &["10.1.0.9"]),
            pod("far-wp", &["10.1.0.9"]).network("remote"),
        ],
        vec![service("web", &["10.2.0.1"]).waypoint(by_ip_on("remote", "10.1.0.9", 15008))],
    );
    let refused = [(
        "",
        "wp",
        "10.2.0.1:80",
        "400 ip mismatch: 10.1.0.9 != 10.2.0.1",
    )];
    check(&mesh, &refused);
}

#[test]
fn an_application_tunnel_may_be_on_the_workloads_address() {
    let mut config = ResolveConfig::new();
    config.localhost_app_tunnel = false;
    let mesh = sandwich(Some(ApplicationProtocol::Proxy), 15088);
    let shown = show(arrive(&mesh, &config, "wp", "10.1.0.2:80", |_| {}));
    assert_eq!(shown, "10.1.0.9:15088 proxy 10.1.0.2:80 ()");
}

#[test]
fn the_loopback_address_is_of_the_workloads_family() {
    let wp = pod("wp", &["fd00::9"]).tunnel(ApplicationProtocol::Proxy, 15088);
    let mesh = snapshot(vec![wp], vec![]);
    let shown = show(arrive(
        &mesh,
        &ResolveConfig::new(),
        "wp",
        "[fd00::1]:80",
        |_| {},
    ));
    assert_eq!(
        shown,
        "[fd00::9]:15088 via [::1]:15088 proxy [fd00::1]:80 ()"
    );
}

#[test]
fn a_service_is_told_by_the_virtual_ip_that_fits_best() {
    let (v4, v6) = (("", "10.2.0.1"), ("", "fd01::1"));
    let far = ("remote", "10.9.0.1");
    let table = [
        ("IPv4 of the network", vec![far, v6, v4], "10.2.0.1:80"),
        ("IPv6 of the network", vec![far, v6], "[fd01::1]:80"),
        ("another network", vec![far], "10.9.0.1:80"),
    ];
    for (name, vips, expected) in table {
        let vips = vips
            .iter()
            .map(|(net, vip)| NetworkAddress::new(*net, ip(vip)))
            .collect();
        let wp = pod("wp", &["10.1.0.9"]).tunnel(ApplicationProtocol::Proxy, 15088);
        let mesh = snapshot(vec![wp], vec![service("web", &[]).with(|s| s.vips = vips)]);
        let route = arrive(&mesh, &ResolveConfig::new(), "wp", "web.default:80", |_| {}).unwrap();
        assert_eq!(
            route.proxy_header.unwrap().destination,
            addr(expected),
            "{name}"
        );
    }
}

#[test]
fn of_services_with_one_name_the_workloads_own_is_meant() {
    let of = |namespace: &str, port: u16| {
        service("web", &[])
            .namespace(namespace)
            .ports(&[(80, port)])
    };
    let own = |namespace: &str| {
        pod("web", &["10.1.0.2"]).of("web", &[]).with(|w| {
            w.services[0].0.namespace = namespace.into();
        })
    };
    let services = || vec![of("default", 1001), of("a", 1002), of("b", 1003)];
    let table = [
        ("of its namespace", own("default"), "10.1.0.2:1001"),
        ("of another", own("b"), "10.1.0.2:1003"),
    ];
    for (name, workload, expected) in table {
        let mesh = snapshot(vec![workload], services());
        let route = arrive(
            &mesh,
            &ResolveConfig::new(),
            "web",
            "web.default:80",
            |_| {},
        );
        assert_eq!(show(route), expected, "{name}");
    }
}

#[test]
fn the_source_is_the_workload_of_the_peer_unless_a_gateway_is_between() {
    let mesh = snapshot(vec![pod("web", &["10.1.0.2"]), client()], vec![]);
    let source = |change: fn(&mut InboundRequest<'_>)| {
        let config = ResolveConfig::new();
        let route = arrive(&mesh, &config, "web", "10.1.0.2:80", change).unwrap();
        route.source.map(|w| w.name().to_string())
    };
    assert_eq!(source(|_| {}), Some("client".into()));
    assert_eq!(source(|r| r.peer = addr("10.1.0.77:9")), None);
    assert_eq!(source(|r| r.from_other_network = true), None);
}

#[test]
fn the_service_is_guessed_from_what_the_peer_says_and_from_the_port() {
    let mesh = snapshot(
        vec![
            pod("web", &["10.1.0.2"])
                .of("a", &[])
                .of("b", &[])
                .of("c", &[(80, 7070)])
                .of("gone", &[]),
        ],
        vec![
            service("a", &[]).ports(&[(80, 9090)]),
            service("b", &[]).ports(&[(80, 8080)]),
            service("c", &[]).ports(&[(80, 8080)]),
            service("d", &[]).ports(&[(80, 6060)]),
        ],
    );
    let table = [
        ("by port", "10.1.0.2:8080", None, Some("b")),
        ("by own port", "10.1.0.2:7070", None, Some("c")),
        ("by host", "10.1.0.2:8080", Some("c.default"), Some("c")),
        (
            "host of another port",
            "10.1.0.2:8080",
            Some("a.default"),
            Some("a"),
        ),
        (
            "host that it does not belong to",
            "10.1.0.2:8080",
            Some("d.default"),
            Some("b"),
        ),
        (
            "host that is gone",
            "10.1.0.2:8080",
            Some("gone.default"),
            Some("b"),
        ),
        ("port of nobody", "10.1.0.2:6060", None, None),
        ("by authority", "c.default:80", Some("a.default"), Some("c")),
    ];
    for (name, authority, host, expected) in table {
        let config = ResolveConfig::new();
        let local = mesh.workload(&pod("web", &[]).uid).unwrap();
        let authority = authority.parse().unwrap();
        let mut request =
            InboundRequest::new(addr("10.1.0.1:9"), addr("10.1.0.2:15008"), &authority);
        request.forwarded_host = host;
        let service = inbound(&mesh, &config, local, &request).unwrap().service;
        assert_eq!(
            service.as_ref().map(|s| s.spec().name.as_str()),
            expected,
            "{name}"
        );
    }
}

#[test]
fn refusals_have_the_classes_of_their_causes() {
    let mesh = snapshot(
        vec![pod("web", &["10.1.0.2"]).of("web", &[])],
        vec![service("web", &[])],
    );
    let table = [
        ("10.1.0.3:80", Outcome::BadRequest),
        ("10.1.0.2:15008", Outcome::BadRequest),
        ("nobody:80", Outcome::Unresolved),
        ("web.default:99", Outcome::Unresolved),
    ];
    for (authority, outcome) in table {
        let refused = arrive(&mesh, &ResolveConfig::new(), "web", authority, |_| {}).unwrap_err();
        assert_eq!(refused.outcome(), outcome, "{authority}");
    }
}

#[test]
fn addresses_that_are_ipv4_in_ipv6_are_ipv4() {
    let mesh = snapshot(vec![pod("web", &["10.1.0.2"]), client()], vec![]);
    let local = mesh.workload(&pod("web", &[]).uid).unwrap();
    let authority = "[::ffff:10.1.0.2]:80".parse().unwrap();
    let (peer, to) = (addr("[::ffff:10.1.0.1]:9"), addr("[::ffff:10.1.0.2]:15008"));
    let request = InboundRequest::new(peer, to, &authority);
    let route = inbound(&mesh, &ResolveConfig::new(), local, &request).unwrap();
    assert_eq!(route.destination, addr("10.1.0.2:80"));
    assert_eq!(route.source.unwrap().name(), "client");
}
