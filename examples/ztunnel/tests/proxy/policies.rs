//! Policies of the local file, enforced by the server's proxy.

use std::io::Read;
use std::net::TcpStream;

use crate::harness::{APP, Mesh, Proxy, echo, finish, ping};

fn policy(name: &str, action: &str, more: &str) -> String {
    format!("- {{name: {name}, namespace: ns, scope: Namespace, action: {action}, {more}}}\n")
}

/// The mesh with these policies.
fn with(mesh: &Mesh, policies: &[String]) -> String {
    format!("{}policies:\n{}", mesh.yaml(mesh.server), policies.concat())
}

const FROM_CLIENT: &str = "rules: [[[{principals: [!Suffix /sa/client]}]]]";
const FROM_OTHERS: &str = "rules: [[[{principals: [!Suffix /sa/other]}]]]";
const NONE_ALLOWED: &str = "allow policies exist, but none allowed";

fn refused(client: &Proxy, mesh: &Mesh) -> bool {
    let address = [&[1][..], &mesh.server.octets()].concat();
    let (reply, mut stream) = client.socks5(&address, APP);
    reply != 0 && stream.read(&mut [0]).unwrap_or(0) == 0
}

fn is_cut(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0]).map_or(true, |bytes| bytes == 0)
}

#[test]
fn what_no_policy_allows_is_denied_and_recorded_by_both_proxies() {
    let mesh = Mesh::new();
    mesh.write(&with(&mesh, &[policy("others", "Allow", FROM_OTHERS)]));
    let (client, server) = mesh.proxies();
    echo(mesh.server);
    assert!(refused(&client, &mesh));
    let line = server.log_line("connection complete", |line| line["error"].is_string());
    let error = line["error"].as_str().unwrap();
    assert!(error.contains(NONE_ALLOWED), "{error}");
    assert_eq!(
        line["src.identity"],
        "spiffe://cluster.local/ns/ns/sa/client"
    );
    let line = client.log_line("connection complete", |line| line["error"].is_string());
    let error = line["error"].as_str().unwrap();
    // The peer learns that it is denied, and not by what.
    assert!(error.contains("401") && !error.contains("polic"), "{error}");
    let denied = "response_flags=\"DENY\"";
    let metrics = server.metrics();
    let failed = metrics.lines().find(|line| {
        line.starts_with("istio_tcp_connections_failed_total{") && line.contains(denied)
    });
    assert!(failed.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
}

#[test]
fn a_policy_cuts_a_running_connection_and_its_removal_restores_traffic() {
    let mesh = Mesh::new();
    let (client, server) = mesh.proxies();
    echo(mesh.server);
    let mut running = client.connect(mesh.server, APP);
    ping(&mut running, b"before").unwrap();
    mesh.write(&with(&mesh, &[policy("no-clients", "Deny", FROM_CLIENT)]));
    assert!(is_cut(&mut running));
    let line = server.log_line("connection complete", |line| line["error"].is_string());
    let error = line["error"].as_str().unwrap();
    assert!(
        error.contains("explicitly denied by: ns/no-clients"),
        "{error}"
    );
    assert!(refused(&client, &mesh));

    mesh.write(&mesh.yaml(mesh.server));
    server.log_lines("mesh loaded", 3);
    let mut again = client.connect(mesh.server, APP);
    ping(&mut again, b"after").unwrap();
    finish(again);
    let metrics = server.metrics();
    assert!(metrics.contains("\nmesh_authz_cut_total 1\n"), "{metrics}");
}

#[test]
fn a_policy_that_is_not_enforced_only_says_what_it_would_do() {
    let mesh = Mesh::new();
    let deny = format!("dryRun: true, {FROM_CLIENT}");
    let allow = format!("dryRun: true, {FROM_OTHERS}");
    let policies = [
        policy("deny", "Deny", &deny),
        policy("allow", "Allow", &allow),
    ];
    mesh.write(&with(&mesh, &policies));
    let server = mesh.proxy(mesh.server, &[("AUTHZ_POLICY_INFO_LOGGING", "true")]);
    let client = mesh.proxy(mesh.client, &[]);
    echo(mesh.server);
    let mut stream = client.connect(mesh.server, APP);
    ping(&mut stream, b"hello").unwrap();
    for says in [
        "dry-run: deny policy match: ns/deny",
        "dry-run: no allow policies match",
        "allowed: no allow policies",
    ] {
        let line = server.log_line("policy decision", |line| line["decision"] == says);
        assert_eq!(
            (&line["level"], &line["scope"]),
            (&"info".into(), &"rbac".into())
        );
    }
    finish(stream);
}

#[test]
fn a_workload_that_names_a_policy_which_is_not_there_is_closed() {
    let mesh = Mesh::new();
    let text = mesh.yaml(mesh.server);
    let named = text.replace(
        "serviceAccount: server,",
        "serviceAccount: server, authorizationPolicies: [ns/selected],",
    );
    mesh.write(&named);
    let (client, server) = mesh.proxies();
    echo(mesh.server);
    let waiting = std::thread::scope(|scope| {
        let connecting = scope.spawn(|| client.connect(mesh.server, APP));
        // The connection waits for the policy, which then arrives and allows it.
        while !server
            .metrics()
            .contains("\nmesh_authz_missing_policies 1\n")
        {}
        let allow = policy("selected", "Allow", FROM_CLIENT)
            .replace("scope: Namespace", "scope: WorkloadSelector");
        mesh.write(&format!("{named}policies:\n{allow}"));
        connecting.join().unwrap()
    });
    let mut stream = waiting;
    ping(&mut stream, b"hello").unwrap();
    finish(stream);
    let metrics = server.metrics();
    assert!(
        metrics.contains("\nmesh_authz_missing_policies 0\n"),
        "{metrics}"
    );
}
