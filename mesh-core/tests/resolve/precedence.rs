//! Several records for one address: who may see which, and which wins.

use mesh_core::model::{NetworkAddress, ServiceSpec, Visibility};

use crate::mesh::*;

/// A service of a namespace, and in its name what makes it recognisable: it passes through.
fn of(namespace: &str, name: &str) -> ServiceSpec {
    service(name, &[]).namespace(namespace).passthrough()
}

fn private(service: ServiceSpec) -> ServiceSpec {
    service.with(|s| s.visibility = Visibility::Namespace)
}

fn canonical(service: ServiceSpec) -> ServiceSpec {
    service.with(|s| s.canonical = true)
}

fn at(service: ServiceSpec, vip: &str) -> ServiceSpec {
    service.with(|s| s.vips.push(NetworkAddress::new("", ip(vip))))
}

/// The name of the service that the client of namespace `default` gets, else of the workload.
fn winner(workloads: Vec<mesh_core::model::WorkloadSpec>, services: Vec<ServiceSpec>) -> String {
    let route = Mesh::new(workloads, services)
        .resolve("10.2.0.1:80", 0)
        .unwrap();
    let service = route.service.map(|s| s.spec().name.to_string());
    let workload = route.destination.map(|w| w.name().to_string());
    service.or(workload).unwrap_or_default()
}

#[test]
fn of_services_with_one_address_the_clients_namespace_wins_then_a_canonical_one_then_the_first() {
    let vip = |s| at(s, "10.2.0.1");
    let (own, x, y) = (of("default", "own"), of("x", "x"), of("y", "y"));
    let (cx, cy) = (canonical(of("x", "cx")), canonical(of("y", "cy")));
    let table = [
        ("own last", vec![cx.clone(), y.clone(), own.clone()], "own"),
        ("own first", vec![own.clone(), cx.clone()], "own"),
        ("canonical", vec![x.clone(), cy.clone()], "cy"),
        ("canonical first", vec![cx.clone(), y.clone()], "cx"),
        ("two canonical", vec![cx.clone(), cy.clone()], "cy"),
        ("first", vec![x.clone(), y.clone()], "x"),
        (
            "private elsewhere",
            vec![private(x.clone()), y.clone()],
            "y",
        ),
        (
            "private canonical elsewhere",
            vec![private(cx.clone()), y.clone()],
            "y",
        ),
        ("private here", vec![y.clone(), private(own.clone())], "own"),
        ("nothing visible", vec![private(x), private(y)], ""),
    ];
    for (name, services, expected) in table {
        let services = services.into_iter().map(vip).collect();
        assert_eq!(winner(vec![], services), expected, "{name}");
    }
}

#[test]
fn of_ranges_the_clients_namespace_wins_then_the_longest_prefix_then_a_canonical_one() {
    let range = |s: ServiceSpec, cidr: &str| s.cidr("", cidr);
    let (own, x, y) = (of("default", "own"), of("x", "x"), of("y", "y"));
    let table = [
        (
            "longest",
            vec![
                range(x.clone(), "10.0.0.0/8"),
                range(y.clone(), "10.2.0.0/16"),
            ],
            "y",
        ),
        (
            "longest first",
            vec![
                range(y.clone(), "10.2.0.0/16"),
                range(x.clone(), "10.0.0.0/8"),
            ],
            "y",
        ),
        (
            "own",
            vec![
                range(own.clone(), "10.0.0.0/8"),
                range(y.clone(), "10.2.0.0/24"),
            ],
            "own",
        ),
        (
            "canonical",
            vec![
                range(x.clone(), "10.2.0.0/16"),
                range(canonical(y.clone()), "10.2.0.0/16"),
            ],
            "y",
        ),
        (
            "first",
            vec![
                range(x.clone(), "10.2.0.0/16"),
                range(y.clone(), "10.2.0.0/16"),
            ],
            "x",
        ),
        (
            "private",
            vec![
                range(private(x.clone()), "10.2.0.0/24"),
                range(y.clone(), "10.0.0.0/8"),
            ],
            "y",
        ),
        ("not contained", vec![range(x.clone(), "10.3.0.0/16")], ""),
        ("other family", vec![range(x.clone(), "::/0")], ""),
        (
            "other network",
            vec![x.clone().cidr("other", "10.2.0.0/16")],
            "",
        ),
        (
            "exact wins",
            vec![range(own.clone(), "10.2.0.0/16"), at(y.clone(), "10.2.0.1")],
            "y",
        ),
        (
            "an exact one that is not visible does not",
            vec![
                at(private(y.clone()), "10.2.0.1"),
                range(x.clone(), "10.2.0.0/16"),
            ],
            "x",
        ),
    ];
    for (name, services, expected) in table {
        assert_eq!(winner(vec![], services), expected, "{name}");
    }
}

