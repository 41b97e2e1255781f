//! What stands in the middle of a way, as a process of its own.

use std::convert::Infallible;
use std::env;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::HeaderMap;
use mesh_core::authority::ConnectAuthority;
use mesh_core::drain;
use mesh_core::telemetry::Direction;
use mesh_hbone::client::{ClientLayer, Target};
use mesh_hbone::proxy::{AcceptOptions, TcpAcceptor, TcpDialer, serve};
use mesh_hbone::server::{Incoming, ServerLayer};
use mesh_hbone::sock::SocketOptions;
use mesh_hbone::{Client, Tunnel};
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;

use super::forward::Forwarder;
use super::world::{Service, Version, World};
use crate::listen::{self, listeners_at};
use crate::mesh::tls;
use crate::worker::Worker;

/// What the argument is called that makes this program one in the middle.
pub const ARGUMENT: &str = "--be";

/// How long a process has to begin.
const START: Duration = Duration::from_secs(30);

/// Who stands in the middle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// A reverse proxy of plain hyper over TCP.
    Hyper,
    /// The same between tunnels, in a waypoint's place.
    Forwarder,
    /// Our waypoint.
    Waypoint,
}

impl Role {
    const ALL: [Self; 3] = [Self::Hyper, Self::Forwarder, Self::Waypoint];

    fn name(self) -> &'static str {
        match self {
            Self::Hyper => "hyper",
            Self::Forwarder => "forwarder",
            Self::Waypoint => "waypoint",
        }
    }
}

/// How what stands in the middle is started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Start {
    /// Threads that serve.
    pub workers: usize,
    /// The waypoint's program; `None` for this one, which has a waypoint in it beside all else.
    pub program: Option<PathBuf>,
}

impl Start {
    /// This program, with `workers` threads.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let program = None;
        Self { workers, program }
    }

    fn command(&self, role: Role, world: &World) -> io::Result<Command> {
        if let (Some(program), Role::Waypoint) = (&self.program, role) {
            return Ok(Command::new(program));
        }
        let mut command = Command::new(env::current_exe()?);
        command.args([ARGUMENT, role.name(), &world.to_string()]);
        command.arg(self.workers.to_string());
        Ok(command)
    }
}

/// Resident memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Resident {
    /// All of it, as operators see it: heap, stacks, and what it has read of its program.
    pub all: f64,
    /// What belongs to the process alone and is in no file: heap, stacks, and pages of the program that it has
    /// written to.
    pub anonymous: f64,
}

/// A process in the middle, until this is dropped.
#[derive(Debug)]
pub struct Middle {
    child: Child,
}

