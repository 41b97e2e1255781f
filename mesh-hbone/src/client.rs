//! The HBONE client: tunnels over pooled connections.
//!
//! [`ClientLayer`] makes any dialer of sockets into a service that answers a [`Target`] with a
//! [`Tunnel`]. Connections are shared by targets with the same source identity, expected
//! identities and endpoint; see [`ClientBuilder`] for the limits.

mod dial;
mod error;
mod link;
mod pool;
mod request;
mod settings;
mod target;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::credential::CertificateSource;
use mesh_core::drain::Drain;
use mesh_core::telemetry::Telemetry;
use mesh_core::tls::TlsContext;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_layer::Layer;
use tower_service::Service;

pub use error::{DialError, Error};
pub use target::Target;

use crate::boxed::BoxError;
use crate::config::{ConfigError, Http2Config, in_range};
use crate::tunnel::Tunnel;
use pool::Pool;
use request::{Failed, request};
use settings::Settings;
use target::Key;

/// Times that a request which was never processed is sent again on another connection.
const TRIES: usize = 3;

/// Makes a [`Client`] of a dialer.
///
/// ```
/// # use std::{net::SocketAddr, sync::Arc};
/// # use mesh_core::{credential::CertificateSource, tls::TlsContext};
/// # use mesh_hbone::{ConfigError, client::{Client, ClientLayer}};
/// # use tower_layer::Layer;
/// fn client<D>(
///     dialer: D,
///     certs: Arc<dyn CertificateSource>,
///     tls: Arc<TlsContext>,
/// ) -> Result<Client<D>, ConfigError> {
///     Ok(ClientLayer::builder(certs, tls).max_streams_per_connection(50).build()?.layer(dialer))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ClientLayer(Arc<Settings>);

impl ClientLayer {
    /// Settings to start from; see the setters for the defaults.
    pub fn builder(certs: Arc<dyn CertificateSource>, tls: Arc<TlsContext>) -> ClientBuilder {
        let ten = Duration::from_secs(10);
        ClientBuilder(Settings {
            certs,
            tls,
            http2: Http2Config::default(),
            max_streams: 100,
            max_connections: 4096,
            idle_release: Duration::from_secs(300),
            inner_connections: 8,
            inner_lifetime: Duration::from_secs(60),
            connect_timeout: ten,
            tls_timeout: ten,
            http2_timeout: ten,
            answer_timeout: Duration::from_secs(20),
            drain: None,
            telemetry: Arc::new(()),
        })
    }
}

impl<D> Layer<D> for ClientLayer {
    type Service = Client<D>;
    /// A client with a pool of its own.
    fn layer(&self, dialer: D) -> Client<D> {
        Client {
            dialer,
            pool: Pool::new(self.0.clone()),
        }
    }
}

/// Builds a [`ClientLayer`].
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder(Settings);

impl ClientBuilder {
    /// HTTP/2 settings; default [`Http2Config::default`].
    pub fn http2(mut self, config: Http2Config) -> Self {
        self.0.http2 = config;
        self
    }

    /// The largest number of streams that one pooled connection carries.
    ///
    /// In streams, 1 to 65,535; default 100. When a connection fills up, the pool opens another
    /// before the next stream has to wait for it. The peer's `SETTINGS_MAX_CONCURRENT_STREAMS`
    /// still applies. Source: RFC 9113 §5.1.2; Istio's `POOL_MAX_STREAMS_PER_CONNECTION`.
    pub fn max_streams_per_connection(mut self, streams: u16) -> Self {
        self.0.max_streams = streams.into();
        self
    }

