//! A network namespace that lives as long as its value.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::{Builder, Runtime};

/// What the names of all namespaces of this test begin with.
const PREFIX: &str = "meshtest-";

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// A new namespace with nothing but a loopback interface.
    pub(crate) fn new(label: &str) -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{count}-{label}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]), "");
        let namespace = Self { name };
        namespace.configure("link set lo up\n");
        namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs lines of `ip` in the namespace.
    pub(crate) fn configure(&self, lines: &str) {
        run(
            Command::new("ip").args(["-n", &self.name, "-batch", "-"]),
            lines,
        );
    }

    /// A program to be run in the namespace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a program in the namespace with an input, and expects it to succeed.
    pub(crate) fn filter(&self, program: &str, input: &str) {
        run(&mut self.command(program), input);
    }

    /// What moves a thread into the namespace for the rest of its life, and makes a runtime whose
    /// sockets belong there.
    pub(crate) fn starter(&self) -> impl FnOnce() -> Runtime + Send + use<> {
        let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
        move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            Builder::new_current_thread().enable_all().build().unwrap()
        }
    }

    /// Runs a future in the namespace to its end.
    pub(crate) fn run<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        let runtime = self.starter();
        let result = std::thread::scope(|scope| scope.spawn(|| runtime().block_on(future)).join());
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        delete(&self.name);
    }
}

/// Runs a command with an input, and expects it to succeed.
fn run(command: &mut Command, input: &str) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // A program that ends before it has read everything fails below.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let status = child.wait().unwrap();
    assert!(status.success(), "{command:?} with {input:?}: {status}");
}

fn delete(name: &str) {
    // Nobody is there to be told when it fails; the next run tries again.
    let _ = Command::new("ip").args(["netns", "delete", name]).status();
}

/// Ends what earlier runs of this test left behind when they were killed.
pub(crate) fn remove_leftovers() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let Some(owner) = owner.and_then(|pid| pid.parse::<u32>().ok()) else {
            continue;
        };
        if !std::path::Path::new(&format!("/proc/{owner}")).exists() {
            end_processes_of(&name);
            delete(&name);
        }
    }
}

/// Kills the processes that run in a namespace.
fn end_processes_of(name: &str) {
    let listed = Command::new("ip").args(["netns", "pids", name]).output();
    let pids = listed.map(|output| output.stdout).unwrap_or_default();
    for pid in String::from_utf8_lossy(&pids).lines() {
        let pid = pid
            .trim()
            .parse()
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}
