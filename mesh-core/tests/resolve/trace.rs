//! The steps of a decision: what was looked at, in the order in which it was.

use mesh_core::balance::{Ineligible, PickMode, candidates};
use mesh_core::model::WorkloadStatus;
use mesh_core::resolve::{OutboundRequest, Step, outbound_traced};

use crate::mesh::*;

/// The steps of a connection from the client, one per line, and where it goes.
fn steps(mesh: &Mesh, to: &str) -> (Vec<String>, String) {
    let source = mesh.source();
    let request = OutboundRequest::new(source.ips()[0], addr(to));
    let mut steps = Vec::new();
    let mut trace = |step: Step<'_>| steps.push(say(step));
    let route = outbound_traced(
        &mesh.snapshot,
        &mesh.config,
        source,
        &request,
        &mut || 0,
        &mut trace,
    );
    (steps, show(route))
}

fn say(step: Step<'_>) -> String {
    match step {
        Step::Service(service) => format!("service {}", service.spec().name),
        Step::Workload(workload) => format!("workload {}", workload.name()),
        Step::UnknownDestination => "unknown".to_owned(),
        Step::Waypoint { is_source: own, .. } => format!("waypoint, own: {own}"),
        Step::NetworkGateway { upstream, .. } => format!("gateway of {}", upstream.name()),
        Step::Endpoint {
            service,
            port,
            mode,
            picked,
        } => {
            let picked = picked.map_or("none".to_owned(), |picked| {
                format!("{}:{}", picked.workload.name(), picked.port)
            });
            format!(
                "{mode:?} endpoint of {}:{port}: {picked}",
                service.spec().name
            )
        }
        _ => "another step".to_owned(),
    }
}

#[test]
fn each_step_is_told_in_order() {
    let mesh = Mesh::new(
        vec![
            pod("wp", &["10.1.0.9"]).of("wp", &[]),
            pod("web", &["10.1.0.2"]).of("web", &[]).of("behind", &[]),
            pod("lone", &["10.1.0.3"]).waypoint(by_name("wp.default")),
            pod("gw", &["10.9.0.1"]).network("remote"),
            pod("far", &[])
                .network("remote")
                .of("far", &[])
                .gateway(by_ip_on("remote", "10.9.0.1", 15008)),
        ],
        vec![
            service("web", &["10.2.0.1"]),
            service("wp", &["10.2.0.9"]),
            service("behind", &["10.2.0.2"]).waypoint(by_name("wp.default")),
            service("empty", &["10.2.0.3"]),
            service("far", &["10.2.0.4"]).sans(&["far"]),
            service("free", &["10.2.0.5"]).passthrough(),
        ],
    );
    let table: [(&str, &[&str], &str); 8] = [
        ("10.8.8.8:80", &["unknown"], "passthrough 10.8.8.8:80"),
        ("10.1.0.2:80", &["workload web"], "hbone 10.1.0.2:15008"),
        (
            "10.1.0.3:80",
            &[
                "workload lone",
                "waypoint, own: false",
                "Waypoint endpoint of wp:15008: wp:15008",
            ],
            "hbone 10.1.0.9:15008 for 10.1.0.3:80",
        ),
        (
            "10.2.0.1:80",
            &["service web", "Standard endpoint of web:80: web:8080"],
            "hbone 10.1.0.2:15008 for 10.1.0.2:8080",
        ),
        (
            "10.2.0.2:80",
            &[
                "service behind",
                "waypoint, own: false",
                "Waypoint endpoint of wp:15008: wp:15008",
            ],
            "hbone 10.1.0.9:15008 for 10.2.0.2:80",
        ),
        (
            "10.2.0.3:80",
            &["service empty", "Standard endpoint of empty:80: none"],
            "error: ",
        ),
        (
            "10.2.0.4:80",
            &[
                "service far",
                "Standard endpoint of far:80: far:8080",
                "gateway of far",
            ],
            "double 10.9.0.1:15008",
        ),
        ("10.2.0.5:80", &["service free"], "passthrough 10.2.0.5:80"),
    ];
    for (to, expected, end) in table {
        let (steps, route) = steps(&mesh, to);
        assert_eq!(steps, expected, "{to}");
        assert!(route.starts_with(end), "{to}: {route}");
    }
    let (steps, _) = steps(&mesh.from("wp"), "10.1.0.3:80");
    assert_eq!(steps, ["workload lone", "waypoint, own: true"]);
}

#[test]
fn what_speaks_against_an_endpoint_is_told() {
    let mesh = Mesh::new(
        vec![
            pod("good", &["10.1.0.2"]).of("web", &[]),
            pod("sick", &["10.1.0.3"])
                .of("web", &[])
                .with(|w| w.status = WorkloadStatus::Unhealthy),
            pod("idle", &["10.1.0.4"])
                .of("web", &[])
                .with(|w| w.capacity = 0),
            pod("nowhere", &[]).of("web", &[]),
        ],
        vec![service("web", &["10.2.0.1"])],
    );
    let web = mesh.snapshot.service("default", "web.default").unwrap();
    let set = mesh.snapshot.endpoints(web);
    let of = |port| {
        let all = candidates(web, set, mesh.source(), port, PickMode::Standard);
        let mut all: Vec<_> = all
            .into_iter()
            .map(|one| (one.workload.name().to_string(), one.port.map(u16::from)))
            .collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    };
    let expected = [
        ("good", Ok(8080)),
        ("idle", Err(Ineligible::NoCapacity)),
        ("nowhere", Err(Ineligible::NoAddress)),
        ("sick", Err(Ineligible::Unhealthy)),
    ];
    assert_eq!(of(80), expected.map(|(name, port)| (name.to_owned(), port)));
    assert!(
        of(81)
            .iter()
            .all(|(_, port)| *port == Err(Ineligible::NoServicePort))
    );
}
