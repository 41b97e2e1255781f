//! The HBONE server: mutual TLS, HTTP/2, and unanswered CONNECT requests.
//!
//! [`ServerLayer`] turns a service of [`Incoming`]s into a service of accepted sockets. Each
//! request becomes an [`Incoming`], which carries the verified peer and has not been answered:
//! bytes flow only after [`Incoming::accept`], once whatever stands behind it is connected.

mod error;
mod gate;
mod handshake;
mod incoming;
mod serve;
mod settings;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::credential::CertificateSource;
use mesh_core::drain::Drain;
use mesh_core::identity::SpiffeId;
use mesh_core::telemetry::{Direction, Event, Telemetry};
use mesh_core::tls::TlsContext;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_layer::Layer;
use tower_service::Service;

pub use error::Error;
pub use gate::HandshakeGate;
pub use incoming::{AcceptAll, Incoming, Refusal};
pub use settings::Accepted;

use crate::boxed::BoxError;
use crate::carrier::Carrier;
use crate::config::{ConfigError, Http2Config, in_range};
use crate::peer::Peer;
use handshake::Ready;
use settings::Shared;

/// Makes a [`Server`] of a service of [`Incoming`]s.
///
/// ```
/// # use std::sync::Arc;
/// # use mesh_core::{credential::CertificateSource, identity::SpiffeId, tls::TlsContext};
/// # use mesh_hbone::{AcceptAll, ConfigError, Tunnel, server::{Server, ServerLayer}};
/// # use tower_layer::Layer;
/// # use tower_service::Service;
/// /// A service of plain byte streams becomes one of HBONE connections.
/// fn serve<S>(
///     echo: S,
///     me: SpiffeId,
///     certs: Arc<dyn CertificateSource>,
///     tls: Arc<TlsContext>,
/// ) -> Result<Server<AcceptAll<S>>, ConfigError> {
///     Ok(ServerLayer::builder(me, certs, tls).build()?.layer(AcceptAll(echo)))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ServerLayer(Arc<Shared>);

impl ServerLayer {
    /// Settings for a server that serves as `identity`; see the setters for the defaults.
    pub fn builder(
        identity: SpiffeId,
        certs: Arc<dyn CertificateSource>,
        tls: Arc<TlsContext>,
    ) -> ServerBuilder {
        ServerBuilder(Shared {
            identity,
            certs,
            tls,
            http2: Http2Config::default(),
            handshake_timeout: Duration::from_secs(10),
            gate: HandshakeGate::default(),
            drain: None,
            telemetry: Arc::new(()),
        })
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = Server<S>;
    fn layer(&self, inner: S) -> Server<S> {
        Server {
            inner,
            shared: self.0.clone(),
        }
    }
}

/// Builds a [`ServerLayer`].
#[derive(Debug)]
#[must_use]
pub struct ServerBuilder(Shared);

impl ServerBuilder {
    /// HTTP/2 settings; default [`Http2Config::default`].
    pub fn http2(mut self, config: Http2Config) -> Self {
        self.0.http2 = config;
        self
    }

    /// Time that a peer has for the TLS handshake, and again for the beginning of HTTP/2.
    ///
    /// 10 ms to one hour; default 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.0.handshake_timeout = timeout;
        self
    }

    /// The bound on handshakes under way, to be shared by listeners; default one of its own.
    pub fn handshake_gate(mut self, gate: HandshakeGate) -> Self {
        self.0.gate = gate;
        self
    }

    /// Whose drain ends connections: GOAWAY when it begins, closing when it is forced. Default
    /// none.
    pub fn drain(mut self, drain: Drain) -> Self {
        self.0.drain = Some(drain);
        self
    }

    /// Who is told of peers that the server itself turns away (failed handshakes, requests that are
    /// not CONNECT, connections that break the protocol); default nobody.
    pub fn telemetry(mut self, telemetry: Arc<dyn Telemetry>) -> Self {
        self.0.telemetry = telemetry;
        self
    }

    /// The layer.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] for a timeout outside its range.
    pub fn build(self) -> Result<ServerLayer, ConfigError> {
        let timeout = u64::try_from(self.0.handshake_timeout.as_millis()).unwrap_or(u64::MAX);
        in_range("handshake timeout in ms", timeout, 10, 3_600_000)?;
        Ok(ServerLayer(Arc::new(self.0)))
    }
}

/// A service of accepted sockets: the handshake, then one call of the inner service for each
/// CONNECT request, until the connection ends.
///
/// The inner service's calls run as tasks of their own on the current tokio runtime; their errors
/// are logged at debug level and otherwise theirs to report.
///
/// Requests that are not CONNECT are answered 400. Peers without a certificate of the own trust
/// domain never get past the handshake.
///
/// # Errors
/// [`Error`] says why the connection ended other than by the peer's or the drain's wish.
///
/// # Cancellation
/// Dropping the future closes the connection and resets its streams.
#[derive(Clone, Debug)]
pub struct Server<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, IO> Service<Accepted<IO>> for Server<S>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Incoming, Response = ()> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = Error;
    type Future = ServeFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // The inner service is asked for each request.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, accepted: Accepted<IO>) -> ServeFuture {
        let Self { inner, shared } = self.clone();
        ServeFuture(Box::pin(async move {
            let (source, destination) = (accepted.peer, accepted.local);
            // The handshake's state is large and short-lived: boxed, it is freed when it is done.
            let result = match Box::pin(handshake::accept(&shared, accepted)).await {
                Ok(ready) => Box::pin(serve::serve(ready, inner, &shared)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = &result {
                shared.count_revoked(source, error);
            }
            if let Err(error) = &result
                && !matches!(
                    error,
                    Error::Drained { .. }
                        | Error::Io { .. }
                        | Error::Silent { .. }
                        | Error::Revoked { .. }
                )
            {
                // What befell a connection that carried streams is reported by the streams.
                shared.telemetry.record(&Event::Rejected {
                    direction: Direction::Inbound,
                    source,
                    destination,
                    outcome: error.outcome(),
                    error,
                });
            }
            result
        }))
    }
}

/// Serves HTTP/2 CONNECT over a stream whose peer has been authenticated by other means, such as a
/// pipe within one process.
///
/// # Errors
/// As [`Server`].
///
/// # Cancellation
/// As [`Server`].
pub async fn serve_authenticated<IO, S>(
    layer: &ServerLayer,
    accepted: Accepted<IO>,
    peer: SpiffeId,
    service: S,
) -> Result<(), Error>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Incoming, Response = ()> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    let ready = Ready {
        io: accepted.io,
        tls: None,
        carrier: Carrier::new(Peer::new(peer, accepted.peer, accepted.local)),
        generation: 0,
        renewals: None,
        revocations: None,
    };
    serve::serve(ready, service, &layer.0).await
}

/// The future of one connection; see [`Server`].
#[must_use = "futures do nothing unless polled"]
pub struct ServeFuture(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>);

impl std::fmt::Debug for ServeFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeFuture").finish_non_exhaustive()
    }
}

impl Future for ServeFuture {
    type Output = Result<(), Error>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}
