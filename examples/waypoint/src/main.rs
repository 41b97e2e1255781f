//! The waypoint of an ambient mesh: HBONE in, HTTP routed and authorized, HBONE out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

const HELP: &str = "\
usage: waypoint [proxy|version|help]

proxy (the default) serves the services that use this waypoint; it is configured by environment variables.
The least that is needed:
  PROXY_WORKLOAD_INFO=<namespace>/<name>/<service account>   the waypoint's own pod
  MESH_MANIFESTS=<directory with manifests of Kubernetes, the Gateway API and Istio>
  FAKE_CA=true
See the README beside this program's source for all of them.
";

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    match command.as_deref().unwrap_or("proxy") {
        "proxy" => proxy(),
        "version" | "--version" | "-V" => {
            println!("waypoint {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        other => {
            eprintln!("waypoint: unknown command `{other}`, expected proxy, version or help");
            ExitCode::FAILURE
        }
    }
}

fn proxy() -> ExitCode {
    match waypoint::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("waypoint: {}", process::logging::Chain(&*error));
            ExitCode::FAILURE
        }
    }
}
