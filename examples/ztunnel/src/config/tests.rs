//! Tests of the settings: the documented variables and defaults.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{Authority, Env, LocalMesh, LogFormat, Settings, Token};

const LEAST: [(&str, &str); 5] = [
    ("HOME", "/home/me"),
    ("PROXY_MODE", "dedicated"),
    ("PROXY_WORKLOAD_INFO", "ns/web-1/web"),
    ("LOCAL_XDS_PATH", "mesh.yaml"),
    ("FAKE_CA", "true"),
];

fn settings(more: &[(&str, &str)]) -> Result<Settings, String> {
    let vars: Vec<_> = LEAST.iter().chain(more).copied().collect();
    Settings::from_env(&Env::of(&vars), NonZeroUsize::new(8).unwrap()).map_err(|e| e.to_string())
}

#[test]
fn defaults_are_the_documented_ones() {
    let settings = settings(&[]).unwrap();
    assert_eq!(settings.workload.namespace, "ns");
    assert_eq!(settings.workload.name, "web-1");
    assert_eq!(settings.workload.service_account, "web");
    assert_eq!(settings.network, "");
    assert_eq!(settings.node, None);
    assert_eq!(settings.trust_domain.as_str(), "cluster.local");
    assert_eq!(settings.cluster_id, "Kubernetes");
    assert_eq!(
        settings.local,
        Some(LocalMesh::File(
            "mesh.yaml".into(),
            Duration::from_millis(500)
        ))
    );
    assert_eq!(settings.xds, None);
    assert_eq!((settings.token, settings.crl), (Token::None, None));
    assert!(!settings.log_policies);
    let addresses: Vec<_> = settings.listen.ports().collect();
    assert_eq!(
        addresses,
        [
            ("outbound", 15001),
            ("inbound plaintext", 15006),
            ("inbound HBONE", 15008),
            ("admin", 15000),
            ("metrics", 15020),
            ("readiness", 15021),
        ]
    );
    assert_eq!(settings.listen.outbound.to_string(), "[::]:15001");
    let admin: Vec<_> = settings
        .listen
        .admin
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(admin, ["127.0.0.1:15000", "[::1]:15000"]);
    let keepalive = settings.net.sockets.keepalive.unwrap();
    assert_eq!(
        (keepalive.idle, keepalive.probes),
        (Duration::from_secs(180), 9)
    );
    assert_eq!(settings.net.sockets.user_timeout, None);
    assert_eq!(settings.net.sockets.mark, None);
    assert_eq!(settings.net.unused_release, Duration::from_secs(300));
    assert_eq!(settings.net.awake, Duration::ZERO);
    assert_eq!(settings.original_source, None);
    assert!(settings.localhost_app_tunnel && settings.response_baggage);
    assert_eq!(settings.drain_deadline, Duration::from_secs(5));
    assert_eq!(settings.workers.get(), 2);
    assert_eq!(settings.log_format, LogFormat::Plain);
    assert_eq!(settings.log_filter, "info");
    assert_eq!(settings.version, "unknown");
    assert_eq!(settings.ignored, [""; 0]);
}

