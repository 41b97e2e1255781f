//! A `ztunnel` process in a pod, or a waypoint.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::log::Log;
use super::metrics::Metrics;
use super::{PATIENCE, Pod, clients, rules};

/// Lines of the log that a failed test shows.
const SHOWN: usize = 20;

pub(crate) struct Proxy {
    name: &'static str,
    child: Child,
    pub(crate) log: Arc<Log>,
}

impl Proxy {
    /// Starts the proxy of a pod and waits until it serves.
    pub(super) fn start(pod: &Pod<'_>, settings: &[(&str, &str)]) -> Self {
        let binary = std::env::var_os("MESH_TEST_ZTUNNEL")
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_ztunnel").into());
        let mut command = pod.namespace.command(binary.to_str().unwrap());
        environment(&mut command, pod)
            .env("PROXY_MODE", "dedicated")
            .env("NODE_NAME", "node")
            .env("LOCAL_XDS_PATH", pod.node().mesh_file())
            .env("PACKET_MARK", rules::PROXY_MARK)
            .envs(settings.iter().copied());
        Self::launch(pod, command)
    }

    /// Starts a waypoint in a pod, for the mesh of a directory with manifests, and waits until it serves: the
    /// process that `MESH_TEST_WAYPOINT` names, or this program in that role.
    pub(crate) fn waypoint(pod: &Pod<'_>, manifests: &Path) -> Self {
        let binary = std::env::var_os("MESH_TEST_WAYPOINT")
            .unwrap_or_else(|| std::env::current_exe().unwrap().into());
        let mut command = pod.namespace.command(binary.to_str().unwrap());
        environment(&mut command, pod)
            .env(crate::ROLE, crate::WAYPOINT)
            .env("MESH_MANIFESTS", manifests);
        Self::launch(pod, command)
    }

    fn launch(pod: &Pod<'_>, mut command: Command) -> Self {
        let (log, writer) = std::io::pipe().unwrap();
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        let child = command.spawn().unwrap();
        // The command holds the other end of the pipe.
        drop(command);
        let proxy = Self {
            name: pod.name,
            child,
            log: Log::follow(log),
        };
        proxy
            .log
            .wait_for("the start", |line| line.message() == "serving");
        proxy
    }

    /// The metrics now, as seen in the pod of the proxy.
    pub(crate) fn metrics(&self, pod: &Pod<'_>) -> Metrics {
        let endpoint = SocketAddr::from(([127, 0, 0, 1], 15020));
        let answer = pod.run(clients::get(endpoint, "/metrics")).unwrap();
        Metrics::new(answer)
    }

    /// The memory that the process occupies, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let (_, rest) = status.split_once("VmRSS:").unwrap();
        let kib: u64 = rest.split_whitespace().next().unwrap().parse().unwrap();
        kib * 1024
    }

    /// Asks the process to stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends the process without giving it a chance to say so.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the proxy of {} does not end",
                self.name
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What both kinds of proxies are told, and nothing else.
fn environment<'c>(command: &'c mut Command, pod: &Pod<'_>) -> &'c mut Command {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("PROXY_WORKLOAD_INFO", format!("default/{0}/{0}", pod.name))
        .env("FAKE_CA", "true")
        .env("MESH_DEV_CA_DIR", pod.node().authority())
        .env("LOG_FORMAT", "json")
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "log of the proxy of {}:\n{}",
                self.name,
                self.log.tail(SHOWN)
            );
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
