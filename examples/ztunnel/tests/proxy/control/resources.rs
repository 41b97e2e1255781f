//! What is pushed and cannot be taken over.

use mesh_core::model::WorkloadSpec;
use mesh_xds::server::ServedResource;

use super::plane::{ADDRESS, Plane, workload};
use crate::harness::{ADMIN, READINESS, echo, finish, ping};

/// A workload (field 1 of an address) with an address (field 3) of five bytes and a uid (field 20).
fn bad() -> ServedResource {
    let uid = b"bad";
    let mut workload = vec![
        0x1a,
        5,
        1,
        2,
        3,
        4,
        5,
        0xa2,
        0x01,
        u8::try_from(uid.len()).unwrap(),
    ];
    workload.extend(uid);
    let length = u8::try_from(workload.len()).unwrap();
    ServedResource::new(ADDRESS, [&[0x0a, length], workload.as_slice()].concat())
}

#[test]
fn one_bad_resource_among_a_thousand_is_named_and_harms_no_other() {
    let plane = Plane::new();
    echo(plane.mesh.server);
    plane.discovery.edit(|edit| {
        for n in 0..1000_u32 {
            let spec = WorkloadSpec {
                node: "elsewhere".into(),
                ..workload(&format!("other-{n}"), (0x0a80_0000 + n).into())
            };
            edit.put_workload(&spec);
        }
        edit.put(ADDRESS, "bad", bad());
    });
    let mut requests = plane.discovery.requests();
    let (client, server) = plane.proxies();
    let against = plane.acknowledged(&mut requests, ADDRESS, 2);
    assert_eq!(against.len(), 2, "each proxy rejects it");
    for reason in against {
        assert!(
            reason.starts_with("bad: ") && reason.contains("address"),
            "{reason}"
        );
    }
    for proxy in [&client, &server] {
        assert_eq!(proxy.http("GET", READINESS, "/healthz/ready").0, 200);
        let dump = proxy.http("GET", ADMIN, "/config_dump").1;
        let dump: serde_json::Value = serde_json::from_str(&dump).unwrap();
        assert_eq!(dump["workloads"].as_array().unwrap().len(), 1002);
    }
    let mut stream = client.connect(plane.mesh.vip, 80);
    ping(&mut stream, b"hello").unwrap();
    finish(stream);
    // Mended, it is there.
    plane
        .discovery
        .put_workload(&workload("bad", [10, 200, 0, 1].into()));
    plane.discovery.remove(ADDRESS, "bad");
    let against = plane.acknowledged(&mut requests, ADDRESS, 2);
    assert_eq!(against, Vec::<String>::new());
}
