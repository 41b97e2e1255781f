//! Metrics and access log of one connection, as both proxies see it.

use crate::harness::{Mesh, Proxy, echo, finish, ping};

/// The sum of a metric's samples whose labels contain all of `labels`.
fn sum(proxy: &Proxy, name: &str, labels: &[&str]) -> u64 {
    let text = proxy.metrics();
    let samples = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'))
        .filter(|line| labels.iter().all(|label| line.contains(label)));
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    samples.map(value).sum()
}

const PAYLOAD: u64 = 123_456;

#[test]
fn a_connection_is_counted_and_logged_by_both_proxies() {
    let mesh = Mesh::new();
    let (client, server) = mesh.proxies();
    echo(mesh.server);
    let mut stream = client.connect(mesh.vip, 80);
    ping(&mut stream, &vec![1; usize::try_from(PAYLOAD).unwrap()]).unwrap();
    finish(stream);
    for (proxy, reporter) in [(&client, "source"), (&server, "destination")] {
        proxy.log_line("connection complete", |_| true);
        let reporter = format!("reporter=\"{reporter}\"");
        let labels = [
            reporter.as_str(),
            "source_workload=\"client\"",
            "source_principal=\"spiffe://cluster.local/ns/ns/sa/client\"",
            "destination_service=\"web.example.org\"",
            "destination_workload=\"server\"",
            "destination_principal=\"spiffe://cluster.local/ns/ns/sa/server\"",
            "connection_security_policy=\"mutual_tls\"",
            "response_flags=\"-\"",
        ];
        for (name, value) in [
            ("istio_tcp_connections_opened_total", 1),
            ("istio_tcp_connections_closed_total", 1),
            ("istio_tcp_received_bytes_total", PAYLOAD),
            ("istio_tcp_sent_bytes_total", PAYLOAD),
            ("istio_tcp_connections_failed_total", 0),
        ] {
            assert_eq!(sum(proxy, name, &labels), value, "{reporter} {name}");
            assert_eq!(sum(proxy, name, &[]), value, "{reporter} {name}, all");
        }
    }
}

#[test]
fn the_access_log_has_the_documented_fields() {
    let mesh = Mesh::new();
    let (client, server) = mesh.proxies();
    echo(mesh.server);
    let mut stream = client.connect(mesh.vip, 80);
    ping(&mut stream, b"hello world").unwrap();
    finish(stream);
    let (hop, authority) = (
        format!("{}:15008", mesh.server),
        format!("{}:8080", mesh.server),
    );
    for (proxy, direction, source) in [
        (&client, "outbound", "client-1"),
        (&server, "inbound", "client"),
    ] {
        let line = proxy.log_line("connection complete", |_| true);
        for (field, value) in [
            ("scope", "access"),
            ("level", "info"),
            ("direction", direction),
            // The server's proxy knows the client by what the client's proxy said.
            ("src.workload", source),
            ("src.namespace", "ns"),
            ("src.identity", "spiffe://cluster.local/ns/ns/sa/client"),
            ("dst.addr", &hop),
            ("dst.hbone_addr", &authority),
            ("dst.service", "web.example.org"),
            ("dst.workload", "server-1"),
            ("dst.namespace", "ns"),
            ("dst.identity", "spiffe://cluster.local/ns/ns/sa/server"),
        ] {
            assert_eq!(line[field], value, "{direction} {field}");
        }
        assert_eq!(
            (&line["bytes_sent"], &line["bytes_recv"]),
            (&11.into(), &11.into())
        );
        assert!(line["duration"].as_str().unwrap().ends_with("ms"));
        assert!(line.get("error").is_none() && line.get("src.cluster").is_none());
    }
}

#[test]
fn the_directions_of_bytes_are_those_of_the_reporter_in_the_log_and_fixed_in_metrics() {
    use std::io::{Read, Write};
    let mesh = Mesh::new();
    let (client, server) = mesh.proxies();
    // A server that answers 22 bytes to 11.
    let listener = std::net::TcpListener::bind((mesh.server, 8080)).unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 11]).unwrap();
        stream.write_all(&[2; 22]).unwrap();
    });
    let mut stream = client.connect(mesh.server, 8080);
    stream.write_all(&[1; 11]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.len(), 22);
    serving.join().unwrap();
    for (proxy, sent, received) in [(&client, 11, 22), (&server, 22, 11)] {
        let line = proxy.log_line("connection complete", |_| true);
        assert_eq!(line["bytes_sent"], sent);
        assert_eq!(line["bytes_recv"], received);
        assert_eq!(sum(proxy, "istio_tcp_received_bytes_total", &[]), 11);
        assert_eq!(sum(proxy, "istio_tcp_sent_bytes_total", &[]), 22);
    }
}

#[test]
fn a_peer_without_a_certificate_is_counted_and_logged() {
    use std::io::Write;
    let mesh = Mesh::new();
    let server = mesh.proxy(mesh.server, &[]);
    let mut stream = std::net::TcpStream::connect(server.at(15008)).unwrap();
    stream.write_all(b"CONNECT / HTTP/1.1\r\n\r\n").unwrap();
    let line = server.log_line("connection failed", |_| true);
    assert_eq!(
        (&line["level"], &line["direction"]),
        (&"warn".into(), &"inbound".into())
    );
    let labels = ["reporter=\"destination\"", "response_flags=\"TLS_FAILURE\""];
    assert_eq!(sum(&server, "mesh_connections_rejected_total", &labels), 1);
}

#[test]
fn metrics_are_compressed_for_those_who_accept_it() {
    use std::io::{Read, Write};
    let mesh = Mesh::new();
    let proxy = mesh.proxy(mesh.client, &[]);
    let mut stream = std::net::TcpStream::connect(proxy.at(15020)).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: proxy\r\nAccept-Encoding: gzip\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap();
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(head.contains("content-type: text/plain"), "{head}");
    let mut page = String::new();
    let mut body = flate2::read::GzDecoder::new(&answer[end + 4..]);
    body.read_to_string(&mut page).unwrap();
    assert!(page.contains("istio_build{component=\"ztunnel\""), "{page}");
}
