//! Loops, ports of the proxy itself, and connections around a waypoint.

use mesh_core::authority::ConnectAuthority;
use mesh_core::identity::SpiffeId;
use mesh_core::outcome::Outcome;
use mesh_core::resolve::{
    InboundError, InboundRequest, OutboundRequest, ResolveConfig, ResolveError, inbound, outbound,
    passthrough,
};

use crate::mesh::*;

#[test]
fn an_application_does_not_reach_the_proxy_beside_it() {
    let mut mesh = Mesh::new(
        vec![tcp_pod("web", &["10.1.0.2"]).of("web", &[])],
        vec![service("web", &["10.2.0.1"])],
    );
    mesh.config.illegal_ports.extend([15080, 15053]);
    for port in [15001, 15006, 15008, 15080, 15053] {
        for host in [
            "127.0.0.1",
            "127.8.8.8",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
            "[::]",
        ] {
            let refused = mesh.resolve(&format!("{host}:{port}"), 0).unwrap_err();
            assert!(
                matches!(refused, ResolveError::RecursiveCall { .. }),
                "{host}:{port}"
            );
            assert_eq!(refused.outcome(), Outcome::BadRequest);
        }
        for own in ["10.1.0.1", "[fd00::1]"] {
            assert!(
                mesh.resolve(&format!("{own}:{port}"), 0).is_err(),
                "{own}:{port}"
            );
        }
        let other = mesh.hop(&format!("10.1.0.2:{port}"));
        assert_eq!(
            other,
            format!("tcp 10.1.0.2:{port}"),
            "ports of others are theirs"
        );
    }
    assert_eq!(mesh.hop("127.0.0.1:80"), "passthrough 127.0.0.1:80");
    assert_eq!(
        mesh.hop("10.2.0.1:0"),
        "error: 10.2.0.1:0 cannot be connected to"
    );
}

#[test]
fn nor_by_way_of_a_service() {
    let table = [
        ("TCP", tcp_pod("web", &["10.1.0.1"])),
        ("HBONE", pod("web", &["10.1.0.1"])),
    ];
    for (name, endpoint) in table {
        let web = service("web", &["10.2.0.1"]).ports(&[(80, 15006), (81, 8080)]);
        let mesh = Mesh::new(vec![endpoint.of("web", &[])], vec![web]);
        let expected = "error: recursive call: 10.1.0.1:15006 leads back to this proxy";
        assert_eq!(mesh.hop("10.2.0.1:80"), expected, "{name}");
        // An endpoint may call itself through its service.
        assert!(mesh.resolve("10.2.0.1:81", 0).is_ok(), "{name}");
    }
}

#[test]
fn a_waypoint_is_not_sent_to_itself() {
    let web = pod("web", &["10.1.0.2"]).waypoint(by_ip("10.1.0.9"));
    let wp = pod("wp", &["10.1.0.9"]);
    let snapshot = snapshot(vec![web, wp.clone()], vec![]);
    let source = snapshot.workload(&wp.uid).unwrap();
    let from = |source_ip: &str| {
        let request = OutboundRequest::new(ip(source_ip), addr("10.1.0.2:80"));
        show(outbound(
            &snapshot,
            &ResolveConfig::new(),
            source,
            &request,
            &mut || 0,
        ))
    };
    assert_eq!(
        from("10.1.0.9"),
        "hbone 10.1.0.2:15008 for 10.1.0.2:80 as web"
    );
    // What does not come from its own address is not the waypoint's own.
    assert_eq!(
        from("172.17.0.2"),
        "error: recursive call: 10.1.0.2:80 leads back to this proxy"
    );
}

#[test]
fn plain_tcp_does_not_end_at_the_proxy_whatever_the_address() {
    let snapshot = snapshot(vec![pod("web", &["10.1.0.2"]), client()], vec![]);
    let local = snapshot.workload(&pod("web", &[]).uid).unwrap();
    let config = ResolveConfig::new();
    let to = |to: &str| passthrough(&snapshot, &config, local, addr("10.1.0.1:999"), addr(to));
    for port in [15001, 15006, 15008] {
        for host in ["10.1.0.2", "8.8.8.8", "127.0.0.1"] {
            let refused = to(&format!("{host}:{port}")).unwrap_err();
            assert!(
                matches!(refused, ResolveError::RecursiveCall { .. }),
                "{host}:{port}"
            );
        }
    }
    assert!(matches!(
        to("10.1.0.2:0"),
        Err(ResolveError::InvalidDestination { .. })
    ));
    let mapped = addr("[::ffff:10.1.0.1]:999");
    let route = passthrough(
        &snapshot,
        &config,
        local,
        mapped,
        addr("[::ffff:10.1.0.2]:80"),
    );
    assert_eq!(route.unwrap().source.unwrap().name(), "client");
    let route = to("10.1.0.2:80").unwrap();
    assert_eq!(route.destination, addr("10.1.0.2:80"));
    assert_eq!(route.source.unwrap().name(), "client");
}

