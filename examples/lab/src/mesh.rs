//! Our two node proxies' data path: HBONE between two hops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use mesh_core::credential::{CertificateSource, Credential, FixedSource, TrustBundle};
use mesh_core::identity::SpiffeId;
use mesh_core::tls::TlsContext;
use mesh_hbone::client::{Client, ClientLayer};
use mesh_hbone::copy::{Meter, Plain, copy};
use mesh_hbone::server::{Accepted, ServerLayer};
use mesh_hbone::{BoxError, BoxFuture, Incoming, Target};
use tokio::net::TcpStream;
use tower_layer::Layer;
use tower_service::Service;

use crate::certificates::Authority;
use crate::listen::{listeners, serve};
use crate::worker::Worker;

const CLIENT: &str = "spiffe://lab/ns/lab/sa/client";
const SERVER: &str = "spiffe://lab/ns/lab/sa/server";

/// Starts the second hop: HBONE in, plain TCP to `application`.
///
/// # Errors
/// When a socket, a thread or a certificate cannot be made.
pub fn inbound(
    name: &str,
    application: SocketAddr,
    workers: usize,
    authority: &Authority,
) -> io::Result<(SocketAddr, Vec<Worker>)> {
    let (address, sockets) = listeners(workers)?;
    let certificates = certificates(authority, SERVER)?;
    let tls = Arc::new(TlsContext::with_default_provider().map_err(io::Error::other)?);
    let layer = ServerLayer::builder(id(SERVER)?, certificates, tls).build();
    let layer = layer.map_err(io::Error::other)?;
    let workers = sockets.into_iter().map(|socket| {
        let server = layer.layer(Forward(application));
        Worker::start(name, move || {
            serve(socket, move |io| {
                let mut server = server.clone();
                async move {
                    let (peer, local) = (io.peer_addr()?, io.local_addr()?);
                    server
                        .call(Accepted { io, peer, local })
                        .await
                        .map_err(io::Error::other)
                }
            })
        })
    });
    Ok((address, workers.collect::<io::Result<_>>()?))
}

/// Starts the first hop: plain TCP in, HBONE to `next`.
///
/// # Errors
/// As [`inbound`].
pub fn outbound(
    name: &str,
    next: SocketAddr,
    workers: usize,
    authority: &Authority,
) -> io::Result<(SocketAddr, Vec<Worker>)> {
    let (address, sockets) = listeners(workers)?;
    let certificates = certificates(authority, CLIENT)?;
    let tls = Arc::new(TlsContext::with_default_provider().map_err(io::Error::other)?);
    let layer = ClientLayer::builder(certificates, tls)
        .build()
        .map_err(io::Error::other)?;
    let target = Target::new(next, "10.0.0.1:80", id(CLIENT)?, id(SERVER)?);
    let workers = sockets.into_iter().map(|socket| {
        // A pool for each worker: a connection stays on its core.
        let client = layer.layer(Tcp);
        let target = target.clone();
        Worker::start(name, move || {
            serve(socket, move |io| carry(client.clone(), target.clone(), io))
        })
    });
    Ok((address, workers.collect::<io::Result<_>>()?))
}

async fn carry(client: Client<Tcp>, target: Target, io: TcpStream) -> io::Result<()> {
    let tunnel = Box::pin(client.connect(target))
        .await
        .map_err(io::Error::other)?;
    let meter = Meter::default();
    copy(Plain::new(io), tunnel, &meter)
        .await
        .map_err(io::Error::other)
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

#[derive(Clone, Copy, Debug)]
struct Tcp;

impl Service<SocketAddr> for Tcp {
    type Response = TcpStream;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TcpStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: SocketAddr) -> Self::Future {
        Box::pin(connect(address))
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[derive(Clone, Copy, Debug)]
struct Forward(SocketAddr);

impl Service<Incoming> for Forward {
    type Response = ();
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, incoming: Incoming) -> Self::Future {
        let application = self.0;
        Box::pin(async move {
            let io = connect(application).await?;
            let tunnel = incoming.accept(HeaderMap::new())?;
            let meter = Meter::default();
            Ok(copy(tunnel, Plain::new(io), &meter).await?)
        })
    }
}
