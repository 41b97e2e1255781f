//! Routes in manifests: whatever the objects say, what is wrong has its place, and every port of every service
//! has routes that can be asked.
#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use mesh_l7::matching::Head;
use mesh_l7::mesh::UpstreamConfig;
use mesh_l7::target::ServiceTarget;
use mesh_xds::manifest::{Catalog, MeshOptions, Problem, RouteOptions, mesh, routes};

const FILE: &str = "fuzz.yaml";

fuzz_target!(|text: &str| {
    let mut catalog = Catalog::new();
    catalog.set_file(FILE, text);
    catalog.settle();
    for status in catalog.statuses() {
        let problems = status.rejection().into_iter().chain(&status.notes);
        problems.for_each(check);
    }
    let inventory = catalog.inventory();
    let options = MeshOptions::new("cluster.local".parse().unwrap());
    let mesh = mesh::build(&inventory, &options, &|_, _| Vec::new());
    let routing = routes::build(&inventory, &mesh, &options, &RouteOptions::new("default"));
    routing.notes.iter().for_each(|(_, note)| check(note));
    let headers = HeaderMap::new();
    let head = Head::new("GET", "web", "/a?b=c", &headers);
    for service in mesh.services.values() {
        for (port, _) in service.ports.iter() {
            let target = ServiceTarget {
                namespace: service.namespace.clone(),
                hostname: service.hostname.clone(),
                port,
                subset: None,
            };
            let _ = routing.table.of(&target).select(&head);
            let _ = (routing.settings(&target), routing.protocol(&target));
        }
    }
});

/// A problem says where it is, and what.
fn check(problem: &Problem) {
    assert_eq!(problem.place.file, FILE, "{problem}");
    assert!(problem.place.line > 0, "{problem}");
    assert!(!problem.text.is_empty(), "{problem}");
}
