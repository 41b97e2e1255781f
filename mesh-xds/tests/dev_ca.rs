//! Several processes that begin at once share one development CA.
#![cfg(all(unix, feature = "dev-ca"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mesh_xds::dev_ca::DevCa;

const DIRECTORY: &str = "MESH_DEV_CA_TEST_DIR";

/// What each child process runs; on its own it does nothing.
#[test]
fn child() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let ca = DevCa::open_or_create(PathBuf::from(directory)).unwrap();
        println!("root {:?}", ca.trust().roots());
    }
}

#[test]
fn many_processes_at_once_share_one_authority() {
    let name = format!("mesh-dev-ca-processes-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(DIRECTORY, &directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..8).map(|_| start()).collect();
    let roots: HashSet<_> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            let text = String::from_utf8(output.stdout).unwrap();
            let root = text
                .lines()
                .find(|line| line.contains("root "))
                .expect("a root");
            root.split("root ").last().map(str::to_owned)
        })
        .collect();
    let files = std::fs::read_dir(&directory).unwrap().count();
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!((roots.len(), files), (1, 1));
}
