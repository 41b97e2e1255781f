//! End-to-end tests with real capture: `ztunnel` processes in network namespaces.
//!
//! Each test makes a node of its own: a namespace with a bridge, a namespace for each pod, the
//! packet rules that Istio's CNI plug-in writes, and a `ztunnel` in dedicated mode in each captured
//! pod. Applications are threads of the test that have entered a pod's namespace. Nothing leaves the
//! namespaces, and they go with the test, also when it fails.
//!
//! The tests need Linux, root, `ip` and `iptables-restore`; without them they are reported as ignored,
//! with the reason. They run in plain `cargo test`. Settings are read from the environment:
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `MESH_TEST_ZTUNNEL` | the binary that cargo built | the `ztunnel` to test |
//! | `MESH_TEST_WAYPOINT` | the waypoint's code as part of this program | the `waypoint` to test with |
//! | `MESH_TEST_BYTES` | 64 MiB | bytes that the bulk test carries each way |
//!
//! A gibibyte each way through optimised proxies:
//!
//! ```text
//! cargo build --release -p ztunnel
//! MESH_TEST_ZTUNNEL=$PWD/target/release/ztunnel MESH_TEST_BYTES=1073741824 \
//!     cargo test -p ztunnel --test netns
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod harness;

/// The variable that says what this program is, if it is no test.
#[cfg(target_os = "linux")]
const ROLE: &str = "MESH_TEST_ROLE";
#[cfg(target_os = "linux")]
const WAYPOINT: &str = "waypoint";

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    if std::env::var_os(ROLE).is_some_and(|role| role == WAYPOINT) {
        if let Err(error) = waypoint::run() {
            eprintln!("waypoint: {}", process::logging::Chain(&*error));
            return std::process::ExitCode::FAILURE;
        }
        return std::process::ExitCode::SUCCESS;
    }
    let arguments = libtest_mimic::Arguments::from_args();
    harness::prepare();
    libtest_mimic::run(&arguments, cases::all()).exit_code()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    let test = libtest_mimic::Trial::ignorable_test("network_namespaces", || {
        Ok(libtest_mimic::Completion::ignored_with("needs Linux"))
    });
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), vec![test]).exit();
}
