//! Metrics of real connections: allowed, denied, failed and passed through, against Istio's table.

use std::net::Ipv4Addr;

use crate::harness::{APP, Mesh, Proxy, echo, finish, http, ping};

/// The labels of traffic in Istio's order; the last four only when an end is known.
const LABELS: [&str; 27] = [
    "reporter",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "destination_service",
    "destination_service_namespace",
    "destination_service_name",
    "destination_workload",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_cluster",
    "request_protocol",
    "response_flags",
    "connection_security_policy",
    "source_region",
    "source_zone",
    "destination_region",
    "destination_zone",
];

/// What happened, as a row: the metric, some of its labels, its value.
type Row = (&'static str, &'static [&'static str], u64);

const OPENED: &str = "istio_tcp_connections_opened_total";
const CLOSED: &str = "istio_tcp_connections_closed_total";
const FAILED: &str = "istio_tcp_connections_failed_total";
const MUTUAL: &str = "connection_security_policy=\"mutual_tls\"";
const PLAIN: &str = "connection_security_policy=\"unknown\"";
const DENY: &str = "response_flags=\"DENY\"";
const CONNECT: &str = "response_flags=\"CONNECT\"";
const NONE: &str = "response_flags=\"-\"";

/// Checks names, types and labels of all samples of traffic.
fn check_shape(page: &str) {
    for line in page
        .lines()
        .filter(|line| line.starts_with("istio_tcp_") && line.contains('{'))
    {
        let (name, rest) = line.split_once('{').unwrap();
        let kind = if name == "istio_tcp_sockets_open" {
            "gauge"
        } else {
            "counter"
        };
        assert!(
            page.contains(&format!("# TYPE {name} {kind}\n")),
            "{name} is no {kind}"
        );
        let (labels, _) = rest.rsplit_once('}').unwrap();
        let names: Vec<_> = labels
            .split("\",")
            .map(|label| label.split_once('=').unwrap().0)
            .collect();
        let expected = match kind {
            "gauge" => &LABELS[..1],
            // Every connection of this test has an end that is known.
            _ => &LABELS[..],
        };
        assert_eq!(names, expected, "{name}");
    }
}

fn check(proxy: &Proxy, rows: &[Row]) {
    let page = proxy.metrics();
    check_shape(&page);
    for (name, labels, value) in rows {
        let samples = page.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{'))
                && labels.iter().all(|label| line.contains(label))
        });
        let sum: u64 = samples
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(sum, *value, "{name} {labels:?} in\n{page}");
    }
}

fn fails(client: &Proxy, to: Ipv4Addr, port: u16) {
    let address = [&[1][..], &to.octets()].concat();
    assert_ne!(client.socks5(&address, port).0, 0, "{to}:{port}");
}

#[test]
fn each_kind_of_connection_is_counted_as_in_istios_table() {
    let mesh = Mesh::new();
    let deny = "policies:\n- {name: not-9090, namespace: ns, scope: Namespace, action: Deny,\n   \
                rules: [[[{destinationPorts: [9090]}]]]}\n";
    mesh.write(&format!("{}{deny}", mesh.yaml(mesh.server)));
    let (client, server) = mesh.proxies();
    echo(mesh.server);
    let outside = Ipv4Addr::from(u32::from(mesh.plain) + 1);
    echo(outside);
    for to in [mesh.server, outside] {
        let mut stream = client.connect(to, APP);
        ping(&mut stream, b"hello").unwrap();
        finish(stream);
    }
    // Denied; then a port on which nothing listens.
    fails(&client, mesh.server, 9090);
    fails(&client, mesh.server, 8081);
    client.log_lines("connection complete", 4);
    server.log_lines("connection complete", 3);

    check(
        &client,
        &[
            (OPENED, &["reporter=\"source\"", MUTUAL, NONE], 3),
            (OPENED, &["reporter=\"source\"", PLAIN, NONE], 1),
            (CLOSED, &[MUTUAL, NONE], 1),
            (CLOSED, &[PLAIN, NONE], 1),
            // The client's proxy knows a status, not the reason.
            (CLOSED, &[MUTUAL, CONNECT], 2),
            (FAILED, &[MUTUAL, CONNECT], 2),
            (FAILED, &[], 2),
            ("istio_tcp_received_bytes_total", &[MUTUAL], 5),
            ("istio_tcp_sent_bytes_total", &[PLAIN], 5),
        ],
    );
    check(
        &server,
        &[
            (OPENED, &["reporter=\"destination\"", MUTUAL, NONE], 3),
            (CLOSED, &[MUTUAL, NONE], 1),
            (CLOSED, &[MUTUAL, DENY], 1),
            (CLOSED, &[MUTUAL, CONNECT], 1),
            (FAILED, &[DENY], 1),
            (FAILED, &[CONNECT], 1),
            (FAILED, &[], 2),
            ("istio_tcp_received_bytes_total", &[], 5),
        ],
    );
}

#[test]
fn what_is_logged_changes_at_run_time() {
    let mesh = Mesh::new();
    let (client, _server) = mesh.proxies();
    echo(mesh.server);
    let connect = || {
        let mut stream = client.connect(mesh.server, APP);
        ping(&mut stream, b"hello").unwrap();
        finish(stream);
    };
    let admin = client.at(crate::harness::ADMIN);
    connect();
    client.log_lines("connection complete", 1);
    let (status, _) = http(admin, "POST", "/logging?level=access=off", "");
    assert_eq!(status, 200);
    connect();
    let (status, _) = http(admin, "POST", "/logging?reset", "");
    assert_eq!(status, 200);
    connect();
    client.log_lines("connection complete", 2);
    assert_eq!(client.log_count("connection opened"), 2);
}