#[test]
fn every_variable_has_its_effect() {
    let settings = settings(&[
        ("NETWORK", "net1"),
        ("NODE_NAME", "node-1"),
        ("TRUST_DOMAIN", "example.org"),
        ("CLUSTER_ID", "c1"),
        ("ISTIO_META_CLUSTER_ID", "c2"),
        ("IPV6_ENABLED", "false"),
        ("UNSTABLE_ENABLE_SOCKS5", "true"),
        ("MESH_OUTBOUND_PORT", "25001"),
        ("ENABLE_ORIG_SRC", "false"),
        ("PACKET_MARK", "0x539"),
        ("KEEPALIVE_TIME", "1m"),
        ("KEEPALIVE_INTERVAL", "10s"),
        ("KEEPALIVE_RETRIES", "3"),
        ("USER_TIMEOUT_ENABLED", "true"),
        ("POOL_MAX_STREAMS_PER_CONNECTION", "7"),
        ("POOL_UNUSED_RELEASE_TIMEOUT", "10s"),
        ("MESH_AWAKE", "100us"),
        ("HTTP2_STREAM_WINDOW_SIZE", "4194304"),
        ("HTTP2_FRAME_SIZE", "1048576"),
        ("LOCALHOST_APP_TUNNEL", "false"),
        ("ENABLE_RESPONSE_BAGGAGE", "False"),
        ("LOG_FORMAT", "json"),
        ("RUST_LOG", "debug,access=off"),
        ("MESH_DEV_CA_DIR", "/srv/ca"),
        ("ISTIO_META_ISTIO_VERSION", "1.30"),
        ("CA_ADDRESS", "istiod:15012"),
        ("XDS_HEADER_A", "b"),
        ("CRL_PATH", "/crl"),
        ("AUTHZ_POLICY_INFO_LOGGING", "true"),
    ])
    .unwrap();
    assert_eq!(settings.network, "net1");
    assert_eq!(settings.node.unwrap(), "node-1");
    assert_eq!(settings.trust_domain.as_str(), "example.org");
    assert_eq!(settings.cluster_id, "c2");
    assert_eq!(settings.listen.outbound.to_string(), "0.0.0.0:25001");
    assert_eq!(
        settings.listen.socks5.unwrap().to_string(),
        "127.0.0.1:15080"
    );
    assert_eq!(settings.original_source, Some(false));
    assert_eq!(settings.net.sockets.mark, Some(1337));
    assert_eq!(
        settings.net.sockets.user_timeout,
        Some(Duration::from_secs(90))
    );
    assert_eq!(settings.net.max_streams, Some(7));
    assert_eq!(settings.net.unused_release, Duration::from_secs(10));
    assert_eq!(settings.net.awake, Duration::from_micros(100));
    assert_eq!(settings.net.stream_window, Some(4 << 20));
    assert_eq!(settings.net.frame_size, Some(1 << 20));
    assert!(!settings.localhost_app_tunnel && !settings.response_baggage);
    assert_eq!(settings.log_format, LogFormat::Json);
    assert_eq!(settings.log_filter, "debug,access=off");
    assert_eq!(settings.authority, Authority::Development("/srv/ca".into()));
    assert_eq!(settings.crl, Some("/crl".into()));
    assert!(settings.log_policies);
    assert_eq!(settings.version, "1.30");
    assert_eq!(settings.ignored, ["CA_ADDRESS", "XDS_HEADER_A"]);
}

#[test]
fn a_loopback_bind_address_is_the_address_of_every_listener() {
    let vars = [
        ("MESH_BIND_ADDRESS", "127.0.0.2"),
        ("UNSTABLE_ENABLE_SOCKS5", "true"),
    ];
    let listen = settings(&vars).unwrap().listen;
    let mut all = vec![
        listen.outbound,
        listen.inbound_hbone,
        listen.metrics,
        listen.readiness,
    ];
    all.extend(listen.admin);
    all.extend(listen.socks5);
    assert!(
        all.iter()
            .all(|address| address.ip().to_string() == "127.0.0.2"),
        "{all:?}"
    );

    let listen = settings(&[("MESH_BIND_ADDRESS", "10.0.0.2")])
        .unwrap()
        .listen;
    assert_eq!(listen.metrics.to_string(), "10.0.0.2:15020");
    assert_eq!(listen.admin[0].to_string(), "127.0.0.1:15000");
}

