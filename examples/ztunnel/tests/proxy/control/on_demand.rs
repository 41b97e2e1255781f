//! Proxies that fetch only what their connections need, from a control plane without TLS.

use std::net::Ipv4Addr;

use mesh_core::model::{TunnelProtocol, WorkloadSpec};
use mesh_xds::server::ServedResource;

use super::plane::{ADDRESS, Plane, dump, workload};
use crate::harness::{APP, Proxy, echo, finish, ping};

fn on_demand(plane: &Plane, address: Ipv4Addr) -> Proxy {
    let more = [
        ("XDS_ON_DEMAND", "true"),
        ("ISTIO_META_CLUSTER_ID", "cluster"),
    ];
    plane.proxy(address, &more)
}

/// A workload outside of the mesh.
fn plain(plane: &Plane) -> WorkloadSpec {
    WorkloadSpec {
        tunnel_protocol: TunnelProtocol::None,
        ..workload("plain", plane.mesh.plain)
    }
}

#[test]
fn only_what_connections_need_is_fetched() {
    let plane = Plane::plain();
    plane.discovery.put_workload(&plain(&plane));
    let server = plane.proxy(plane.mesh.server, &[]);
    let client = on_demand(&plane, plane.mesh.client);
    assert!(
        !dump(&client).contains("cluster//Pod/ns/"),
        "{}",
        dump(&client)
    );
    echo(plane.mesh.server);
    let mut stream = client.connect(plane.mesh.server, APP);
    ping(&mut stream, b"hello").unwrap();
    finish(stream);
    let line = client.log_line("connection complete", |_| true);
    assert_eq!(
        line["dst.identity"],
        "spiffe://cluster.local/ns/ns/sa/server"
    );
    let all = dump(&client);
    for (pod, known) in [("client-1", true), ("server-1", true), ("plain-1", false)] {
        let uid = format!("cluster//Pod/ns/{pod}");
        assert_eq!(all.contains(&uid), known, "{pod}: {all}");
    }
    drop(server);
}

#[test]
fn a_destination_that_was_rejected_is_refused_and_not_reached_in_plain_text() {
    let plane = Plane::plain();
    let address = plane.mesh.plain;
    let bad = || {
        let bad = ServedResource::new(ADDRESS, vec![0xff; 8]);
        bad.aliases([format!("/{address}")])
    };
    let uid = plain(&plane).uid;
    plane.discovery.put(ADDRESS, &uid, bad());
    // Something listens at the address, for whoever comes in plain text.
    echo(address);
    let client = on_demand(&plane, plane.mesh.client);
    let to = [&[1][..], &address.octets()].concat();
    assert_ne!(client.socks5(&to, APP).0, 0);
    let line = client.log_line("connection failed", |_| true);
    let error = line["error"].as_str().unwrap();
    let reason = format!("what the control plane says of /{address} was rejected");
    assert!(error.contains(&reason), "{error}");

    // Repaired, it is what it is: outside of the mesh, in plain text.
    plane.discovery.put_workload(&plain(&plane));
    let mut stream = client.connect(address, APP);
    ping(&mut stream, b"hello").unwrap();
    // A new version that is wrong does not undo that.
    plane.discovery.put(ADDRESS, &uid, bad());
    client.log_lines("resource rejected", 2);
    let mut stream = client.connect(address, APP);
    ping(&mut stream, b"hello").unwrap();
}
