//! Carrying connections.

use std::io::Read;
use std::net::Ipv4Addr;

use crate::harness::{APP, Mesh, Proxy, echo, finish, http, ping};

fn echoes(proxy: &Proxy, to: Ipv4Addr, port: u16) {
    let mut stream = proxy.connect(to, port);
    ping(&mut stream, b"hello").unwrap();
    ping(&mut stream, &[7; 100_000]).unwrap();
    finish(stream);
}

#[test]
fn hbone_and_plain_workloads_and_virtual_addresses_are_reached() {
    let mesh = Mesh::new();
    let (client, _server) = mesh.proxies();
    echo(mesh.server);
    echo(mesh.plain);
    for (to, port) in [(mesh.server, APP), (mesh.plain, APP), (mesh.vip, 80)] {
        echoes(&client, to, port);
        let line = client.log_line("connection complete", |line| line["src.addr"].is_string());
        assert_eq!(line["level"], "info");
    }
}

#[test]
fn workers_that_stay_awake_carry_the_same() {
    let mesh = Mesh::new();
    mesh.write(&mesh.yaml(mesh.server));
    let awake = [("MESH_AWAKE", "100us")];
    let (client, _server) = (
        mesh.proxy(mesh.client, &awake),
        mesh.proxy(mesh.server, &awake),
    );
    echo(mesh.server);
    for _ in 0..3 {
        echoes(&client, mesh.server, APP);
    }
}

#[test]
fn workloads_of_the_own_node_and_the_own_workload_are_reached() {
    let mesh = Mesh::new();
    mesh.write(&mesh.yaml(mesh.client));
    let client = mesh.proxy(mesh.client, &[]);
    echo(mesh.client);
    echoes(&client, mesh.client, APP);
    echoes(&client, mesh.vip, 80);
}

#[test]
fn a_service_is_reached_by_its_host_name() {
    let mesh = Mesh::new();
    let (client, _server) = mesh.proxies();
    echo(mesh.server);
    let name = b"web.example.org";
    let address = [&[3, u8::try_from(name.len()).unwrap()], &name[..]].concat();
    let (reply, mut stream) = client.socks5(&address, 80);
    assert_eq!(reply, 0);
    ping(&mut stream, b"hello").unwrap();
    let line = client.log_line("connection opened", |_| true);
    assert_eq!(line["dst.service"], "web.example.org");
}

#[test]
fn a_workload_without_a_listener_is_reported_as_a_failure() {
    let mesh = Mesh::new();
    let (client, server) = mesh.proxies();
    let address = [&[1][..], &mesh.server.octets()].concat();
    let (reply, mut stream) = client.socks5(&address, APP);
    assert_ne!(reply, 0);
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    for proxy in [&client, &server] {
        let line = proxy.log_line("connection complete", |line| line["error"].is_string());
        assert_eq!(line["level"], "error");
    }
}

#[test]
fn the_small_servers_answer_as_documented() {
    let mesh = Mesh::new();
    let proxy = mesh.proxy(mesh.client, &[]);
    for (method, port, target, status, says) in [
        ("GET", 15021, "/healthz/ready", 200, "ready\n"),
        ("POST", 15021, "/healthz/ready", 405, ""),
        ("GET", 15021, "/", 404, ""),
        (
            "GET",
            15020,
            "/metrics",
            200,
            "istio_build{component=\"ztunnel\",tag=\"unknown\"} 1\n",
        ),
        (
            "GET",
            15020,
            "/stats/prometheus",
            200,
            "istio_tcp_sockets_open",
        ),
        ("GET", 15020, "/", 404, ""),
        ("POST", 15020, "/metrics", 405, ""),
        ("GET", 15000, "/config_dump", 200, "\"uid\": \"server\""),
        (
            "GET",
            15000,
            "/config_dump",
            200,
            "\"state\": \"Available\"",
        ),
        ("POST", 15000, "/config_dump", 405, ""),
        ("GET", 15000, "/quitquitquit", 405, ""),
        ("GET", 15000, "/", 200, "<a href=\"/config_dump\">"),
        (
            "POST",
            15000,
            "/logging",
            200,
            "current log level is access=debug,info",
        ),
        ("GET", 15000, "/logging", 405, ""),
        ("GET", 15000, "/logging?level=warn", 405, ""),
        ("GET", 15000, "/debug/explain", 400, "expected src and dst"),
        ("POST", 15000, "/debug/explain", 405, ""),
        (
            "POST",
            15000,
            "/logging?level=access",
            400,
            "`access` is not a level",
        ),
        (
            "POST",
            15000,
            "/logging?level=access=off,warn",
            200,
            "is access=off,warn",
        ),
        (
            "POST",
            15000,
            "/logging?reset&level=ztunnel%3Dtrace",
            200,
            "is access=debug,ztunnel=trace,info",
        ),
        ("POST", 15000, "/logging?reset", 200, "is access=debug,info"),
        (
            "POST",
            15000,
            "/logging?loud",
            400,
            "unknown parameter loud",
        ),
        ("GET", 15000, "/nothing", 404, ""),
    ] {
        let (got, body) = proxy.http(method, port, target);
        assert_eq!(got, status, "{method} {target}: {body}");
        assert!(body.contains(says), "{method} {target}: {body}");
    }
    let accept = "Accept: application/openmetrics-text\r\n";
    let (_, body) = http(proxy.at(15020), "GET", "/metrics", accept);
    assert!(body.ends_with("# EOF\n"), "{body}");
}