#[test]
fn ranges_of_ipv6_work_alike() {
    let services = vec![
        of("x", "wide").cidr("", "fd01::/16"),
        of("y", "long").cidr("", "fd01:2::/32"),
    ];
    let mesh = Mesh::new(vec![], services);
    let name = |to: &str| {
        mesh.resolve(to, 0)
            .unwrap()
            .service
            .map(|s| s.spec().name.to_string())
    };
    assert_eq!(name("[fd01:2::1]:80"), Some("long".into()));
    assert_eq!(name("[fd01:3::1]:80"), Some("wide".into()));
    assert_eq!(name("[fd02::1]:80"), None);
}

#[test]
fn a_service_wins_over_a_workload_with_its_address_and_a_workload_over_a_range() {
    let workload = || vec![pod("workload", &["10.2.0.1"])];
    let exact = at(of("x", "exact"), "10.2.0.1");
    let range = of("default", "range").cidr("", "10.2.0.0/16");
    assert_eq!(
        winner(workload(), vec![exact.clone(), range.clone()]),
        "exact"
    );
    assert_eq!(
        winner(workload(), vec![private(exact), range.clone()]),
        "workload"
    );
    assert_eq!(winner(workload(), vec![range.clone()]), "workload");
    assert_eq!(winner(vec![], vec![range]), "range");
}

#[test]
fn an_address_that_is_workload_and_service_goes_through_the_services_waypoint() {
    // A ServiceEntry whose only endpoint has the address of the service itself.
    let mesh = |waypoint: Option<&str>| {
        let web = service("web", &["10.2.0.1"]).with(|s| s.waypoint = waypoint.map(by_ip));
        let workloads = vec![
            tcp_pod("endpoint", &["10.2.0.1"]).of("web", &[]),
            pod("waypoint", &["10.1.0.9"]),
        ];
        Mesh::new(workloads, vec![web])
    };
    assert_eq!(mesh(None).hop("10.2.0.1:80"), "tcp 10.2.0.1:8080");
    let through = "hbone 10.1.0.9:15008 for 10.2.0.1:80 as waypoint";
    assert_eq!(mesh(Some("10.1.0.9")).hop("10.2.0.1:80"), through);
    // From where it reaches its end, and not the waypoint again.
    assert_eq!(
        mesh(Some("10.1.0.9")).from("waypoint").hop("10.2.0.1:80"),
        "tcp 10.2.0.1:8080"
    );
}

#[test]
fn references_of_the_mesh_itself_see_private_services() {
    let waypoint = private(at(service("wp", &[]).namespace("infra"), "10.2.0.9"));
    let endpoint = pod("wp", &["10.1.0.9"]).of("wp", &[]).with(|w| {
        w.services[0].0.namespace = "infra".into();
    });
    let web = service("web", &["10.2.0.1"]).waypoint(by_ip("10.2.0.9"));
    let mesh = Mesh::new(vec![endpoint], vec![waypoint, web]);
    let through = "hbone 10.1.0.9:15008 for 10.2.0.1:80 as wp";
    assert_eq!(mesh.hop("10.2.0.1:80"), through);
}
