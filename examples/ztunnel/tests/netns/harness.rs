//! Namespaces, pods, proxies and applications.

pub(crate) mod applications;
pub(crate) mod clients;
pub(crate) mod hbone;
pub(crate) mod log;
pub(crate) mod metrics;
mod namespace;
mod node;
mod proxy;
mod rules;

use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) use applications::Application;
pub(crate) use node::{Node, Pod};
pub(crate) use proxy::Proxy;

/// How long the tests wait for what must happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long something may take that a user would call prompt: a second, and more where the proxies
/// are built without optimisation and share the machine with other tests.
pub(crate) const PROMPT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });

/// What the tests need once: room for sockets, and no leftovers of a run that was killed.
pub(crate) fn prepare() {
    if missing().is_none() {
        let _ = rlimit::increase_nofile_limit(65_536);
        namespace::remove_leftovers();
    }
}

/// Why the tests cannot run here.
pub(crate) fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    [("ip", "-V"), ("iptables-restore", "-V")]
        .into_iter()
        .find(|(program, argument)| !has(program, argument))
        .map(|(program, _)| format!("needs {program}"))
}

/// Whether a program can be run.
pub(crate) fn has(program: &str, argument: &str) -> bool {
    Command::new(program)
        .arg(argument)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
