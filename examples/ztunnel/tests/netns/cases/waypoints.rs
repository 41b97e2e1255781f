//! Traffic that has to pass through a waypoint, for which the test stands in.

use libtest_mimic::Trial;

use super::trial;
use crate::harness::clients::{Fate, ask, fate};
use crate::harness::hbone::{self, Asked, PREFIX};
use crate::harness::{Node, log::Line};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "a_workload_with_a_waypoint_is_reached_through_it",
            workload_waypoint,
        ),
        trial(
            "a_service_with_a_waypoint_is_reached_through_it",
            service_waypoint,
        ),
        trial(
            "a_waypoint_with_another_identity_gets_no_request",
            false_waypoint,
        ),
    ]
}

fn workload_waypoint() {
    let (asked, line) = through_the_waypoint("10.77.0.9:8080");
    assert_eq!(asked.authority, "10.77.0.9:8080");
    line.expect(&[("dst.hbone_addr", "10.77.0.9:8080"), ("dst.service", "")]);
    assert!(asked.forwarded.ends_with('"'), "{}", asked.forwarded);
}

fn service_waypoint() {
    let (asked, line) = through_the_waypoint("10.77.1.3:80");
    assert_eq!(asked.authority, "10.77.1.3:80");
    line.expect(&[
        ("dst.hbone_addr", "10.77.1.3:80"),
        ("dst.service", "till.default.svc.cluster.local"),
    ]);
    let host = ";host=till.default.svc.cluster.local";
    assert!(asked.forwarded.ends_with(host), "{}", asked.forwarded);
}

/// Sends a request; what the waypoint was asked for, and what the client's proxy recorded.
fn through_the_waypoint(to: &str) -> (Asked, Line) {
    let node = Node::new();
    let (client, proxy) = node.captured("client");
    let waypoint = node.pod("waypoint");
    let (_waypoint, mut requests) = hbone::waypoint(&waypoint, hbone::identity("waypoint"));
    let answer = client.run(ask(to.parse().unwrap(), b"hello")).unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), format!("{PREFIX}hello"));

    let asked = requests.blocking_recv().unwrap();
    assert_eq!(asked.peer, hbone::identity("client"));
    let forwarded = &asked.forwarded;
    assert!(forwarded.starts_with("for=\"10.77.0.2:"), "{forwarded}");
    let baggage = &asked.baggage;
    assert!(baggage.contains("k8s.pod.name=client"), "{baggage}");

    let line = proxy
        .log
        .wait_for("the end", |line| line.is_end("outbound"));
    line.expect(&[
        ("dst.addr", "10.77.0.8:15008"),
        ("dst.workload", "waypoint"),
        (
            "dst.identity",
            "spiffe://cluster.local/ns/default/sa/waypoint",
        ),
        ("bytes_sent", "5"),
        ("error", ""),
    ]);
    (asked, line)
}

fn false_waypoint() {
    let node = Node::new();
    let (client, proxy) = node.captured("client");
    let waypoint = node.pod("waypoint");
    let (_waypoint, mut requests) = hbone::waypoint(&waypoint, hbone::identity("native"));
    let fate = client.run(fate("10.77.1.3:80".parse().unwrap()));
    assert_eq!(fate, Fate::Closed);
    let line = proxy
        .log
        .wait_for("the end", |line| line.is_end("outbound"));
    line.expect(&[("level", "error"), ("bytes_recv", "0")]);
    assert!(
        requests.try_recv().is_err(),
        "the false waypoint got a request"
    );
}
