//! Our two node proxies: the library's outbound and inbound services, with HBONE between them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::credential::{CertificateSource, Credential, FixedSource, TrustBundle};
use mesh_core::drain;
use mesh_core::identity::SpiffeId;
use mesh_core::model::{ServiceSpec, TunnelProtocol, WorkloadSpec};
use mesh_core::resolve::ResolveConfig;
use mesh_core::store::MeshStore;
use mesh_core::telemetry::Direction;
use mesh_core::tls::TlsContext;
use mesh_hbone::awake::{Awake, AwakeSocket};
use mesh_hbone::client::ClientLayer;
use mesh_hbone::proxy::{
    Accept, AcceptOptions, AllowAll, HopConnector, Inbound, LocalWorkload, MeshResolver, NoLookup,
    Outbound, TcpDialer, serve,
};
use mesh_hbone::server::{Accepted, ServerLayer};
use mesh_hbone::sock::SocketOptions;
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;
use tower_service::Service;

use crate::certificates::Authority;
use crate::listen::listeners;
use crate::worker::Worker;

const CLIENT: &str = "spiffe://lab/ns/lab/sa/client";
const SERVER: &str = "spiffe://lab/ns/lab/sa/server";

/// Starts the second hop: HBONE in, plain TCP to the application that is asked for. Its workers stay
/// awake for `awake` after traffic.
///
/// # Errors
/// When a socket, a thread or a certificate cannot be made.
pub fn inbound(
    name: &str,
    workers: usize,
    awake: Duration,
    authority: &Authority,
) -> io::Result<(SocketAddr, Vec<Worker>)> {
    let (address, sockets) = listeners(workers)?;
    let certificates = certificates(authority, SERVER)?;
    let layer = ServerLayer::builder(id(SERVER)?, certificates, tls()?).build();
    let layer = layer.map_err(io::Error::other)?;
    let workers = sockets.into_iter().map(|socket| {
        let awake = Awake::new(awake);
        let dialer = awake.dialer(TcpDialer::new(SocketOptions::default()));
        let resolver = resolver("server", address.port());
        let server = layer.layer(Inbound::new(resolver, AllowAll, dialer, Arc::new(())));
        Worker::start(name, move || {
            run(socket, None, server, Direction::Inbound, awake)
        })
    });
    Ok((address, workers.collect::<io::Result<_>>()?))
}

/// Starts the first hop: connections for `application` in, HBONE to `next`.
///
/// # Errors
/// As [`inbound`].
pub fn outbound(
    name: &str,
    application: SocketAddr,
    next: SocketAddr,
    workers: usize,
    awake: Duration,
    authority: &Authority,
) -> io::Result<(SocketAddr, Vec<Worker>)> {
    let (address, sockets) = listeners(workers)?;
    let certificates = certificates(authority, CLIENT)?;
    let layer = ClientLayer::builder(certificates, tls()?)
        .build()
        .map_err(io::Error::other)?;
    let workers = sockets.into_iter().map(|socket| {
        let awake = Awake::new(awake);
        let dialer = awake.dialer(TcpDialer::new(SocketOptions::default()));
        // A pool for each worker: a connection stays on its core.
        let connector = HopConnector::new(dialer.clone(), layer.layer(dialer));
        let resolver = resolver("client", next.port());
        let outbound = Outbound::new(resolver, connector, NoLookup, Arc::new(()));
        // As if connections had been redirected on their way to the application.
        let to = Some(application);
        Worker::start(name, move || {
            run(socket, to, outbound, Direction::Outbound, awake)
        })
    });
    Ok((address, workers.collect::<io::Result<_>>()?))
}

/// Serves a listener for ever; its connections were going `to` somewhere else where that is said.
pub(crate) async fn run<S>(
    socket: StdListener,
    to: Option<SocketAddr>,
    service: S,
    direction: Direction,
    awake: Awake,
) where
    S: Service<Accepted<AwakeSocket<TcpStream>>, Response = ()> + Clone + Send + 'static,
    S::Error: std::error::Error + Send + 'static,
    S::Future: Send,
{
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("cannot listen: {error}"),
    };
    // Never drained: the benchmark just ends.
    let (_trigger, drain) = drain::channel();
    let options = AcceptOptions::new(direction, Arc::new(()));
    let sockets = awake.acceptor(Sockets { listener, to });
    tokio::spawn(awake.run());
    serve(sockets, service, options, drain).await;
}

/// A listener, and where its connections were going if not to itself.
struct Sockets {
    listener: TcpListener,
    to: Option<SocketAddr>,
}

impl Accept for Sockets {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<Accepted<TcpStream>> {
        let (io, peer) = self.listener.accept().await?;
        io.set_nodelay(true)?;
        let local = self.to.map_or_else(|| io.local_addr(), Ok)?;
        Ok(Accepted { io, peer, local })
    }
}

/// A mesh of two workloads on loopback, as one of them sees it.
fn resolver(local: &str, hbone_port: u16) -> MeshResolver {
    let workload = |name: &str, last| WorkloadSpec {
        uid: name.into(),
        name: name.into(),
        namespace: "lab".into(),
        trust_domain: "lab".into(),
        service_account: name.into(),
        ips: vec![Ipv4Addr::new(127, 0, 0, last).into()],
        tunnel_protocol: TunnelProtocol::Hbone,
        ..WorkloadSpec::default()
    };
    let store = MeshStore::new();
    let services: Vec<ServiceSpec> = Vec::new();
    store.replace_all(vec![workload("client", 2), workload("server", 1)], services);
    let mut config = ResolveConfig::new();
    config.hbone_port = hbone_port;
    MeshResolver::new(store.watch(), config, LocalWorkload::Uid(local.into()))
}

pub(crate) fn tls() -> io::Result<Arc<TlsContext>> {
    Ok(Arc::new(
        TlsContext::with_default_provider().map_err(io::Error::other)?,
    ))
}

fn id(text: &str) -> io::Result<SpiffeId> {
    text.parse().map_err(io::Error::other)
}

fn certificates(authority: &Authority, id: &str) -> io::Result<Arc<dyn CertificateSource>> {
    let leaf = authority.issue(id, "relay.lab")?;
    let roots = TrustBundle::from_der([authority.root().clone()]).map_err(io::Error::other)?;
    let credential = Credential::from_der(leaf.chain, leaf.key, Arc::new(roots));
    Ok(Arc::new(FixedSource::new([
        credential.map_err(io::Error::other)?
    ])))
}
