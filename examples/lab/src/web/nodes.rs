//! Node proxies of the mesh that waypoints are measured in.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::telemetry::Direction;
use mesh_hbone::awake::Awake;
use mesh_hbone::client::ClientLayer;
use mesh_hbone::proxy::{AllowAll, HopConnector, Inbound, NoLookup, Outbound, TcpDialer};
use mesh_hbone::server::ServerLayer;
use mesh_hbone::sock::SocketOptions;
use tower_layer::Layer;

use super::world::{Service, Version, World};
use crate::listen::{listeners, listeners_at};
use crate::mesh::{run, tls};
use crate::worker::Worker;

/// Starts the server's node proxy, on one thread.
///
/// # Errors
/// When a socket, a thread or a certificate cannot be made.
pub fn inbound(world: &World, awake: Duration) -> io::Result<Worker> {
    let (_, mut sockets) = listeners_at(world.server(), 1)?;
    let socket = sockets.pop().ok_or(io::ErrorKind::NotFound)?;
    let identity = World::identity("server")?;
    let layer = ServerLayer::builder(identity, world.certificates()?, tls()?).build();
    let layer = layer.map_err(io::Error::other)?;
    let awake = Awake::new(awake);
    let dialer = awake.dialer(TcpDialer::new(SocketOptions::default()));
    let resolver = world.resolver("server")?;
    let server = layer.layer(Inbound::new(resolver, AllowAll, dialer, Arc::new(())));
    Worker::start("web-inbound", move || {
        run(socket, None, server, Direction::Inbound, awake)
    })
}

/// Starts a node proxy of the client, on one thread: where it takes connections for a service, by the version
/// of HTTP.
///
/// # Errors
/// As [`inbound`].
pub fn outbound(
    world: &World,
    service: Service,
    awake: Duration,
) -> io::Result<([SocketAddr; 2], Worker)> {
    let (first, http1) = listener()?;
    let (second, http2) = listener()?;
    let layer = ClientLayer::builder(world.certificates()?, tls()?)
        .build()
        .map_err(io::Error::other)?;
    let awake = Awake::new(awake);
    let dialer = awake.dialer(TcpDialer::new(SocketOptions::default()));
    let connector = HopConnector::new(dialer.clone(), layer.layer(dialer));
    let resolver = world.resolver("client")?;
    let outbound = Outbound::new(resolver, connector, NoLookup, Arc::new(()));
    let [http1, http2] = [(http1, Version::Http1), (http2, Version::Http2)].map(
        |(socket, version)| -> Box<dyn FnOnce() -> Listening + Send> {
            let (outbound, awake) = (outbound.clone(), awake.clone());
            // As if connections had been redirected on their way to the service.
            let to = Some(service.address(version));
            Box::new(move || Box::pin(run(socket, to, outbound, Direction::Outbound, awake)))
        },
    );
    let worker = Worker::start("web-outbound", move || async move {
        tokio::join!(http1(), http2());
    })?;
    Ok(([first, second], worker))
}

type Listening = std::pin::Pin<Box<dyn Future<Output = ()>>>;

fn listener() -> io::Result<(SocketAddr, StdListener)> {
    let (address, mut sockets) = listeners(1)?;
    let socket = sockets.pop().ok_or(io::ErrorKind::NotFound)?;
    Ok((address, socket))
}
