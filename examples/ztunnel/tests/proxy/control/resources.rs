//! What is pushed and cannot be taken over.

use mesh_core::model::WorkloadSpec;
use mesh_xds::server::ServedResource;

use super::plane::{ADDRESS, Plane, dump, eventually, workload};
use crate::harness::{READINESS, echo, finish, ping};

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
        let dump: serde_json::Value = serde_json::from_str(&dump(proxy)).unwrap();
        assert_eq!(dump["workloads"].as_array().unwrap().len(), 1002);
        let line = proxy.log_line("resource rejected", |_| true);
        let of = (&line["name"], &line["level"]);
        assert_eq!(of, (&"bad".into(), &"warn".into()));
        let metrics = proxy.metrics();
        assert!(
            metrics.contains("\nmesh_xds_resources_rejected_total 1\n"),
            "{metrics}"
        );
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

#[test]
fn a_file_and_a_control_plane_go_together() {
    let plane = Plane::new();
    let mesh = &plane.mesh;
    let of_file = |uid: &str, name: &str, ip: &str| {
        format!(
            "- {{uid: {uid}, name: {name}, namespace: ns, workloadIps: [{ip}], services: {{}}}}\n"
        )
    };
    let both = workload("both", [127, 0, 0, 10].into());
    let text = [
        "workloads:\n".to_owned(),
        of_file("extra", "extra", "127.0.0.9"),
        of_file(&both.uid, "of-file", "127.0.0.10"),
    ];
    mesh.write(&text.concat());
    let file = mesh.file();
    let more = [
        ("LOCAL_XDS_PATH", file.to_str().unwrap()),
        ("MESH_LOCAL_XDS_INTERVAL", "10ms"),
    ];
    let client = plane.proxy(mesh.client, &more);
    let server = plane.proxy(mesh.server, &[]);
    let all = dump(&client);
    assert!(
        all.contains("\"uid\": \"extra\"") && all.contains("\"cluster//Pod/ns/server-1\""),
        "{all}"
    );
    // What the control plane says of the same workload counts, until it says nothing any more.
    plane.discovery.put_workload(&both);
    eventually("it is that of the control plane", || {
        dump(&client).contains("\"name\": \"both-1\"")
    });
    plane.discovery.remove(ADDRESS, &both.uid);
    eventually("it is that of the file", || {
        dump(&client).contains("\"name\": \"of-file\"")
    });
    // The file changes, and nothing of the control plane goes with it.
    mesh.write("{}");
    eventually("what the file had is gone", || {
        let all = dump(&client);
        !all.contains("\"uid\": \"extra\"") && !all.contains("\"name\": \"of-file\"")
    });
    echo(mesh.server);
    let mut stream = client.connect(mesh.vip, 80);
    ping(&mut stream, b"hello").unwrap();
    finish(stream);
    drop(server);
}
