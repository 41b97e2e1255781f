//! Starting: what is refused, and that the refusal says why.

use std::net::TcpListener;

use crate::harness::{ADMIN, METRICS, Mesh, Proxy, READINESS, SOCKS5, command};

/// The standard error of a proxy that does not start.
fn refusal(mesh: &Mesh, more: &[(&str, &str)]) -> String {
    let mut environment = mesh.environment(mesh.client);
    for (name, value) in more {
        environment.retain(|(other, _)| other != name);
        environment.push(((*name).to_owned(), (*value).to_owned()));
    }
    let output = command(&environment, &mesh.directory).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_taken_port_refuses_the_start_and_is_named() {
    let mesh = Mesh::new();
    for (what, port) in [
        ("outbound connections", 15001),
        ("inbound plaintext connections", 15006),
        ("inbound HBONE connections", 15008),
        ("SOCKS5 connections", SOCKS5),
        ("administration requests", ADMIN),
        ("metrics requests", METRICS),
        ("readiness requests", READINESS),
    ] {
        let taken = TcpListener::bind((mesh.client, port)).unwrap();
        let says = format!("cannot listen for {what} at {}:{port}", mesh.client);
        let error = refusal(&mesh, &[]);
        assert!(error.contains(&says), "{error}");
        drop(taken);
    }
}

#[test]
fn a_second_proxy_does_not_share_the_ports_of_the_first() {
    let mesh = Mesh::new();
    let _first: Proxy = mesh.proxy(mesh.client, &[("ZTUNNEL_WORKER_THREADS", "2")]);
    let other_servers = [
        ("MESH_ADMIN_PORT", "25000"),
        ("MESH_METRICS_PORT", "25020"),
        ("MESH_READINESS_PORT", "25021"),
    ];
    let error = refusal(&mesh, &other_servers);
    assert!(
        error.contains("cannot listen for outbound connections"),
        "{error}"
    );
}

#[test]
fn a_bad_environment_or_file_refuses_the_start_and_says_where() {
    let mesh = Mesh::new();
    for (name, value, says) in [
        (
            "PROXY_MODE",
            "shared",
            "shared mode is not available yet, set PROXY_MODE=dedicated",
        ),
        (
            "FAKE_CA",
            "maybe",
            "FAKE_CA is `maybe`, expected true or false",
        ),
        (
            "RUST_LOG",
            "loud",
            "RUST_LOG is not usable: `loud` is not a level",
        ),
        (
            "MESH_HBONE_PORT",
            "99999",
            "MESH_HBONE_PORT is `99999`, expected a port from 1 to 65535",
        ),
        (
            "HTTP2_FRAME_SIZE",
            "1",
            "frame size is 1, expected 16384 to 16777215",
        ),
        (
            "LOCAL_XDS_PATH",
            "/does/not/exist",
            "cannot read /does/not/exist",
        ),
        ("COMPLIANCE_POLICY", "pqc", "COMPLIANCE_POLICY is set"),
    ] {
        let error = refusal(&mesh, &[(name, value)]);
        assert!(error.contains(says), "{name}={value}: {error}");
    }
    for (text, says) in [
        ("workloads: 7\n", "mesh.yaml:1:12: workloads: expected"),
        ("policies:\n- name: p\n", "policies[0]: missing field"),
        ("", "is empty"),
    ] {
        mesh.write(text);
        let error = refusal(&mesh, &[]);
        assert!(error.contains(says), "{text:?}: {error}");
    }
}

#[test]
fn a_mesh_without_the_own_workload_is_warned_of() {
    let mesh = Mesh::new();
    for (name, value, says) in [
        (
            "PROXY_WORKLOAD_INFO",
            "ns/client-2/client",
            "no workload with the namespace, name",
        ),
        (
            "NODE_NAME",
            "desktop",
            "no workload with the namespace, name",
        ),
        (
            "TRUST_DOMAIN",
            "example.org",
            "its trust domain is not TRUST_DOMAIN",
        ),
        ("NETWORK", "net1", "its network is not NETWORK"),
    ] {
        let proxy = mesh.proxy(mesh.client, &[(name, value)]);
        let line = proxy.log_line("the workload of this proxy cannot be served", |_| true);
        assert!(line["problem"].as_str().unwrap().contains(says), "{line}");
    }
}

#[test]
fn the_mesh_may_be_described_in_the_environment() {
    let mesh = Mesh::new();
    let text = mesh.yaml(mesh.client);
    let proxy = mesh.proxy(mesh.client, &[("LOCAL_XDS_PATH", ""), ("LOCAL_XDS", &text)]);
    assert_eq!(proxy.log_line("mesh loaded", |_| true)["workloads"], 3);
}

#[test]
fn variables_that_have_no_effect_are_named_once() {
    let mesh = Mesh::new();
    let later = [
        ("CA_ADDRESS", "istiod:15012"),
        ("XDS_HEADER_A", "b"),
        ("AUTH_TOKEN", ""),
    ];
    let proxy = mesh.proxy(mesh.client, &later);
    let line = proxy.log_line("variables are set that are not used", |_| true);
    assert_eq!(line["variables"], "CA_ADDRESS XDS_HEADER_A");
}

#[test]
fn the_version_and_the_help_are_shown() {
    let mesh = Mesh::new();
    for (argument, says) in [("version", "ztunnel 0."), ("help", "PROXY_WORKLOAD_INFO")] {
        let output = command(&[], &mesh.directory)
            .arg(argument)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(says), "{text}");
    }
    let output = command(&[], &mesh.directory).arg("run").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && text.contains("unknown command `run`"),
        "{text}"
    );
}
