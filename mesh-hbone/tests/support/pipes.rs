//! Byte streams within the process in place of sockets, so that time can stand still.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use mesh_core::credential::CertificateSource;
use mesh_hbone::client::Client;
use mesh_hbone::server::{Accepted, Server};
use mesh_hbone::{BoxError, Incoming};
use tokio::io::DuplexStream;
use tokio::sync::broadcast;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_layer::Layer;
use tower_service::Service;

use super::frames::{GUARD, HEADERS, Wire, response};
use super::{Mesh, id};

/// Bytes that fit between the two ends.
pub const PIPE: usize = 256 * 1024;

/// Dials by handing out the other end.
#[derive(Clone, Debug)]
pub struct Piped(
    UnboundedSender<(SocketAddr, DuplexStream)>,
    Arc<AtomicUsize>,
);

/// Where the other ends come out.
pub struct Listener(
    UnboundedReceiver<(SocketAddr, DuplexStream)>,
    Arc<AtomicUsize>,
);

pub fn piped() -> (Piped, Listener) {
    let (send, receive) = unbounded_channel();
    let dials = Arc::new(AtomicUsize::new(0));
    (Piped(send, dials.clone()), Listener(receive, dials))
}

impl Service<SocketAddr> for Piped {
    type Response = DuplexStream;
    type Error = std::io::Error;
    type Future = std::future::Ready<std::io::Result<DuplexStream>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, addr: SocketAddr) -> Self::Future {
        self.1.fetch_add(1, Ordering::SeqCst);
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let refused = || std::io::ErrorKind::ConnectionRefused.into();
        let sent = self.0.send((addr, theirs)).map_err(|_| refused());
        std::future::ready(sent.map(|()| ours))
    }
}

impl Listener {
    pub async fn accept(&mut self) -> DuplexStream {
        let next = timeout(GUARD, self.0.recv()).await;
        next.expect("nobody dialled").expect("the dialer lives").1
    }

    /// Ends that were dialled and not accepted.
    pub fn waiting(&self) -> usize {
        self.0.len()
    }

    /// How often anything was dialled so far.
    pub fn dials(&self) -> Arc<AtomicUsize> {
        self.1.clone()
    }

    /// The next connection after its TLS handshake.
    pub async fn accept_tls(&mut self, mesh: &Mesh) -> TlsStream<DuplexStream> {
        acceptor(mesh)
            .await
            .accept(self.accept().await)
            .await
            .unwrap()
    }

    /// The next connection, as HTTP/2 by hand, with these settings.
    pub async fn accept_wire(
        &mut self,
        mesh: &Mesh,
        settings: &[(u16, u32)],
    ) -> Wire<TlsStream<DuplexStream>> {
        Wire::server(self.accept_tls(mesh).await, settings).await
    }

    /// Answers every request on every connection with 200, by hand. What is sent to the channel
    /// goes out on every connection that is there by then.
    pub async fn answer_all(
        mut self,
        mesh: &Mesh,
        settings: &'static [(u16, u32)],
    ) -> broadcast::Sender<Vec<u8>> {
        let acceptor = acceptor(mesh).await;
        let (say, _) = broadcast::channel::<Vec<u8>>(16);
        let every = say.clone();
        tokio::spawn(async move {
            while let Some((_, io)) = self.0.recv().await {
                let mut said = every.subscribe();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let io = acceptor.accept(io).await.unwrap();
                    let mut wire = Wire::server(io, settings).await;
                    loop {
                        tokio::select! {
                            frame = wire.next_or_pending() => match frame {
                                Some(frame) if frame.kind == HEADERS => {
                                    wire.send(&response(frame.stream, 200, 0)).await;
                                }
                                Some(_) => {}
                                None => break,
                            },
                            Ok(bytes) = said.recv() => drop(wire.try_send(&bytes).await),
                        }
                    }
                });
            }
        });
        say
    }

    /// Serves every connection from now on.
    pub fn serve<S>(mut self, server: Server<S>) -> UnboundedReceiver<Ended>
    where
        S: Service<Incoming, Response = ()> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        let (send, ended) = unbounded_channel();
        tokio::spawn(async move {
            let mut number = 0;
            while let Some((local, io)) = self.0.recv().await {
                number += 1;
                let peer = SocketAddr::from(([10, 0, 0, 9], number));
                let mut server = server.clone();
                let send = send.clone();
                tokio::spawn(async move {
                    let result = server.call(Accepted { io, peer, local }).await;
                    let _ = send.send(result);
                });
            }
        });
        ended
    }
}

/// How a connection of the server ended.
pub type Ended = Result<(), mesh_hbone::server::Error>;

/// The server's half of TLS handshakes.
pub async fn acceptor(mesh: &Mesh) -> TlsAcceptor {
    let server = mesh.certs.credential(&id("server")).await.unwrap();
    mesh.tls.server(&server).unwrap().into()
}

/// The endpoint of the tests that dial pipes.
pub fn endpoint(number: u16) -> SocketAddr {
    ([10, 0, 0, 5], number).into()
}

impl Mesh {
    pub fn piped(
        &self,
        change: impl FnOnce(mesh_hbone::client::ClientBuilder) -> mesh_hbone::client::ClientBuilder,
    ) -> (Client<Piped>, Listener) {
        let (dialer, listener) = piped();
        let layer = change(self.client_builder()).build().unwrap();
        (layer.layer(dialer), listener)
    }
}

/// Lets everything happen that can happen without time passing. Only while time stands still.
pub async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

/// A gate that tasks of a test wait at.
#[derive(Clone, Debug)]
pub struct Gate(Arc<tokio::sync::Semaphore>);

impl Gate {
    pub fn closed() -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(0)))
    }

    pub fn open(&self, times: usize) {
        self.0.add_permits(times);
    }

    pub async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}