impl Middle {
    /// Starts a process in the middle, and waits until it takes connections.
    ///
    /// # Errors
    /// When it does not begin; what it said is in its log.
    pub fn start(role: Role, world: &World, start: &Start, awake: Duration) -> io::Result<Self> {
        let log = world.log(role.name());
        let waypoint = world.middle(Service::Waypoint);
        let child = start
            .command(role, world)?
            .env("PROXY_WORKLOAD_INFO", "lab/wp/wp")
            .env("MESH_MANIFESTS", world.manifests())
            .env("MESH_LOCAL_XDS_INTERVAL", "1s")
            .env("MESH_DEV_CA_DIR", world.authority())
            .env("MESH_BIND_ADDRESS", waypoint.ip().to_string())
            .env("MESH_HBONE_PORT", waypoint.port().to_string())
            .env("WAYPOINT_WORKER_THREADS", start.workers.to_string())
            .env("MESH_AWAKE", format!("{}us", awake.as_micros()))
            .env("FAKE_CA", "true")
            .stdout(File::create(&log)?)
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut middle = Self { child };
        let begun = Instant::now();
        while StdStream::connect(entry(role, world, Version::Http1)).is_err() {
            let ended = middle.child.try_wait()?;
            if ended.is_some() || begun.elapsed() > START {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(io::Error::other(format!("no {}: {said}", role.name())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(middle)
    }

    /// The processor time that all its threads have used so far, in user and kernel space.
    ///
    /// # Errors
    /// When it has ended.
    pub fn processor_time(&self) -> io::Result<Duration> {
        let mut sum = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may have ended meanwhile.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
                continue;
            };
            let nanoseconds = text
                .split_whitespace()
                .next()
                .and_then(|word| word.parse().ok());
            sum += Duration::from_nanos(nanoseconds.unwrap_or(0));
        }
        Ok(sum)
    }

    /// Its resident memory.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> io::Result<Resident> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
            let kibibytes: f64 =
                kibibytes.ok_or_else(|| io::Error::other(format!("no {name} in smaps_rollup")))?;
            io::Result::Ok(kibibytes * 1024.0)
        };
        Ok(Resident {
            all: bytes("Rss:")?,
            anonymous: bytes("Anonymous:")?,
        })
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where something in the middle takes connections. That of hyper is at the forwarder's address too, at the
/// ports of the application.
pub(super) fn entry(role: Role, world: &World, version: Version) -> SocketAddr {
    match role {
        Role::Waypoint => world.middle(Service::Waypoint),
        Role::Forwarder => world.middle(Service::Forwarder),
        Role::Hyper => {
            let ip = world.middle(Service::Forwarder).ip();
            SocketAddr::new(ip, world.port(version))
        }
    }
}

/// Is in the middle, for ever.
///
/// # Errors
/// Why it cannot begin.
pub fn be(role: &str, world: &str, workers: &str) -> io::Result<()> {
    let world: World = world.parse()?;
    let workers: usize = workers.parse().map_err(io::Error::other)?;
    let role = Role::ALL.into_iter().find(|known| known.name() == role);
    let threads = match role.ok_or_else(|| io::Error::other("an unknown role"))? {
        Role::Waypoint => {
            return waypoint::run().map_err(|error| io::Error::other(error.to_string()));
        }
        Role::Forwarder => forwarder(&world, workers)?,
        Role::Hyper => {
            let mut threads = reverse_proxy(&world, Version::Http1, workers)?;
            threads.extend(reverse_proxy(&world, Version::Http2, workers)?);
            threads
        }
    };
    loop {
        std::thread::park();
        debug_assert!(!threads.is_empty());
    }
}

fn reverse_proxy(world: &World, version: Version, workers: usize) -> io::Result<Vec<Worker>> {
    let (_, sockets) = listeners_at(entry(Role::Hyper, world, version), workers)?;
    let application = world.application(version);
    let threads = sockets.into_iter().map(|socket| {
        let forwarder = Forwarder::new(version, move |_| async move {
            let stream = TcpStream::connect(application).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        Worker::start("hyper", move || {
            listen::serve(socket, move |stream| forwarder.clone().serve(stream))
        })
    });
    threads.collect()
}

fn forwarder(world: &World, workers: usize) -> io::Result<Vec<Worker>> {
    let (_, sockets) = listeners_at(world.middle(Service::Forwarder), workers)?;
    let (certificates, tls) = (world.certificates()?, tls()?);
    let server = ServerLayer::builder(World::identity("floor")?, certificates.clone(), tls.clone());
    let server = server.build().map_err(io::Error::other)?;
    let client = ClientLayer::builder(certificates, tls).build();
    let client = client.map_err(io::Error::other)?;
    let threads = sockets.into_iter().map(|socket| {
        let tunnels = client.layer(TcpDialer::new(SocketOptions::default()));
        let (tunnel, server) = (Upstream::new(world, tunnels)?, server.clone());
        Worker::start("forwarder", move || async move {
            let listener = match TcpListener::from_std(socket) {
                Ok(listener) => listener,
                Err(error) => return eprintln!("cannot listen: {error}"),
            };
            let connect = move |version| tunnel.clone().open(version);
            let service = Requests {
                http1: Forwarder::new(Version::Http1, connect.clone()),
                http2: Forwarder::new(Version::Http2, connect),
            };
            let (_trigger, drain) = drain::channel();
            let acceptor = TcpAcceptor::direct(listener, SocketOptions::default());
            let options = AcceptOptions::new(Direction::Inbound, std::sync::Arc::new(()));
            serve(acceptor, server.layer(service), options, drain).await;
        })
    });
    threads.collect()
}

/// Tunnels to the application through the server's node proxy.
#[derive(Clone)]
struct Upstream {
    tunnels: Client<TcpDialer>,
    targets: [Target; 2],
}

impl Upstream {
    fn new(world: &World, tunnels: Client<TcpDialer>) -> io::Result<Self> {
        let (source, expected) = (World::identity("floor")?, World::identity("server")?);
        let targets = [Version::Http1, Version::Http2].map(|version| {
            let authority = world.application(version).to_string();
            Target::new(world.server(), authority, source.clone(), expected.clone())
        });
        Ok(Self { tunnels, targets })
    }

    async fn open(self, version: Version) -> io::Result<Tunnel> {
        let [http1, http2] = self.targets;
        let target = match version {
            Version::Http1 => http1,
            Version::Http2 => http2,
        };
        self.tunnels.connect(target).await.map_err(io::Error::other)
    }
}

/// Serves CONNECT requests as HTTP, by the port that they ask for.
#[derive(Clone)]
struct Requests<C> {
    http1: Forwarder<C>,
    http2: Forwarder<C>,
}

impl<C, F> tower_service::Service<Incoming> for Requests<C>
where
    C: Fn(Version) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = io::Result<Tunnel>> + Send + 'static,
{
    type Response = ();
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<(), Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, incoming: Incoming) -> Self::Future {
        let authority: Option<ConnectAuthority> = incoming.authority().parse().ok();
        let http2 = Service::Forwarder.address(Version::Http2).port();
        let forwarder = match authority {
            Some(authority) if authority.port().get() == http2 => self.http2.clone(),
            _ => self.http1.clone(),
        };
        Box::pin(async move {
            if let Ok(tunnel) = incoming.accept(HeaderMap::new())
                && let Err(error) = forwarder.serve(tunnel).await
            {
                eprintln!("forwarder: {error}");
            }
            Ok(())
        })
    }
}
