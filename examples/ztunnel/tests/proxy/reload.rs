//! Changes of the description of the mesh while connections run.

use crate::harness::{Mesh, echo, finish, ping};

#[test]
fn a_reload_moves_new_connections_and_leaves_running_ones_alone() {
    let mesh = Mesh::new();
    let (client, _server) = mesh.proxies();
    echo(mesh.server);
    echo(mesh.client);
    let mut running = client.connect(mesh.vip, 80);
    ping(&mut running, b"before").unwrap();
    let first = client.log_line("connection opened", |_| true);
    assert_eq!(first["dst.workload"], "server-1");

    mesh.write(&mesh.yaml(mesh.client));
    let reloaded = |proxy: &crate::harness::Proxy, message, count| {
        while proxy.log_count(message) < count {
            ping(&mut running.try_clone().unwrap(), b"meanwhile").unwrap();
        }
    };
    reloaded(&client, "mesh loaded", 2);
    let mut moved = client.connect(mesh.vip, 80);
    ping(&mut moved, b"after").unwrap();
    let moved_line = client.log_line("connection opened", |line| {
        line["dst.workload"] == "client-1"
    });
    assert_eq!(moved_line["dst.service"], "web.example.org");
    ping(&mut running, b"still here").unwrap();
    finish(moved);
    finish(running);
}

#[test]
fn a_wrong_or_missing_file_leaves_the_last_good_state_in_force() {
    let mesh = Mesh::new();
    let (client, _server) = mesh.proxies();
    echo(mesh.server);
    let rejected = "mesh not reloaded, the last good state stays in force";
    for (text, says) in [
        (
            Some("workloads: 7\n"),
            "mesh.yaml:1:12: workloads: expected",
        ),
        (
            Some("policies:\n- name: p\n"),
            "mesh.yaml:2:3: policies[0]: missing field `namespace`",
        ),
        (None, "cannot read"),
    ] {
        match text {
            Some(text) => mesh.write(text),
            None => std::fs::remove_file(mesh.file()).unwrap(),
        }
        let line = client.log_line(rejected, |line| {
            line["error"]
                .as_str()
                .is_some_and(|error| error.contains(says))
        });
        assert_eq!(line["level"], "error");
        let mut stream = client.connect(mesh.vip, 80);
        ping(&mut stream, b"hello").unwrap();
        finish(stream);
    }
    mesh.write(&mesh.yaml(mesh.server));
    client.log_lines("mesh loaded", 2);
    assert_eq!(
        client.log_count(rejected),
        3,
        "each change is reported once"
    );
    let metrics = client.metrics();
    assert!(
        metrics.contains("mesh_config_reloads_total{result=\"rejected\"} 3"),
        "{metrics}"
    );
    assert!(
        metrics.contains("mesh_config_reloads_total{result=\"accepted\"} 1"),
        "{metrics}"
    );
}