#[test]
fn connections_around_a_waypoint_are_refused_where_that_is_asked_for() {
    let workloads = vec![
        pod("wp", &["10.1.0.9"]).of("wp", &[]),
        pod("web", &["10.1.0.2"]).waypoint(by_name("wp.default")),
        pod("api", &["10.1.0.3"]).of("api", &[]).of("open", &[]),
        client(),
    ];
    let services = vec![
        service("wp", &["10.2.0.9"]),
        service("api", &["10.2.0.3"]).waypoint(by_name("wp.default")),
        service("open", &["10.2.0.4"]).ports(&[(81, 8081)]),
    ];
    let snapshot = snapshot(workloads, services);
    let id = |sa: &str| -> SpiffeId {
        format!("spiffe://cluster.local/ns/default/sa/{sa}")
            .parse()
            .unwrap()
    };
    let table = [
        (
            "workload, waypoint",
            "web",
            "10.1.0.9",
            "wp",
            "10.1.0.2:80",
            true,
        ),
        (
            "workload, client",
            "web",
            "10.1.0.1",
            "client",
            "10.1.0.2:80",
            false,
        ),
        (
            "workload, waypoint's address only",
            "web",
            "10.1.0.9",
            "client",
            "10.1.0.2:80",
            false,
        ),
        (
            "workload, waypoint's identity only",
            "web",
            "10.1.0.1",
            "wp",
            "10.1.0.2:80",
            false,
        ),
        (
            "workload, unknown peer",
            "web",
            "10.1.0.77",
            "wp",
            "10.1.0.2:80",
            false,
        ),
        (
            "service port, waypoint",
            "api",
            "10.1.0.9",
            "wp",
            "10.1.0.3:8080",
            true,
        ),
        (
            "service port, client",
            "api",
            "10.1.0.1",
            "client",
            "10.1.0.3:8080",
            false,
        ),
        (
            "port of a service without",
            "api",
            "10.1.0.1",
            "client",
            "10.1.0.3:8081",
            true,
        ),
        (
            "no waypoint",
            "wp",
            "10.1.0.1",
            "client",
            "10.1.0.9:80",
            true,
        ),
    ];
    let mut strict = ResolveConfig::new();
    strict.require_waypoints = true;
    for (name, local, peer, identity, to, passes) in table {
        let local = snapshot.workload(&pod(local, &[]).uid).unwrap();
        let authority: ConnectAuthority = to.parse().unwrap();
        let identity = id(identity);
        let destination = addr(&format!("{}:15008", authority.ip().unwrap()));
        let mut request = InboundRequest::new(addr(&format!("{peer}:5")), destination, &authority);
        request.peer_identity = Some(&identity);
        let result = inbound(&snapshot, &strict, local, &request);
        assert_eq!(result.is_ok(), passes, "{name}");
        if let Err(error) = result {
            assert!(
                matches!(error, InboundError::WaypointRequired { .. }),
                "{name}"
            );
            assert_eq!(error.outcome(), Outcome::PolicyDenied, "{name}");
        }
        let lenient = inbound(&snapshot, &ResolveConfig::new(), local, &request);
        assert!(lenient.is_ok(), "{name}: off by default");
    }
    // Nor can one be told who is on the other side of a gateway.
    let waypoint = id("wp");
    let authority = "10.1.0.2:80".parse().unwrap();
    let mut request = InboundRequest::new(addr("10.1.0.9:5"), addr("10.1.0.2:15008"), &authority);
    request.peer_identity = Some(&waypoint);
    request.from_other_network = true;
    let local = snapshot.workload(&pod("web", &[]).uid).unwrap();
    assert!(inbound(&snapshot, &strict, local, &request).is_err());
    // Plain TCP proves nothing.
    let plain = |local: &str, to: &str| {
        let local = snapshot.workload(&pod(local, &[]).uid).unwrap();
        passthrough(&snapshot, &strict, local, addr("10.1.0.9:5"), addr(to)).is_ok()
    };
    assert!(!plain("web", "10.1.0.2:80"));
    assert!(plain("api", "10.1.0.3:8081"));
}
