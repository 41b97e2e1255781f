//! What is refused, and that it is refused at once and for a stated reason.

use std::io;
use std::net::SocketAddr;

use libtest_mimic::Trial;
use tokio::time::timeout;

use super::trial;
use crate::harness::clients::{Fate, ask, fate};
use crate::harness::hbone::{self, Answer};
use crate::harness::{Node, PROMPT, applications, log::Line};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "connections_to_a_closed_port_end_at_once_and_the_log_says_why",
            closed_port,
        ),
        trial(
            "the_ports_of_the_proxies_are_no_way_around_them",
            ports_of_proxies,
        ),
        trial(
            "plain_text_to_the_hbone_port_is_refused_and_logged",
            plain_text_to_hbone,
        ),
        trial(
            "hbone_requests_have_their_documented_answers",
            hbone_answers,
        ),
        trial(
            "a_workload_of_another_trust_domain_gets_nothing",
            foreign_trust_domain,
        ),
    ]
}

fn closed_port() {
    let node = Node::new();
    let (client, proxy) = node.captured("client");
    let (server, server_proxy) = node.captured("server");
    let plain = node.pod("plain");
    let prompt = |to| {
        client
            .run(async { timeout(PROMPT, fate(to)).await })
            .expect("the end is prompt")
    };

    assert_eq!(prompt(server.port(9999)), Fate::Closed);
    let line = proxy
        .log
        .wait_for("the end", |line| line.is_end("outbound"));
    line.expect(&[("level", "error"), ("dst.hbone_addr", "10.77.0.3:9999")]);
    assert!(line.field("error").contains("http status: 503"), "{line:?}");
    let line = server_proxy
        .log
        .wait_for("the end", |line| line.is_end("inbound"));
    assert!(
        line.field("error")
            .to_lowercase()
            .contains("connection refused"),
        "{line:?}"
    );

    assert_eq!(prompt(plain.port(9999)), Fate::Closed);
    let line = proxy.log.wait_for("the end", |line| {
        line.is_end("outbound") && line.field("dst.addr") == "10.77.0.5:9999"
    });
    assert!(
        line.field("error")
            .to_lowercase()
            .contains("connection refused"),
        "{line:?}"
    );

    let failed = [("response_flags", "CONNECT"), ("reporter", "source")];
    let metrics = proxy.metrics(&client);
    assert_eq!(
        metrics.sum("istio_tcp_connections_failed_total", &failed),
        2
    );
}

/// Ports that a proxy listens on or may be told to.
const PORTS: [u16; 7] = [15001, 15006, 15008, 15080, 15000, 15020, 15021];

fn ports_of_proxies() {
    use Fate::{Answered, Closed, Refused};
    let node = Node::new();
    let (client, client_proxy) = node.captured("client");
    let (server, server_proxy) = node.captured("server");
    let plain = node.pod("plain");
    let _echo = server.serve(8080, applications::echo);
    let loopback = [127, 0, 0, 1].into();

    // Metrics and readiness are for everyone, administration for the pod itself; SOCKS5 is off. What is
    // redirected is accepted by a proxy before it is refused.
    for (from, to, fates) in [
        (
            &client,
            server.ip,
            [Closed, Closed, Closed, Closed, Closed, Answered, Answered],
        ),
        (
            &client,
            client.ip,
            [Closed, Closed, Closed, Refused, Refused, Answered, Answered],
        ),
        (
            &client,
            loopback,
            [
                Closed, Closed, Closed, Refused, Answered, Answered, Answered,
            ],
        ),
        (
            &plain,
            server.ip,
            [Closed, Closed, Closed, Closed, Closed, Answered, Answered],
        ),
    ] {
        for (port, expected) in PORTS.into_iter().zip(fates) {
            let got = from.run(fate(SocketAddr::new(to, port)));
            assert_eq!(got, expected, "{} to {to}:{port}", from.name);
        }
    }

    // Nothing ran in circles, and the proxies still serve.
    assert_eq!(
        client.run(ask(server.port(8080), b"hello")).unwrap(),
        b"hello"
    );
    for (proxy, pod) in [(&client_proxy, &client), (&server_proxy, &server)] {
        let opened = proxy
            .metrics(pod)
            .sum("istio_tcp_connections_opened_total", &[]);
        assert!(
            opened <= 22,
            "{opened} connections through the proxy of {}",
            pod.name
        );
    }
}

