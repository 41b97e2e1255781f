//! The node proxy of an ambient mesh, in dedicated mode: one process serves one workload.
#![forbid(unsafe_code)]

mod admin;
mod app;
mod authorization;
mod certificates;
mod config;
mod control_plane;
mod drain;
mod mesh;
mod metrics;
mod telemetry;
mod traffic;
mod workers;

use std::process::ExitCode;

const HELP: &str = "\
usage: ztunnel [proxy|version|help]

proxy (the default) serves one workload; it is configured by environment variables.
The least that is needed:
  PROXY_MODE=dedicated
  PROXY_WORKLOAD_INFO=<namespace>/<name>/<service account>
and, without a control plane at its usual place:
  LOCAL_XDS_PATH=<file with workloads and services>, or
  MESH_MANIFESTS=<directory with manifests of Kubernetes and Istio>
  FAKE_CA=true
See the README beside this program's source for all of them.
";

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    match command.as_deref().unwrap_or("proxy") {
        "proxy" => proxy(),
        "version" | "--version" | "-V" => {
            println!("ztunnel {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        other => {
            eprintln!("ztunnel: unknown command `{other}`, expected proxy, version or help");
            ExitCode::FAILURE
        }
    }
}

fn proxy() -> ExitCode {
    match app::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ztunnel: {}", process::logging::Chain(&error));
            ExitCode::FAILURE
        }
    }
}
