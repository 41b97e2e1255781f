//! A control plane that comes and goes.

use std::net::TcpStream;

use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};
use mesh_core::model::NetworkAddress;

use super::plane::{AUTHORIZATION, Plane, dump, eventually};
use crate::harness::{APP, Proxy, READINESS, echo, finish, ping};

fn open(client: &Proxy, plane: &Plane) -> TcpStream {
    let mut stream = client.connect(plane.mesh.vip, 80);
    ping(&mut stream, b"hello").unwrap();
    stream
}

/// Whether the client gets through to the server.
fn reaches(client: &Proxy, plane: &Plane) -> bool {
    let address = [&[1][..], &plane.mesh.server.octets()].concat();
    let (reply, mut stream) = client.socks5(&address, APP);
    reply == 0 && ping(&mut stream, b"hello").is_ok()
}

#[test]
fn traffic_goes_on_without_a_control_plane_and_changes_are_caught_up_with() {
    let mut plane = Plane::new();
    echo(plane.mesh.server);
    let (client, server) = plane.proxies();
    let mut before = open(&client, &plane);
    plane.stop();
    for proxy in [&client, &server] {
        proxy.log_line("the control plane is away", |_| true);
    }
    ping(&mut before, b"still there").unwrap();
    let mut during = open(&client, &plane);
    // What happens while nobody is told: another address of the service, and a policy.
    let mut service = plane.service();
    let vip = std::net::Ipv4Addr::from(u32::from(plane.mesh.vip) + 1);
    service.vips.push(NetworkAddress::new("", vip.into()));
    plane.discovery.put_service(&service);
    let mut policy = PolicySpec::new("ns", "nobody", Scope::Namespace, Action::Deny);
    policy.rules.push(RuleSpec::of(MatchSpec {
        namespaces: vec![StringMatch::exact("nobody").unwrap()],
        ..MatchSpec::default()
    }));
    plane.discovery.put_policy(&policy);
    plane
        .discovery
        .remove("type.googleapis.com/istio.workload.Address", "nothing");
    plane.start();
    for proxy in [&client, &server] {
        eventually("the new address and the policy are known", || {
            let dump = dump(proxy);
            dump.contains(&vip.to_string()) && dump.contains("nobody")
        });
    }
    let mut after = client.connect(vip, 80);
    ping(&mut after, b"hello").unwrap();
    finish(after);
    for stream in [&mut before, &mut during] {
        ping(stream, b"still there").unwrap();
    }
    finish(before);
    finish(during);
    for proxy in [&client, &server] {
        assert_eq!(proxy.log_count("connection failed"), 0);
        let ends = "istio_xds_connection_terminations_total{reason=\"ConnectionError\"} ";
        let metrics = proxy.metrics();
        let count = metrics.lines().find_map(|line| line.strip_prefix(ends));
        assert!(count.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
    }
}

#[test]
fn a_resource_that_went_while_the_control_plane_was_away_is_gone_afterwards() {
    let mut plane = Plane::new();
    echo(plane.mesh.server);
    let mut policy = PolicySpec::new("ns", "nobody-may", Scope::Namespace, Action::Deny);
    policy.rules.push(RuleSpec::of(MatchSpec {
        namespaces: vec![StringMatch::exact("ns").unwrap()],
        ..MatchSpec::default()
    }));
    plane.discovery.put_policy(&policy);
    let (client, _server) = plane.proxies();
    assert!(!reaches(&client, &plane));
    plane.stop();
    assert!(!reaches(&client, &plane));
    plane.discovery.remove(AUTHORIZATION, "ns/nobody-may");
    plane.start();
    eventually("the policy is gone", || reaches(&client, &plane));
}

#[test]
fn proxies_that_start_before_the_control_plane_become_ready_when_it_comes() {
    let mut plane = Plane::new();
    echo(plane.mesh.server);
    plane.stop();
    let server = plane.proxy_that_waits(plane.mesh.server);
    let client = plane.proxy_that_waits(plane.mesh.client);
    for proxy in [&client, &server] {
        eventually("readiness is served", || {
            TcpStream::connect(proxy.at(READINESS)).is_ok()
        });
        let (status, body) = proxy.http("GET", READINESS, "/healthz/ready");
        assert_eq!(status, 500);
        assert!(body.contains("state manager"), "{body}");
    }
    plane.start();
    for proxy in [&client, &server] {
        eventually("ready", || {
            proxy.http("GET", READINESS, "/healthz/ready").0 == 200
        });
    }
    // The authority was away as well, and is asked again after a pause.
    eventually("certificates have come", || reaches(&client, &plane));
}

#[test]
fn a_proxy_is_ready_when_it_knows_what_there_is_to_know() {
    let plane = Plane::new();
    plane.discovery.faults().hold(true);
    let client = plane.proxy_that_waits(plane.mesh.client);
    client.log_line("waiting for the control plane", |_| true);
    let (status, body) = client.http("GET", READINESS, "/healthz/ready");
    let pending = "not ready, pending: proxy, state manager\n";
    assert_eq!((status, body.as_str()), (500, pending));
    // Nothing is carried before policies are known.
    assert!(TcpStream::connect(client.at(15008)).is_err());
    plane.discovery.faults().hold(false);
    client.log_line("serving", |_| true);
    let (status, _) = client.http("GET", READINESS, "/healthz/ready");
    assert_eq!(status, 200);
}

#[test]
fn a_slow_server_and_one_that_breaks_off_in_the_middle_of_a_response_are_survived() {
    let plane = Plane::new();
    echo(plane.mesh.server);
    plane
        .discovery
        .faults()
        .delay(std::time::Duration::from_millis(100));
    // The first connections break in the middle of what they are sent.
    plane.discovery.faults().cut_after(Some(2_000));
    let server = plane.proxy_that_waits(plane.mesh.server);
    server.log_any(|line| line["level"] == "warn");
    plane.discovery.faults().cut_after(None);
    server.log_line("serving", |_| true);
    let client = plane.proxy(plane.mesh.client, &[]);
    eventually("certificates have come", || reaches(&client, &plane));
}
