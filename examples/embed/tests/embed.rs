//! The two programs talk to each other.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const SERVER: &str = "spiffe://cluster.local/ns/default/sa/server";
const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/client";

/// A server that ends with the test.
struct Server(Child, String);

impl Server {
    fn start(directory: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_embed-server"))
            .args(["127.0.0.1:0", SERVER])
            .env("MESH_DEV_CA_DIR", directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self(child, address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn client(server: &Server, directory: &str, peer: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_embed-client"))
        .args([&server.1, "10.0.0.1:80", peer, CLIENT])
        .env("MESH_DEV_CA_DIR", directory)
        .output()
        .unwrap();
    let shown = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(shown).unwrap())
}

#[test]
fn both_know_each_other_and_a_wrong_peer_is_not_talked_to() {
    let directory = format!("{}/ca", env!("CARGO_TARGET_TMPDIR"));
    let server = Server::start(&directory);

    let (success, shown) = client(&server, &directory, SERVER);
    assert!(success, "{shown}");
    assert!(shown.contains(&format!("connected to {SERVER}")), "{shown}");
    assert!(shown.contains(&format!("hello, {CLIENT}")), "{shown}");

    let (success, shown) = client(
        &server,
        &directory,
        "spiffe://cluster.local/ns/default/sa/other",
    );
    assert!(!success && !shown.contains("hello"), "{shown}");
}
