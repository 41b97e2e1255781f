//! What the tests of the services share: a small mesh, sockets and a telemetry that can be asked.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use mesh_core::model::{
    NamespacedHostname, NetworkAddress, PortMap, ServiceSpec, TunnelProtocol, WorkloadSpec,
};
use mesh_core::outcome::Outcome;
use mesh_core::resolve::ResolveConfig;
use mesh_core::store::MeshStore;
use mesh_core::telemetry::{Connection, Event, Telemetry, Traffic};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tower_service::Service;

use super::{Dial, DialError, LocalWorkload, MeshResolver};
use crate::BoxFuture;
use crate::io::Socket;

pub(super) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A stream that can be told to be gone and that remembers being reset.
#[derive(Debug)]
pub(super) struct TestSocket {
    io: DuplexStream,
    watch: Arc<SocketWatch>,
}

/// The test's view of a [`TestSocket`].
#[derive(Debug, Default)]
pub(super) struct SocketWatch {
    reset: AtomicBool,
    gone: AtomicBool,
    waiting: AtomicWaker,
}

impl SocketWatch {
    pub(super) fn was_reset(&self) -> bool {
        self.reset.load(Ordering::SeqCst)
    }

    pub(super) fn go(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.waiting.wake();
    }
}

/// A stream, its other end and the view of it.
pub(super) fn socket() -> (TestSocket, DuplexStream, Arc<SocketWatch>) {
    let (io, other) = tokio::io::duplex(4096);
    let watch = Arc::<SocketWatch>::default();
    let socket = TestSocket {
        io,
        watch: watch.clone(),
    };
    (socket, other, watch)
}

impl AsyncRead for TestSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TestSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl Socket for TestSocket {
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<bool> {
        self.watch.waiting.register(cx.waker());
        if self.watch.gone.load(Ordering::SeqCst) {
            Poll::Ready(true)
        } else {
            Poll::Pending
        }
    }

    fn reset_on_drop(&mut self) {
        self.watch.reset.store(true, Ordering::SeqCst);
    }
}

/// An event, as far as tests look at it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    Socket(isize),
    Rejected(Outcome, String),
    Opened(SocketAddr),
    Closed {
        destination: SocketAddr,
        outcome: Outcome,
        received: u64,
        sent: u64,
        error: Option<String>,
    },
}

/// A telemetry that keeps everything.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<Vec<Connection>>,
    pub(super) traffic: Arc<Traffic>,
}

impl Recorder {
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// The record of the last connection that closed.
    pub(super) fn last(&self) -> Connection {
        self.connections.lock().last().unwrap().clone()
    }
}

impl Telemetry for Recorder {
    fn record(&self, event: &Event<'_>) {
        let seen = match event {
            Event::SocketOpened(_) => Seen::Socket(1),
            Event::SocketClosed(_) => Seen::Socket(-1),
            Event::Rejected { outcome, error, .. } => Seen::Rejected(*outcome, error.to_string()),
            Event::Opened(connection) => Seen::Opened(connection.destination_address),
            Event::Closed(connection, closed) => {
                self.connections.lock().push((*connection).clone());
                Seen::Closed {
                    destination: connection.destination_address,
                    outcome: closed.outcome,
                    received: closed.received,
                    sent: closed.sent,
                    error: closed.error.map(ToString::to_string),
                }
            }
            _ => return,
        };
        self.seen.lock().push(seen);
    }

    fn traffic(&self, _: &Connection) -> Option<Arc<Traffic>> {
        Some(self.traffic.clone())
    }
}

/// A connection that ended before a byte was carried.
pub(super) fn closed(destination: &str, outcome: Outcome, error: Option<&str>) -> Seen {
    Seen::Closed {
        destination: addr(destination),
        outcome,
        received: 0,
        sent: 0,
        error: error.map(str::to_owned),
    }
}

fn workload(name: &str, ip: &str, tunnel: TunnelProtocol) -> WorkloadSpec {
    WorkloadSpec {
        uid: name.into(),
        name: name.into(),
        namespace: "default".into(),
        trust_domain: "cluster.local".into(),
        service_account: name.split('-').next().unwrap().into(),
        workload_name: name.into(),
        ips: ip.parse().into_iter().collect(),
        tunnel_protocol: tunnel,
        ..WorkloadSpec::default()
    }
}

