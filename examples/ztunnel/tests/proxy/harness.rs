//! Processes, servers and clients for the tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Guards against a test that would wait for ever; no test depends on its value.
pub(crate) const GUARD: Duration = Duration::from_secs(30);

pub(crate) const SOCKS5: u16 = 15080;
pub(crate) const ADMIN: u16 = 15000;
pub(crate) const METRICS: u16 = 15020;
pub(crate) const READINESS: u16 = 15021;
/// The port of the applications.
pub(crate) const APP: u16 = 8080;

/// Addresses and files of one test: a client, a server, a plain workload, and a virtual address.
pub(crate) struct Mesh {
    pub(crate) client: Ipv4Addr,
    pub(crate) server: Ipv4Addr,
    pub(crate) plain: Ipv4Addr,
    pub(crate) vip: Ipv4Addr,
    pub(crate) directory: PathBuf,
}

impl Mesh {
    /// A mesh on loopback addresses that no other test has.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        // One of 127.64.0.0/10 by process, so that two runs at once do not meet.
        let high = 64 + u8::try_from(process % 64).unwrap();
        let address = |last| Ipv4Addr::new(127, high, number, last);
        let directory = std::env::temp_dir().join(format!("ztunnel-{process}-{number}"));
        std::fs::create_dir_all(&directory).unwrap();
        let mesh = Self {
            client: address(1),
            server: address(2),
            plain: address(3),
            vip: Ipv4Addr::new(10, high, number, 1),
            directory,
        };
        mesh.write(&mesh.yaml(mesh.server));
        mesh
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join("mesh.yaml")
    }

    /// Replaces the description of the mesh, as deployment tools do.
    pub(crate) fn write(&self, text: &str) {
        let new = self.directory.join("mesh.yaml.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    /// The description, with the service `web` served at `endpoint`.
    pub(crate) fn yaml(&self, endpoint: Ipv4Addr) -> String {
        let Self {
            client,
            server,
            plain,
            vip,
            ..
        } = self;
        let services = |ip: &Ipv4Addr| {
            if *ip == endpoint {
                "{ns/web.example.org: {80: 8080}}"
            } else {
                "{}"
            }
        };
        let (of_server, of_client) = (services(server), services(client));
        format!(
            "workloads:
- {{uid: client, name: client-1, namespace: ns, serviceAccount: client, workloadName: client,
   canonicalName: client, canonicalRevision: v1, node: laptop, protocol: HBONE,
   workloadIps: [{client}], services: {of_client}}}
- {{uid: server, name: server-1, namespace: ns, serviceAccount: server, workloadName: server,
   canonicalName: server, canonicalRevision: v2, node: laptop, protocol: HBONE,
   workloadIps: [{server}], services: {of_server}}}
- {{uid: plain, name: plain-1, namespace: ns, serviceAccount: plain, workloadName: plain,
   workloadIps: [{plain}], services: {{}}}}
services:
- {{name: web, namespace: ns, hostname: web.example.org, vips: [/{vip}], ports: {{80: 8080}}}}
"
        )
    }

    /// The environment of a proxy for the workload at `address`.
    pub(crate) fn environment(&self, address: Ipv4Addr) -> Vec<(String, String)> {
        let workload = if address == self.client {
            "ns/client-1/client"
        } else {
            "ns/server-1/server"
        };
        let (file, ca) = (self.file(), self.directory.join("ca"));
        let bind = address.to_string();
        let pairs = [
            ("PROXY_MODE", "dedicated"),
            ("PROXY_WORKLOAD_INFO", workload),
            ("LOCAL_XDS_PATH", file.to_str().unwrap()),
            ("MESH_LOCAL_XDS_INTERVAL", "10ms"),
            ("FAKE_CA", "true"),
            ("MESH_DEV_CA_DIR", ca.to_str().unwrap()),
            ("MESH_BIND_ADDRESS", &bind),
            ("UNSTABLE_ENABLE_SOCKS5", "true"),
            ("NODE_NAME", "laptop"),
            ("LOG_FORMAT", "json"),
            ("RUST_LOG", "info,access=debug"),
        ];
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    pub(crate) fn proxy(&self, address: Ipv4Addr, more: &[(&str, &str)]) -> Proxy {
        let mut environment = self.environment(address);
        environment.extend(more.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        Proxy::start(address, &environment)
    }

    /// The proxies of the client and of the server.
    pub(crate) fn proxies(&self) -> (Proxy, Proxy) {
        let server = self.proxy(self.server, &[]);
        (self.proxy(self.client, &[]), server)
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The proxy's program with an environment of its own.
pub(crate) fn command(environment: &[(String, String)], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ztunnel"));
    command
        .env_clear()
        .envs(environment.iter().cloned())
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}

#[derive(Default)]
struct Lines {
    all: Mutex<Vec<Value>>,
    /// The process has closed its output, so it has ended or is about to.
    ended: AtomicBool,
    more: Condvar,
}

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) address: Ipv4Addr,
    child: Child,
    log: Arc<Lines>,
}

impl Proxy {
    /// Starts a proxy and waits until it serves.
    pub(crate) fn start(address: Ipv4Addr, environment: &[(String, String)]) -> Self {
        let proxy = Self::launch(address, environment);
        proxy.log_line("serving", |_| true);
        proxy
    }

    /// Starts a proxy.
    pub(crate) fn launch(address: Ipv4Addr, environment: &[(String, String)]) -> Self {
        let mut child = command(environment, Path::new("/"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Lines::default());
        let (output, to) = (child.stdout.take().unwrap(), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let line = line.unwrap();
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                to.all.lock().unwrap().push(value);
                to.more.notify_all();
            }
            // Under the lock, so that no waiter misses it.
            let lines = to.all.lock().unwrap();
            to.ended.store(true, Ordering::SeqCst);
            drop(lines);
            to.more.notify_all();
        });
        Self {
            address,
            child,
            log,
        }
    }

    /// Waits for any line of the log that satisfies `matches`.
    pub(crate) fn log_any(&self, matches: impl Fn(&Value) -> bool) -> Value {
        self.log_until("such a line", |lines| {
            lines.iter().find(|line| matches(line)).cloned()
        })
    }

    /// Waits for a line of the log with this message that satisfies `matches`.
    pub(crate) fn log_line(&self, message: &str, matches: impl Fn(&Value) -> bool) -> Value {
        self.log_until(message, |lines| {
            let mut with_message = lines.iter().filter(|line| line["message"] == message);
            with_message.find(|line| matches(line)).cloned()
        })
    }

    /// Waits until there are so many lines with this message.
    pub(crate) fn log_lines(&self, message: &str, count: usize) {
        self.log_until(message, |lines| {
            let found = lines
                .iter()
                .filter(|line| line["message"] == message)
                .count();
            (found >= count).then_some(())
        });
    }

    /// Waits until the log has what `find` looks for.
    fn log_until<T>(&self, what: &str, find: impl Fn(&[Value]) -> Option<T>) -> T {
        let deadline = Instant::now() + GUARD;
        let mut lines = self.log.all.lock().unwrap();
        loop {
            if let Some(found) = find(&lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let ended = self.log.ended.load(Ordering::SeqCst);
            assert!(!left.is_zero() && !ended, "no line `{what}` in {lines:#?}");
            lines = self.log.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// How many lines with this message there are so far.
    pub(crate) fn log_count(&self, message: &str) -> usize {
        let lines = self.log.all.lock().unwrap();
        lines
            .iter()
            .filter(|line| line["message"] == message)
            .count()
    }

    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        (self.address, port).into()
    }

    /// An HTTP request without a body; status and body of the answer.
    pub(crate) fn http(&self, method: &str, port: u16, target: &str) -> (u16, String) {
        http(self.at(port), method, target, "")
    }

    pub(crate) fn metrics(&self) -> String {
        let (status, body) = self.http("GET", METRICS, "/metrics");
        assert_eq!(status, 200);
        body
    }

    /// A connection through the proxy to an IP address.
    pub(crate) fn connect(&self, to: Ipv4Addr, port: u16) -> TcpStream {
        let (reply, stream) = self.socks5(&[&[1][..], &to.octets()].concat(), port);
        assert_eq!(reply, 0, "SOCKS5 reply");
        stream
    }

    /// A SOCKS5 request for an address with its type in front; the reply and the connection.
    pub(crate) fn socks5(&self, to: &[u8], port: u16) -> (u8, TcpStream) {
        let mut stream = TcpStream::connect(self.at(SOCKS5)).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.write_all(&[5, 1, 0]).unwrap();
        let mut method = [0; 2];
        stream.read_exact(&mut method).unwrap();
        assert_eq!(method, [5, 0]);
        let request = [&[5, 1, 0], to, &port.to_be_bytes()].concat();
        stream.write_all(&request).unwrap();
        let mut reply = [0; 10];
        stream.read_exact(&mut reply).unwrap();
        (reply[1], stream)
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits for the end of the process.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + GUARD;
        let mut lines = self.log.all.lock().unwrap();
        while !self.log.ended.load(Ordering::SeqCst) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the process does not end");
            lines = self.log.more.wait_timeout(lines, left).unwrap().0;
        }
        drop(lines);
        self.child.wait().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP/1 request; status and body of the answer.
pub(crate) fn http(to: SocketAddr, method: &str, target: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// Echoes every connection, at a workload's address.
pub(crate) fn echo(address: Ipv4Addr) {
    let listener = TcpListener::bind((address, APP)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut copy = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut copy, &mut stream);
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
}

/// Sends a message and reads it back.
pub(crate) fn ping(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    stream.write_all(message)?;
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer, message);
    Ok(())
}

/// Ends a connection and waits until the other side has ended it too.
pub(crate) fn finish(mut stream: TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
}
