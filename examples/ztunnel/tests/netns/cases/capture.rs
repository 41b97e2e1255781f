//! Which way redirected connections go, and what is recorded of them.

use libtest_mimic::Trial;

use super::{trial, trial_with};
use crate::harness::clients::{ask, get};
use crate::harness::{Node, Pod, Proxy, applications, has, log::Line};

const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/client";
const SERVER: &str = "spiffe://cluster.local/ns/default/sa/server";

pub(super) fn trials() -> Vec<Trial> {
    let no_curl = || (!has("curl", "--version")).then(|| "needs curl".to_owned());
    vec![
        trial(
            "requests_by_address_and_by_service_go_over_hbone_and_both_ends_record_them",
            requests_by_address_and_by_service,
        ),
        trial_with("curl_gets_a_page_by_address_and_by_service", no_curl, curl),
        trial(
            "the_server_sees_the_address_of_the_client_pod",
            source_address,
        ),
        trial(
            "a_client_without_a_proxy_reaches_a_captured_server_in_plain_text",
            client_without_proxy,
        ),
        trial(
            "a_captured_client_reaches_a_server_without_a_proxy_in_plain_text",
            server_without_proxy,
        ),
        trial("a_service_uses_all_its_endpoints", two_endpoints),
    ]
}

fn requests_by_address_and_by_service() {
    let node = Node::new();
    let (client, client_proxy) = node.captured("client");
    let (server, server_proxy) = node.captured("server");
    let _echo = server.serve(8080, applications::answer_at_the_end);

    // A different size each, so that each has its own line.
    for (to, service, request) in [
        (server.port(8080), "", "to a pod"),
        (
            "10.77.1.1:80".parse().unwrap(),
            "web.default.svc.cluster.local",
            "to a service",
        ),
    ] {
        let answer = client.run(ask(to, request.as_bytes())).unwrap();
        assert_eq!(answer, request.bytes().rev().collect::<Vec<_>>(), "{to}");
        let size = request.len().to_string();
        let end = |proxy: &Proxy, direction: &'static str| {
            let fits = |line: &Line| line.is_end(direction) && line.field("bytes_sent") == size;
            proxy.log.wait_for("the end", fits)
        };
        let (outbound, inbound) = (
            end(&client_proxy, "outbound"),
            end(&server_proxy, "inbound"),
        );
        for line in [&outbound, &inbound] {
            line.expect(&[
                ("level", "info"),
                ("scope", "access"),
                ("src.workload", "client"),
                ("src.namespace", "default"),
                ("src.identity", CLIENT),
                ("src.cluster", "Kubernetes"),
                ("dst.workload", "server"),
                ("dst.namespace", "default"),
                ("dst.identity", SERVER),
                ("dst.cluster", "Kubernetes"),
                ("dst.hbone_addr", "10.77.0.3:8080"),
                ("bytes_sent", &size),
                ("bytes_recv", &size),
                ("error", ""),
            ]);
            assert!(line.field("src.addr").starts_with("10.77.0.2:"), "{line:?}");
        }
        outbound.expect(&[("dst.addr", "10.77.0.3:15008"), ("dst.service", service)]);
        inbound.expect(&[("dst.addr", "10.77.0.3:15008")]);
    }

    check_metrics(&client_proxy, &client, "source");
    check_metrics(&server_proxy, &server, "destination");
}

/// Two connections of 8 and 12 bytes each way.
fn check_metrics(proxy: &Proxy, pod: &Pod<'_>, reporter: &str) {
    let metrics = proxy.metrics(pod);
    let labels = [
        ("reporter", reporter),
        ("source_workload", "client"),
        ("source_canonical_service", "client"),
        ("source_canonical_revision", "v1"),
        ("source_workload_namespace", "default"),
        ("source_principal", CLIENT),
        ("source_app", "client"),
        ("source_version", "v1"),
        ("source_cluster", "Kubernetes"),
        ("destination_workload", "server"),
        ("destination_canonical_service", "server"),
        ("destination_canonical_revision", "v1"),
        ("destination_workload_namespace", "default"),
        ("destination_principal", SERVER),
        ("destination_app", "server"),
        ("destination_version", "v1"),
        ("destination_cluster", "Kubernetes"),
        ("request_protocol", "tcp"),
        ("response_flags", "-"),
        ("connection_security_policy", "mutual_tls"),
    ];
    for (name, value) in [
        ("istio_tcp_connections_opened_total", 2),
        ("istio_tcp_connections_closed_total", 2),
        ("istio_tcp_received_bytes_total", 20),
        ("istio_tcp_sent_bytes_total", 20),
        ("istio_tcp_connections_failed_total", 0),
    ] {
        assert_eq!(
            metrics.sum(name, &labels),
            value,
            "{name} at the {reporter}"
        );
    }
    let by_service = [
        ("destination_service", "web.default.svc.cluster.local"),
        ("destination_service_name", "web"),
        ("destination_service_namespace", "default"),
    ];
    let opened = metrics.sum("istio_tcp_connections_opened_total", &by_service);
    // The server's proxy takes the service from the port where the client's proxy names none.
    assert!(
        opened == 1 || (opened == 2 && reporter == "destination"),
        "{opened}"
    );
}