#[test]
fn the_drain_deadline_leaves_time_before_the_process_is_killed() {
    let grace = "TERMINATION_GRACE_PERIOD_SECONDS";
    for (vars, seconds) in [
        (vec![(grace, "30")], 25),
        (vec![(grace, "11")], 6),
        (vec![(grace, "10")], 9),
        (vec![(grace, "1")], 1),
        (vec![(grace, "0")], 1),
        (
            vec![(grace, "30"), ("CONNECTION_TERMINATION_DEADLINE", "1m")],
            60,
        ),
    ] {
        let deadline = settings(&vars).unwrap().drain_deadline;
        assert_eq!(deadline, Duration::from_secs(seconds), "{vars:?}");
    }
}

#[test]
fn errors_name_the_variable_and_what_was_expected() {
    for (name, value, says) in [
        (
            "PROXY_MODE",
            "shared",
            "shared mode is not available yet, set PROXY_MODE=dedicated",
        ),
        (
            "PROXY_MODE",
            "node",
            "PROXY_MODE is `node`, expected dedicated",
        ),
        ("PROXY_WORKLOAD_INFO", "", "PROXY_WORKLOAD_INFO is not set"),
        (
            "PROXY_WORKLOAD_INFO",
            "a/b",
            "PROXY_WORKLOAD_INFO is `a/b`, expected namespace/name/",
        ),
        (
            "PROXY_WORKLOAD_INFO",
            "a/b/c/d",
            "expected namespace/name/service-account",
        ),
        (
            "PROXY_WORKLOAD_INFO",
            "a//c",
            "expected namespace/name/service-account",
        ),
        ("ENABLE_PROXY", "false", "ENABLE_PROXY is false"),
        ("FAKE_CA", "yes", "FAKE_CA is `yes`, expected true or false"),
        (
            "LOCAL_XDS",
            "{}",
            "LOCAL_XDS_PATH and LOCAL_XDS are both set",
        ),
        (
            "MESH_MANIFESTS",
            "manifests",
            "LOCAL_XDS_PATH and MESH_MANIFESTS are both set",
        ),
        (
            "TRUST_DOMAIN",
            "A B",
            "TRUST_DOMAIN is `A B`, expected a trust domain",
        ),
        (
            "IPV6_ENABLED",
            "1",
            "IPV6_ENABLED is `1`, expected true or false",
        ),
        (
            "MESH_BIND_ADDRESS",
            "localhost",
            "MESH_BIND_ADDRESS is `localhost`, expected an IP",
        ),
        (
            "MESH_OUTBOUND_PORT",
            "0",
            "MESH_OUTBOUND_PORT is `0`, expected a port from 1 to 65535",
        ),
        (
            "MESH_ADMIN_PORT",
            "15008",
            "inbound HBONE and admin are both on port 15008",
        ),
        (
            "KEEPALIVE_TIME",
            "180",
            "KEEPALIVE_TIME is `180`, expected a duration such as 10s",
        ),
        (
            "KEEPALIVE_RETRIES",
            "0",
            "KEEPALIVE_RETRIES is `0`, expected a number from 1",
        ),
        (
            "PACKET_MARK",
            "0xZZ",
            "PACKET_MARK is `0xZZ`, expected a packet mark",
        ),
        (
            "POOL_MAX_STREAMS_PER_CONNECTION",
            "0",
            "expected a number from 1 to 65535",
        ),
        (
            "HTTP2_STREAM_WINDOW_SIZE",
            "4MB",
            "expected a number of bytes",
        ),
        (
            "CONNECTION_TERMINATION_DEADLINE",
            "soon",
            "expected a duration",
        ),
        (
            "TERMINATION_GRACE_PERIOD_SECONDS",
            "30s",
            "expected a number of seconds",
        ),
        (
            "LOG_FORMAT",
            "xml",
            "LOG_FORMAT is `xml`, expected plain or json",
        ),
        ("AUTHZ_POLICY_INFO_LOGGING", "1", "expected true or false"),
        (
            "COMPLIANCE_POLICY",
            "pqc",
            "COMPLIANCE_POLICY is set but in this version",
        ),
    ] {
        let error = settings(&[(name, value)]).expect_err(name);
        assert!(error.contains(says), "{name}={value}: {error}");
    }
}
