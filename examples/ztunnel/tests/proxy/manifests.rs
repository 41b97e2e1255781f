//! A mesh from a directory of manifests.

use std::io::Read;
use std::path::PathBuf;

use crate::harness::{APP, Mesh, Proxy, echo, finish, ping};

/// A directory with the manifests of the mesh's two pods and of their service.
fn manifests(mesh: &Mesh) -> PathBuf {
    let directory = mesh.directory.join("manifests");
    std::fs::create_dir_all(&directory).unwrap();
    let pod = |name: &str, ip| {
        format!(
            "apiVersion: v1
kind: Pod
metadata:
  name: {name}-1
  namespace: ns
  annotations: {{ambient.istio.io/redirection: enabled}}
  labels: {{app: {name}}}
spec: {{serviceAccountName: {name}, nodeName: laptop}}
status: {{podIP: {ip}, phase: Running}}
---
"
        )
    };
    let (client, server) = (pod("client", mesh.client), pod("server", mesh.server));
    std::fs::write(directory.join("pods.yaml"), client + &server).unwrap();
    let service = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {{\"name\": \"web\", \"namespace\": \"ns\"}},
          \"spec\": {{\"clusterIP\": \"{}\", \"selector\": {{\"app\": \"server\"}},
          \"ports\": [{{\"port\": 80, \"targetPort\": {APP}}}]}}}}",
        mesh.vip
    );
    std::fs::write(directory.join("service.json"), service).unwrap();
    directory
}

fn proxies(mesh: &Mesh) -> (Proxy, Proxy, PathBuf) {
    let directory = manifests(mesh);
    let more = [
        ("LOCAL_XDS_PATH", ""),
        ("MESH_MANIFESTS", directory.to_str().unwrap()),
    ];
    let server = mesh.proxy(mesh.server, &more);
    (mesh.proxy(mesh.client, &more), server, directory)
}

#[test]
fn pods_of_manifests_talk_over_hbone_and_a_broken_file_changes_nothing() {
    let mesh = Mesh::new();
    let (client, server, directory) = proxies(&mesh);
    echo(mesh.server);
    let mut stream = client.connect(mesh.vip, 80);
    ping(&mut stream, b"hello").unwrap();
    std::fs::write(
        directory.join("pods.yaml"),
        "apiVersion: v1\nkind: Pod\n  x",
    )
    .unwrap();
    let message = "manifest not accepted, the last good state stays in force";
    let line = server.log_line(message, |_| true);
    assert!(
        line["problem"].as_str().unwrap().starts_with("pods.yaml:"),
        "{line}"
    );
    ping(&mut stream, b"hello").unwrap();
    finish(stream);
    let line = server.log_line("connection complete", |_| true);
    assert_eq!(
        line["src.identity"],
        "spiffe://cluster.local/ns/ns/sa/client"
    );
    let stream = client.connect(mesh.server, APP);
    finish(stream);
}

#[test]
fn a_policy_that_is_added_later_cuts_the_connections_of_two_pods() {
    let mesh = Mesh::new();
    let (client, server, directory) = proxies(&mesh);
    echo(mesh.server);
    let mut running = client.connect(mesh.vip, 80);
    ping(&mut running, b"before").unwrap();
    let policy = "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-clients, namespace: ns}
spec:
  selector: {matchLabels: {app: server}}
  action: DENY
  rules:
  - from:
    - source: {principals: [cluster.local/ns/ns/sa/client]}
";
    std::fs::write(directory.join("policy.yaml"), policy).unwrap();
    assert_eq!(running.read(&mut [0]).unwrap_or(0), 0);
    let line = server.log_line("connection complete", |line| line["error"].is_string());
    let error = line["error"].as_str().unwrap();
    assert!(
        error.contains("explicitly denied by: ns/no-clients"),
        "{error}"
    );

    std::fs::remove_file(directory.join("policy.yaml")).unwrap();
    server.log_lines("mesh loaded", 3);
    let mut again = client.connect(mesh.vip, 80);
    ping(&mut again, b"after").unwrap();
    finish(again);
}
