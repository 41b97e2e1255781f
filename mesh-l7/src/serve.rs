//! HTTP/1.1 and HTTP/2 on connections that are given: bytes in, requests out.
//!
//! [`Server`] reads requests, refuses what [`hygiene`](crate::hygiene) refuses, and gives the others
//! to a tower service. A request that the service sees
//!
//! - has a target in origin form, normalised; `CONNECT` has its authority;
//! - has exactly one `Host` (HTTP/1.0 may have none), whatever the version;
//! - has no headers of its connection; what they said is an [`Admitted`](crate::hygiene::Admitted) in
//!   its extensions where there is something to say;
//! - has the [`Downstream`] as an `Arc` and a new
//!   [`Record`](crate::record::Record) in its extensions.
//!
//! **Upgrades** look the same in every version: a `GET` whose `Admitted` has the protocol, also for
//! extended `CONNECT` of HTTP/2 (RFC 8441). The body of the request is what the client sends on the
//! switched connection, and the body of an answer `101` is what it receives. The end of a body is the
//! end of that direction. `CONNECT` works the same way with answers of 2xx.
//!
//! Requests that are refused before a service sees them can be told to an observer ([`ServerSettings::refusals`]).
//!
//! [`detect`] tells HTTP from other protocols by their first bytes and gives the connection back.

mod arrival;
mod call;
mod checked;
mod detect;
mod error;
mod fault;
mod http1;
mod http2;
mod life;
mod refusal;
mod refused;
mod response;
mod rewound;
mod settings;
mod switched;
mod turn;

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use mesh_core::drain::Drain;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use crate::body::Body;
use crate::downstream::Downstream;

pub use detect::{DetectSettings, Detected, detect};
pub use error::ServeError;
pub use rewound::Rewound;
pub use settings::{ClientEnd, Http2Settings, ServerSettings};

use arrival::Arrival;

/// Serves HTTP on connections. Clones share their settings.
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
///
/// use http::{Request, Response};
/// use mesh_core::drain;
/// use mesh_l7::body::Body;
/// use mesh_l7::downstream::Downstream;
/// use mesh_l7::serve::{Server, ServerSettings};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// #[derive(Clone)]
/// struct Echo;
///
/// impl tower_service::Service<Request<Body>> for Echo {
///     type Response = Response<Body>;
///     type Error = Infallible;
///     type Future = std::future::Ready<Result<Response<Body>, Infallible>>;
///
///     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
///         std::task::Poll::Ready(Ok(()))
///     }
///
///     fn call(&mut self, request: Request<Body>) -> Self::Future {
///         let path = bytes::Bytes::from(request.uri().path().to_owned());
///         std::future::ready(Ok(Response::new(path.into())))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::new(ServerSettings::default());
/// let (mut client, connection) = tokio::io::duplex(4096);
/// let downstream = Arc::new(Downstream::new("10.0.0.1:4711".parse()?, "10.96.0.10:80".parse()?));
/// let (_trigger, drain) = drain::channel();
/// tokio::spawn(async move { server.serve(connection, downstream, Echo, drain).await });
///
/// client.write_all(b"GET /a/../b HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n/b"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    settings: Arc<ServerSettings>,
}

impl Server {
    /// A server with these settings.
    #[must_use]
    pub fn new(settings: ServerSettings) -> Self {
        Self {
            settings: Arc::new(settings),
        }
    }

    /// Serves the requests of one connection until it ends. HTTP/2 is known by its preface; everything
    /// else is taken for HTTP/1, and answered 400 if it is none.
    ///
    /// When `drain` begins, the client is told (GOAWAY, or `connection: close` with the next answer),
    /// the requests that run are finished, and this returns; when it is forced, at once.
    ///
    /// # Errors
    /// [`ServeError`]. What happened to requests is not among them.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection and drops what was asked of the service.
    pub async fn serve<IO, S>(
        &self,
        io: IO,
        downstream: Arc<Downstream>,
        service: S,
        drain: Drain,
    ) -> Result<(), ServeError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let detected = tokio::select! {
            biased;
            detected = detect::http_version(io, self.settings.head_timeout) => detected?,
            () = drain.draining() => return Ok(()),
        };
        match detected {
            Some(Detected::Http2(io)) => self.serve_http2(io, downstream, service, drain).await,
            Some(Detected::Http1(io) | Detected::Other(io)) => {
                self.serve_http1(io, downstream, service, drain).await
            }
            None => Ok(()),
        }
    }

    /// As [`serve`](Self::serve), on a connection that is known to speak HTTP/1.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn serve_http1<IO, S>(
        &self,
        io: IO,
        downstream: Arc<Downstream>,
        service: S,
        drain: Drain,
    ) -> Result<(), ServeError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        http1::serve(io, self.arrival(downstream), service, drain).await
    }

    /// As [`serve`](Self::serve), on a connection that is known to speak HTTP/2.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn serve_http2<IO, S>(
        &self,
        io: IO,
        downstream: Arc<Downstream>,
        service: S,
        drain: Drain,
    ) -> Result<(), ServeError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        http2::serve(io, self.arrival(downstream), service, drain).await
    }

    fn arrival(&self, downstream: Arc<Downstream>) -> Arc<Arrival> {
        Arc::new(Arrival::new(self.settings.clone(), downstream))
    }
}