fn plain_text_to_hbone() {
    let node = Node::new();
    let plain = node.pod("plain");
    let (server, proxy) = node.captured("server");
    assert_eq!(plain.run(fate(server.port(hbone::PORT))), Fate::Closed);
    let line = proxy
        .log
        .wait_for("the refusal", |line| line.message() == "connection failed");
    line.expect(&[
        ("level", "warn"),
        ("dst.addr", "10.77.0.3:15008"),
        ("direction", "inbound"),
    ]);
    assert!(line.field("src.addr").starts_with("10.77.0.5:"), "{line:?}");
    assert_ne!(line.field("error"), "");
}

fn hbone_answers() {
    let node = Node::new();
    let native = node.pod("native");
    let (server, proxy) = node.captured("server");
    let _echo = server.serve(8080, applications::echo);
    let echoed = || Answer::Bytes(hbone::REQUEST.to_owned());
    for (authority, expected) in [
        ("10.77.0.3:8080", echoed()),
        ("web.default.svc.cluster.local:80", echoed()),
        // Another pod's address, and the client's own.
        ("10.77.0.4:8080", Answer::Status(400)),
        ("10.77.0.6:8080", Answer::Status(400)),
        ("10.77.0.3", Answer::Status(400)),
        ("web.default.svc.cluster.local:81", Answer::Status(503)),
        ("nowhere.default.svc.cluster.local:80", Answer::Status(503)),
        ("10.77.0.3:9999", Answer::Status(503)),
        ("10.77.0.3:15001", Answer::Status(503)),
        ("10.77.0.3:15006", Answer::Status(503)),
        ("10.77.0.3:15008", Answer::Status(503)),
    ] {
        let answer = hbone::connect(&native, &server, authority);
        assert_eq!(answer, expected, "{authority}");
    }
    let mismatch = |line: &Line| line.field("error").contains("ip mismatch");
    let line = proxy.log.wait_for("the other address", mismatch);
    let error = line.field("error");
    assert!(
        error.contains("ip mismatch: 10.77.0.3 != 10.77.0.4"),
        "{error}"
    );
    // The application's connection came from the client's address, and its end is recorded.
    let line = proxy.log.wait_for("the end", |line| line.is_end("inbound"));
    line.expect(&[
        (
            "src.identity",
            "spiffe://cluster.local/ns/default/sa/native",
        ),
        ("dst.hbone_addr", "10.77.0.3:8080"),
        ("error", ""),
    ]);
}

fn foreign_trust_domain() {
    let node = Node::new();
    let (foreign, foreign_proxy) =
        node.captured_with("foreign", &[("TRUST_DOMAIN", "example.org")]);
    let (server, server_proxy) = node.captured("server");
    let (reached, mut reaches) = tokio::sync::mpsc::unbounded_channel();
    let _server = server.serve(8080, move |_stream| {
        let reached = reached.send(());
        async move { reached.map_err(|_| io::ErrorKind::Other.into()) }
    });
    assert_eq!(foreign.run(fate(server.port(8080))), Fate::Closed);
    let line = foreign_proxy
        .log
        .wait_for("the end", |line| line.is_end("outbound"));
    line.expect(&[("level", "error"), ("bytes_recv", "0")]);
    assert_eq!(
        hbone::connect_as_foreigner(&foreign, &server, "10.77.0.3:8080"),
        Answer::Failed
    );
    let refusal = |line: &Line| line.message() == "connection failed";
    let line = server_proxy.log.wait_for("the refusal", refusal);
    let presented = "spiffe://example.org/ns/default/sa/foreign";
    assert!(line.field("error").contains(presented), "{line:?}");
    assert!(reaches.try_recv().is_err(), "the server was reached");
}