fn member(spec: WorkloadSpec, service: &str) -> WorkloadSpec {
    let key = NamespacedHostname::new("default", service);
    WorkloadSpec {
        services: vec![(key, PortMap::default())],
        ..spec
    }
}

fn service(hostname: &str, vip: &str, ports: (u16, u16)) -> ServiceSpec {
    ServiceSpec {
        name: hostname.into(),
        namespace: "default".into(),
        hostname: hostname.into(),
        vips: vec![NetworkAddress::new("", vip.parse().unwrap())],
        ports: [ports].into_iter().collect(),
        ..ServiceSpec::default()
    }
}

/// A mesh with:
/// - workload `a`, 10.0.0.1, HBONE,
/// - service `web`, 10.96.0.1:80 -> 8080, with `web-1` to `web-3`, 10.0.1.1 to .3, HBONE,
/// - workload `plain`, 10.0.0.9, TCP,
/// - service `db`, 10.96.0.2:5432, whose only endpoint has the host name `db.example`,
/// - service `empty`, 10.96.0.3:80, without endpoints.
pub(super) fn mesh() -> MeshStore {
    mesh_where(|_| {})
}

/// The same with changed workloads.
pub(super) fn mesh_where(change: impl Fn(&mut WorkloadSpec)) -> MeshStore {
    let store = MeshStore::new();
    let hbone = TunnelProtocol::Hbone;
    let mut workloads = vec![
        workload("a", "10.0.0.1", hbone),
        workload("plain", "10.0.0.9", TunnelProtocol::None),
    ];
    for number in 1..=3 {
        let web = workload(&format!("web-{number}"), &format!("10.0.1.{number}"), hbone);
        workloads.push(member(web, "web"));
    }
    let db = WorkloadSpec {
        hostname: "db.example".into(),
        ..workload("db", "", TunnelProtocol::None)
    };
    workloads.push(member(db, "db"));
    workloads.iter_mut().for_each(change);
    let services = vec![
        service("web", "10.96.0.1", (80, 8080)),
        service("db", "10.96.0.2", (5432, 5432)),
        service("empty", "10.96.0.3", (80, 80)),
    ];
    store.replace_all(workloads, services);
    store
}

/// Resolves for one workload of [`mesh`].
pub(super) fn resolver(uid: &str) -> MeshResolver {
    resolver_in(&mesh(), uid)
}

pub(super) fn resolver_in(store: &MeshStore, uid: &str) -> MeshResolver {
    let local = LocalWorkload::Uid(uid.into());
    MeshResolver::new(store.watch(), ResolveConfig::new(), local)
}

/// A dialer that answers from a list and keeps what it was asked; it waits when the list is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct TestDialer {
    answers: Arc<Mutex<VecDeque<Result<TestSocket, io::ErrorKind>>>>,
    pub(super) asked: Arc<Mutex<Vec<Dial>>>,
    /// Dials that are waiting.
    pub(super) waiting: Arc<()>,
}

impl TestDialer {
    pub(super) fn new(
        answers: impl IntoIterator<Item = Result<TestSocket, io::ErrorKind>>,
    ) -> Self {
        let answers: VecDeque<_> = answers.into_iter().collect();
        Self {
            answers: Arc::new(Mutex::new(answers)),
            ..Self::default()
        }
    }
}

impl Service<Dial> for TestDialer {
    type Response = TestSocket;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<TestSocket, DialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, dial: Dial) -> Self::Future {
        self.asked.lock().push(dial);
        let answer = self.answers.lock().pop_front();
        let waiting = self.waiting.clone();
        let address = dial.address;
        Box::pin(async move {
            match answer {
                Some(Ok(socket)) => Ok(socket),
                Some(Err(kind)) => Err(DialError::Connect {
                    address,
                    source: kind.into(),
                }),
                None => {
                    std::future::pending::<()>().await;
                    drop(waiting);
                    Err(DialError::Timeout { address })
                }
            }
        })
    }
}