fn curl() {
    let node = Node::new();
    let (client, _client_proxy) = node.captured("client");
    let (server, _server_proxy) = node.captured("server");
    let _pages = server.serve(8080, applications::http);
    for url in ["http://10.77.0.3:8080/", "http://10.77.1.1/"] {
        let output = client
            .namespace
            .command("curl")
            .args([
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--max-time",
                "20",
                url,
            ])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "page 1",
            "{url}: {output:?}"
        );
    }
}

fn source_address() {
    let node = Node::new();
    let (client, _client_proxy) = node.captured("client");
    let (server, server_proxy) = node.captured("server");
    let _server = server.serve(8080, applications::who_am_i);
    let seen = client.run(ask(server.port(8080), b"?")).unwrap();
    assert_eq!(String::from_utf8(seen).unwrap(), "10.77.0.2");
    server_proxy
        .log
        .wait_for("the end", |line| line.is_end("inbound"));
}

fn client_without_proxy() {
    let node = Node::new();
    let client = node.pod("plain");
    let (server, proxy) = node.captured("server");
    let _server = server.serve(8080, applications::who_am_i);
    let seen = client.run(ask(server.port(8080), b"who?")).unwrap();
    assert_eq!(String::from_utf8(seen).unwrap(), "10.77.0.5");
    let line = proxy.log.wait_for("the end", |line| line.is_end("inbound"));
    line.expect(&[
        ("src.workload", "plain"),
        ("src.identity", ""),
        ("dst.workload", "server"),
        ("dst.addr", "10.77.0.3:8080"),
        ("dst.hbone_addr", ""),
        ("bytes_recv", "4"),
        ("bytes_sent", "9"),
        ("error", ""),
    ]);
    let labels = [
        ("reporter", "destination"),
        ("source_principal", "unknown"),
        ("destination_workload", "server"),
        ("connection_security_policy", "unknown"),
        ("response_flags", "-"),
    ];
    let metrics = proxy.metrics(&server);
    assert_eq!(
        metrics.sum("istio_tcp_connections_closed_total", &labels),
        1
    );
}

fn server_without_proxy() {
    let node = Node::new();
    let (client, proxy) = node.captured("client");
    let server = node.pod("plain");
    let _server = server.serve(8080, applications::http);
    let answer = client.run(get(server.port(8080), "/")).unwrap();
    assert!(answer.ends_with("page 1"), "{answer}");
    let line = proxy
        .log
        .wait_for("the end", |line| line.is_end("outbound"));
    line.expect(&[
        ("src.workload", "client"),
        ("src.identity", ""),
        ("dst.workload", "plain"),
        ("dst.addr", "10.77.0.5:8080"),
        ("dst.hbone_addr", ""),
        ("dst.identity", ""),
        ("error", ""),
    ]);
    let labels = [
        ("reporter", "source"),
        ("destination_workload", "plain"),
        ("connection_security_policy", "unknown"),
    ];
    let metrics = proxy.metrics(&client);
    assert_eq!(
        metrics.sum("istio_tcp_connections_closed_total", &labels),
        1
    );
}

fn two_endpoints() {
    let node = Node::new();
    let (client, proxy) = node.captured("client");
    let (server, _server_proxy) = node.captured("server");
    let (second, _second_proxy) = node.captured("second");
    let _servers = [&server, &second].map(|pod| pod.serve(8080, applications::echo));
    let requests = 40;
    client.run(async {
        for _ in 0..requests {
            let to = "10.77.1.2:80".parse().unwrap();
            assert_eq!(ask(to, b"hello").await.unwrap(), b"hello");
        }
    });
    proxy
        .log
        .wait_for_all("the ends", requests, |line| line.is_end("outbound"));
    let metrics = proxy.metrics(&client);
    let of = |workload| {
        metrics.sum(
            "istio_tcp_connections_closed_total",
            &[
                ("destination_workload", workload),
                ("destination_service", "pair.default.svc.cluster.local"),
                ("response_flags", "-"),
            ],
        )
    };
    let (first, other) = (of("server"), of("second"));
    assert_eq!(first + other, requests as u64);
    assert!(first > 0 && other > 0, "{first} and {other}");
}