    /// The largest number of pooled connections.
    ///
    /// 1 to 1,000,000; default 4096. At the limit an idle connection gives way; when none is idle,
    /// dialling fails with [`Error::PoolFull`].
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.0.max_connections = connections;
        self
    }

    /// Time without a stream after which a connection is closed.
    ///
    /// 1 ms to one day; default 5 min.
    pub fn idle_release(mut self, after: Duration) -> Self {
        self.0.idle_release = after;
        self
    }

    /// Connections through one gateway that are opened before streams share them; see
    /// [`Client::connect_through`].
    ///
    /// 0 to 1024; default 8. 0 = none is shared: each tunnel has a connection of its own, as with
    /// Istio's node proxies.
    pub fn inner_connections(mut self, connections: usize) -> Self {
        self.0.inner_connections = connections;
        self
    }

    /// Time that a connection through a gateway takes new streams; it ends with its last one.
    ///
    /// 1 ms to one day; default 60 s. The gateway chooses an endpoint for each connection, so this is
    /// how long new tunnels may go to an endpoint that it would not choose any more.
    pub fn inner_lifetime(mut self, lifetime: Duration) -> Self {
        self.0.inner_lifetime = lifetime;
        self
    }

    /// Time for the dialer to connect. 1 ms to one hour; default 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.0.connect_timeout = timeout;
        self
    }

    /// Time for the TLS handshake, fetching of the credential included. 1 ms to one hour; default
    /// 10 s.
    pub fn tls_timeout(mut self, timeout: Duration) -> Self {
        self.0.tls_timeout = timeout;
        self
    }

    /// Time until the peer's first HTTP/2 frame. 1 ms to one hour; default 10 s.
    pub fn http2_timeout(mut self, timeout: Duration) -> Self {
        self.0.http2_timeout = timeout;
        self
    }

    /// Time for the answer to a CONNECT request. 1 ms to one hour; default 20 s, which is longer
    /// than a peer takes to give up connecting.
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.0.answer_timeout = timeout;
        self
    }

    /// Whose drain closes connections: idle ones soon after it begins, busy ones when their last
    /// tunnel ends and its bytes are sent, all when it is forced. Default none.
    pub fn drain(mut self, drain: Drain) -> Self {
        self.0.drain = Some(drain);
        self
    }

    /// Who is told of peers whose certificate is revoked; default nobody.
    pub fn telemetry(mut self, telemetry: Arc<dyn Telemetry>) -> Self {
        self.0.telemetry = telemetry;
        self
    }

    /// The layer.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] names the setting and its range.
    pub fn build(self) -> Result<ClientLayer, ConfigError> {
        let s = &self.0;
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        in_range(
            "max streams per connection",
            count(s.max_streams),
            1,
            65_535,
        )?;
        in_range("max connections", count(s.max_connections), 1, 1_000_000)?;
        in_range("inner connections", count(s.inner_connections), 0, 1024)?;
        for (field, duration, max) in [
            ("idle release in ms", s.idle_release, 86_400_000),
            ("inner lifetime in ms", s.inner_lifetime, 86_400_000),
            ("connect timeout in ms", s.connect_timeout, 3_600_000),
            ("TLS timeout in ms", s.tls_timeout, 3_600_000),
            ("HTTP/2 timeout in ms", s.http2_timeout, 3_600_000),
            ("answer timeout in ms", s.answer_timeout, 3_600_000),
        ] {
            let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            in_range(field, millis, 1, max)?;
        }
        Ok(ClientLayer(Arc::new(self.0)))
    }
}

/// A service that answers a [`Target`] with a [`Tunnel`].
///
/// Clones share one pool. Connections are driven by tasks on the tokio runtime that dials them;
/// with one runtime per core, give each its own client. Dropping the last clone closes idle
/// connections at once and busy ones when their last tunnel ends.
///
/// # Errors
/// [`Error`]; a failed dial is reported to all who waited for it.
///
/// # Cancellation
/// Dropping the future withdraws the request. A dial that others may use goes on.
#[derive(Clone, Debug)]
pub struct Client<D> {
    dialer: D,
    pool: Arc<Pool>,
}

impl<D> Client<D> {
    /// Pooled connections, idle ones included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.pool.connections()
    }

    /// Opens a tunnel inside `io`, a byte stream to the peer, over a connection that is not
    /// pooled: how HBONE is carried inside HBONE.
    ///
    /// # Errors
    /// As the service.
    ///
    /// # Cancellation
    /// Dropping the future drops `io`.
    pub async fn connect_over<IO>(&self, io: IO, target: Target) -> Result<Tunnel, Error>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let settings = self.pool.settings();
        let key = Key::of(&target);
        let credential = dial::credential(settings, &key.source).await?;
        let dialed = dial::handshake(settings, &key, &credential, io).await?;
        let link = dialed.drive_alone(settings);
        let slot = link.take_slot();
        link.retire();
        request(&slot, settings, &target)
            .await
            .map_err(Failed::into_error)
    }
}

