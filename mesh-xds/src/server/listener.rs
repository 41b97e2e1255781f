//! A listener for gRPC, plain or over TLS.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;

use super::discovery::Discovery;
use super::fault::{Faults, Faulty};
use super::route::Routes;
use crate::wire::discovery::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer;

/// Flow control windows, so that a client's long first request does not wait for round trips.
const WINDOW: u32 = 4 * 1024 * 1024;

/// The longest request that is read, in bytes, as with other gRPC servers: 4 MiB.
const REQUEST: usize = 4 * 1024 * 1024;

/// Sets up a [`ControlServer`].
#[must_use]
pub struct ControlServerBuilder {
    routes: Routes,
    tls: Option<Arc<ServerConfig>>,
    faults: Arc<Faults>,
}

/// A running control plane. Dropping it ends it like [`stop`](Self::stop), a moment later.
#[must_use]
pub struct ControlServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ControlServer {
    /// A control plane that serves these resources.
    pub fn builder(discovery: Discovery) -> ControlServerBuilder {
        let faults = discovery.shared_faults();
        let mut routes = Routes::default();
        let service = AggregatedDiscoveryServiceServer::new(discovery);
        routes.add(service.max_decoding_message_size(REQUEST));
        ControlServerBuilder {
            routes,
            tls: None,
            faults,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and all connections, without a word to the clients.
    pub async fn stop(mut self) {
        self.task.abort();
        // Aborted, or over: either way it is gone.
        let _ = (&mut self.task).await;
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ControlServerBuilder {
    /// Serves another gRPC service as well, such as a certificate authority.
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: NamedService + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        self.routes.add(service);
        self
    }

    /// Serves over TLS; default: in the clear. The configuration has to offer `h2` by ALPN.
    pub fn tls(self, config: Arc<ServerConfig>) -> Self {
        Self {
            tls: Some(config),
            ..self
        }
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(self, address: impl ToSocketAddrs) -> io::Result<ControlServer> {
        let listener = TcpListener::bind(address).await?;
        Ok(ControlServer {
            address: listener.local_addr()?,
            task: tokio::spawn(self.accept(listener)),
        })
    }

    async fn accept(self, listener: TcpListener) {
        let shared = Arc::new(self);
        // Dropping the set ends the connections.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(shared.clone().connection(stream));
                    }
                    // Out of descriptors, most likely: some come back.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        // It only delays.
        let _ = stream.set_nodelay(true);
        let stream = Faulty {
            stream,
            faults: self.faults.clone(),
        };
        match &self.tls {
            Some(config) => {
                let accepted = TlsAcceptor::from(config.clone()).accept(stream).await;
                if let Ok(stream) = accepted {
                    self.http2(stream).await;
                }
            }
            None => self.http2(stream).await,
        }
    }

    async fn http2(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(|request: Request<Incoming>| {
            let answer = self.routes.call(request.map(Body::new));
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let served = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "connection of a control plane's client failed");
        }
    }
}

impl fmt::Debug for ControlServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlServerBuilder")
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ControlServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
