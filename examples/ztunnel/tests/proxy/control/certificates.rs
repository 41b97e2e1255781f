//! Certificates from the authority of the control plane.

use std::time::{Duration, Instant};

use super::plane::{ADDRESS, AUTHORIZATION, Plane, dump, eventually};
use crate::harness::{APP, Proxy, READINESS, echo, finish, ping};

/// The chain of the first certificate that a proxy has.
fn leaf(proxy: &Proxy) -> serde_json::Value {
    let dump: serde_json::Value = serde_json::from_str(&dump(proxy)).unwrap();
    dump["certificates"][0]["certChain"][0].clone()
}

#[test]
fn identities_and_state_come_from_the_control_plane() {
    let plane = Plane::new();
    echo(plane.mesh.server);
    let (client, server) = plane.proxies();
    let mut stream = client.connect(plane.mesh.vip, 80);
    ping(&mut stream, &[7; 100_000]).unwrap();
    finish(stream);
    for proxy in [&client, &server] {
        let line = proxy.log_line("connection complete", |_| true);
        let (from, to) = (&line["src.identity"], &line["dst.identity"]);
        assert_eq!(from, "spiffe://cluster.local/ns/ns/sa/client");
        assert_eq!(to, "spiffe://cluster.local/ns/ns/sa/server");
        assert_eq!(line["dst.service"], super::plane::SERVICE);
        assert_eq!(line["dst.workload"], "server-1");
        let metrics = proxy.metrics();
        let total = |name: &str, url: &str| {
            let sample = format!("istio_xds_{name}_total{{url=\"{url}\"}} ");
            let count = metrics.lines().find_map(|line| line.strip_prefix(&sample));
            count.and_then(|count| count.parse::<u64>().ok())
        };
        for url in [ADDRESS, AUTHORIZATION] {
            assert!(total("message", url) > Some(0), "{url}: {metrics}");
            assert!(total("message_bytes", url).is_some(), "{url}: {metrics}");
        }
        let (status, _) = proxy.http("GET", READINESS, "/healthz/ready");
        assert_eq!(status, 200);
    }
    assert_eq!(plane.ca.requests(), 2);
}

/// Connects again and again for `time`, and keeps one connection, while certificates live
/// `lifetime`. How many connections there were.
fn keep_connecting(lifetime: Duration, time: Duration) -> usize {
    let plane = Plane::new();
    plane.ca.set_lifetime(lifetime);
    echo(plane.mesh.server);
    let (client, server) = plane.proxies();
    let mut kept = client.connect(plane.mesh.server, APP);
    let first = (leaf(&client), leaf(&server));
    let begun = Instant::now();
    let mut connections = 0;
    while begun.elapsed() < time {
        let mut stream = client.connect(plane.mesh.server, APP);
        ping(&mut stream, b"hello").unwrap();
        ping(&mut kept, b"hello").unwrap();
        finish(stream);
        connections += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    let renewals = plane.ca.requests();
    eprintln!("{connections} connections, {renewals} certificates for two proxies");
    assert!(renewals >= 6, "{renewals} certificates");
    assert_ne!((leaf(&client), leaf(&server)), first);
    for proxy in [&client, &server] {
        assert_eq!(proxy.log_count("connection failed"), 0);
    }
    connections
}

#[test]
fn no_connection_fails_while_certificates_are_renewed() {
    assert!(keep_connecting(Duration::from_secs(4), Duration::from_secs(8)) > 10);
}

#[test]
#[ignore = "takes two minutes; run by hand with --ignored"]
fn no_connection_fails_in_two_minutes_of_certificates_that_live_one() {
    assert!(keep_connecting(Duration::from_secs(60), Duration::from_secs(130)) > 1000);
}

#[test]
fn an_authority_that_is_away_at_the_start_is_waited_for() {
    let plane = Plane::new();
    echo(plane.mesh.server);
    let away = (tonic::Code::Unavailable, "away".to_owned());
    plane.ca.set_failure(Some(away));
    let (client, server) = plane.proxies();
    let address = [&[1][..], &plane.mesh.server.octets()].concat();
    let reaches = || {
        let (reply, mut stream) = client.socks5(&address, APP);
        reply == 0 && ping(&mut stream, b"hello").is_ok()
    };
    assert!(!reaches());
    let line = client.log_line("connection complete", |_| true);
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(line["level"], "error");
    let metrics = client.metrics();
    let failed = metrics.lines().find(|line| {
        line.starts_with("istio_tcp_connections_failed_total{")
            && line.contains("response_flags=\"IDENTITY_ERROR\"")
    });
    assert!(failed.is_some(), "{metrics}");
    let all = dump(&client);
    assert!(all.contains("\"state\": \"Unavailable: "), "{all}");
    plane.ca.set_failure(None);
    eventually("certificates come", reaches);
    drop(server);
}

#[test]
fn a_token_is_read_again_when_it_is_used() {
    let plane = Plane::new();
    plane.ca.set_lifetime(Duration::from_secs(4));
    echo(plane.mesh.server);
    let (client, _server) = plane.proxies();
    plane.renew_token("second");
    let before = plane.ca.requests();
    eventually("certificates are renewed", || {
        plane.ca.requests() >= before + 2
    });
    eventually("with the new token", || {
        let mut stream = client.connect(plane.mesh.server, APP);
        ping(&mut stream, b"hello").is_ok()
    });
    assert_eq!(client.log_count("connection failed"), 0);
}

#[test]
fn a_new_root_is_trusted_before_certificates_need_it() {
    let plane = Plane::new();
    plane.ca.set_lifetime(Duration::from_secs(4));
    echo(plane.mesh.server);
    let (client, server) = plane.proxies();
    let mut kept = client.connect(plane.mesh.server, APP);
    ping(&mut kept, b"hello").unwrap();
    plane.ca.rotate().unwrap();
    let first = (leaf(&client), leaf(&server));
    eventually("both have new certificates", || {
        ping(&mut kept, b"hello").unwrap();
        let now = (leaf(&client), leaf(&server));
        now.0 != first.0 && now.1 != first.1
    });
    let mut stream = client.connect(plane.mesh.server, APP);
    ping(&mut stream, b"hello").unwrap();
    finish(stream);
    finish(kept);
}
