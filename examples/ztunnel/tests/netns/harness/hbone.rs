//! HBONE spoken by the test itself: a client that asks for anything, and a stand-in for a waypoint.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use mesh_core::identity::SpiffeId;
use mesh_core::tls::TlsContext;
use mesh_hbone::client::Error;
use mesh_hbone::server::{Accepted, ServerLayer};
use mesh_hbone::{BoxError, BoxFuture, ClientLayer, Incoming, Target};
use mesh_xds::dev_ca::{DevCa, DevCaSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower_layer::Layer;
use tower_service::Service;

use super::{Application, Node, PATIENCE, Pod};

/// Where HBONE is served.
pub(crate) const PORT: u16 = 15008;

/// What the stand-in says before it sends everything back.
pub(crate) const PREFIX: &str = "by way of the waypoint: ";

/// The identity of a workload.
pub(crate) fn identity(name: &str) -> SpiffeId {
    identity_of("cluster.local", name)
}

fn identity_of(trust_domain: &str, name: &str) -> SpiffeId {
    format!("spiffe://{trust_domain}/ns/default/sa/{name}")
        .parse()
        .unwrap()
}

fn certificates(node: &Node) -> Arc<DevCaSource> {
    let authority = DevCa::open_or_create(node.authority()).unwrap();
    Arc::new(DevCaSource::builder(authority).build().unwrap())
}

fn tls() -> Arc<TlsContext> {
    Arc::new(TlsContext::with_default_provider().unwrap())
}

/// What became of a CONNECT request.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// Another status than 200.
    Status(u16),
    /// 200, and then this came back for [`REQUEST`].
    Bytes(String),
    /// No answer: the connection could not be had.
    Failed,
}

/// What the client sends through a tunnel.
pub(crate) const REQUEST: &str = "through the tunnel";

/// Asks the proxy of `server` for an authority, as another workload.
pub(crate) fn connect(from: &Pod<'_>, server: &Pod<'_>, authority: &str) -> Answer {
    connect_as(from, &identity(from.name), server, authority)
}

/// Asks as a workload of another trust domain.
pub(crate) fn connect_as_foreigner(from: &Pod<'_>, server: &Pod<'_>, authority: &str) -> Answer {
    connect_as(
        from,
        &identity_of("example.org", from.name),
        server,
        authority,
    )
}

fn connect_as(from: &Pod<'_>, me: &SpiffeId, server: &Pod<'_>, authority: &str) -> Answer {
    let layer = ClientLayer::builder(certificates(from.node()), tls())
        .build()
        .unwrap();
    let expected = identity(server.name);
    let target = Target::new(server.port(PORT), authority, me.clone(), expected);
    from.run(async {
        let talk = async {
            let mut tunnel = layer.layer(Tcp).connect(target).await?;
            let talk = async {
                tunnel.write_all(REQUEST.as_bytes()).await?;
                tunnel.shutdown().await?;
                let mut answer = String::new();
                tunnel.read_to_string(&mut answer).await?;
                io::Result::Ok(answer)
            };
            Ok(talk.await.unwrap())
        };
        match tokio::time::timeout(PATIENCE, talk).await.unwrap() {
            Ok(bytes) => Answer::Bytes(bytes),
            Err(Error::Refused { status, .. }) => Answer::Status(status.as_u16()),
            Err(_) => Answer::Failed,
        }
    })
}

/// What a request to the stand-in was.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) authority: String,
    pub(crate) peer: SpiffeId,
    pub(crate) forwarded: String,
    pub(crate) baggage: String,
}

/// Serves HBONE in the place of a waypoint with an identity, and tells what it is asked for.
pub(crate) fn waypoint(pod: &Pod<'_>, me: SpiffeId) -> (Application, UnboundedReceiver<Asked>) {
    let (asked, requests) = unbounded_channel();
    let layer = ServerLayer::builder(me, certificates(pod.node()), tls())
        .build()
        .unwrap();
    let server = layer.layer(StandIn { asked });
    let application = Application::start(&pod.namespace, PORT, move |listener| async move {
        loop {
            let (io, peer) = listener.accept().await?;
            let local = io.local_addr()?;
            let mut server = server.clone();
            tokio::task::spawn_local(async move {
                // How a connection ends is the business of the proxies.
                let _ = server.call(Accepted { io, peer, local }).await;
            });
        }
    });
    (application, requests)
}

#[derive(Clone)]
struct StandIn {
    asked: UnboundedSender<Asked>,
}

impl Service<Incoming> for StandIn {
    type Response = ();
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, incoming: Incoming) -> Self::Future {
        let header = |name| {
            let value = incoming.headers().get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        let asked = Asked {
            authority: incoming.authority().to_owned(),
            peer: incoming.peer().identity().clone(),
            forwarded: header("forwarded"),
            baggage: header("baggage"),
        };
        // The test may have seen enough.
        let _ = self.asked.send(asked);
        Box::pin(async move {
            let tunnel = incoming.accept(HeaderMap::new())?;
            let (mut read, mut write) = tokio::io::split(tunnel);
            write.write_all(PREFIX.as_bytes()).await?;
            tokio::io::copy(&mut read, &mut write).await?;
            write.shutdown().await?;
            Ok(())
        })
    }
}

/// Dials TCP.
#[derive(Clone, Debug)]
struct Tcp;

impl Service<SocketAddr> for Tcp {
    type Response = TcpStream;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TcpStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: SocketAddr) -> Self::Future {
        Box::pin(async move { TcpStream::connect(to).await })
    }
}