impl<D> Client<D>
where
    D: Service<SocketAddr> + Clone + Send + 'static,
    D::Response: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D::Error: Into<BoxError>,
    D::Future: Send + 'static,
{
    /// Opens a tunnel; the same as calling the service.
    ///
    /// # Errors
    /// As the service.
    ///
    /// # Cancellation
    /// As the service.
    pub async fn connect(&self, target: Target) -> Result<Tunnel, Error> {
        open(&self.pool, &Key::of(&target), &self.dialer, &target).await
    }

    /// Opens a tunnel to what is behind a gateway of another network: HBONE inside of HBONE.
    ///
    /// `gateway` is the tunnel to the gateway, which passes the bytes on to an endpoint of its choice;
    /// `inner` the tunnel inside of it, whose `endpoint` is only a name.
    ///
    /// Connections inside of tunnels are pooled by source identity, expected identities, gateway and
    /// the authority that the gateway is asked for. They are spread, so that the gateway's balancing
    /// has an effect: until there are [`ClientBuilder::inner_connections`], each call opens one of its
    /// own. After that it takes the one with the fewest streams; those with equally few take turns.
    /// None takes new streams for longer than [`ClientBuilder::inner_lifetime`]. Headers of `gateway`
    /// are those of the call that opened the connection.
    ///
    /// # Errors
    /// As the service; a gateway that cannot be reached or refuses is a [`DialError::Gateway`].
    ///
    /// # Cancellation
    /// As the service.
    pub async fn connect_through(&self, gateway: Target, inner: Target) -> Result<Tunnel, Error>
    where
        D: Sync,
    {
        if self.pool.settings().inner_connections == 0 {
            let outer = self.connect(gateway).await?;
            return self.connect_over(outer, inner).await;
        }
        let key = Key::inside(&gateway, &inner);
        let client = self.clone();
        let dialer = Through { client, gateway };
        open(&self.pool, &key, &dialer, &inner).await
    }
}

/// Sends a request on a connection of the pool.
async fn open<D>(pool: &Arc<Pool>, key: &Key, dialer: &D, target: &Target) -> Result<Tunnel, Error>
where
    D: Service<SocketAddr> + Clone + Send + 'static,
    D::Response: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D::Error: Into<BoxError>,
    D::Future: Send + 'static,
{
    let mut tries = 0;
    loop {
        tries += 1;
        let slot = pool.acquire(key, dialer).await?;
        match request(&slot, pool.settings(), target).await {
            Err(Failed::Unprocessed(_)) if tries < TRIES => slot.link().retire(),
            // The pool knows by now how many streams the peer allows.
            Err(Failed::Crowded(_)) if tries < TRIES => {}
            result => return result.map_err(Failed::into_error),
        }
    }
}

/// Dials what is behind a gateway: a tunnel to the gateway is the byte stream.
#[derive(Clone)]
struct Through<D> {
    client: Client<D>,
    gateway: Target,
}

impl<D> Service<SocketAddr> for Through<D>
where
    D: Service<SocketAddr> + Clone + Send + Sync + 'static,
    D::Response: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D::Error: Into<BoxError>,
    D::Future: Send + 'static,
{
    type Response = Tunnel;
    type Error = Error;
    type Future = ConnectFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: SocketAddr) -> ConnectFuture {
        let Self { client, gateway } = self.clone();
        ConnectFuture(Box::pin(async move { client.connect(gateway).await }))
    }
}

impl<D> Service<Target> for Client<D>
where
    D: Service<SocketAddr> + Clone + Send + Sync + 'static,
    D::Response: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D::Error: Into<BoxError>,
    D::Future: Send + 'static,
{
    type Response = Tunnel;
    type Error = Error;
    type Future = ConnectFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // Which connection is needed, and whether it has room, depends on the target.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Target) -> ConnectFuture {
        let client = self.clone();
        ConnectFuture(Box::pin(async move { client.connect(target).await }))
    }
}

/// The future of one tunnel; see [`Client`].
#[must_use = "futures do nothing unless polled"]
pub struct ConnectFuture(Pin<Box<dyn Future<Output = Result<Tunnel, Error>> + Send>>);

impl std::fmt::Debug for ConnectFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectFuture").finish_non_exhaustive()
    }
}

impl Future for ConnectFuture {
    type Output = Result<Tunnel, Error>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}
