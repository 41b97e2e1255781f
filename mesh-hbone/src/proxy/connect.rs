//! Connecting to the next hop: over TCP, HBONE, or HBONE inside of HBONE.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_service::Service;

use super::{Dial, DialError, Error};
use crate::BoxError;
use crate::client::{self, Client, Target};
use crate::io::Socket;
use crate::tunnel::Tunnel;

/// A next hop with everything that connecting to it needs.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a connector handles every kind")]
pub enum Leg {
    /// Plain TCP.
    Tcp(SocketAddr),
    /// A tunnel.
    Hbone(Target),
    /// A tunnel to what is behind a network gateway, inside of a tunnel to the gateway.
    DoubleHbone {
        /// The tunnel to the gateway.
        gateway: Target,
        /// The tunnel inside of it; its endpoint is only a name.
        inner: Target,
    },
}

/// A connection to the next hop.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the two kinds of connections")]
pub enum Upstream<S> {
    /// Plain TCP, or whatever a dialer gives.
    Plain(S),
    /// A tunnel.
    Tunnel(Tunnel),
}

/// Opens tunnels. [`Client`] does; the seam lets tests and other transports take its place.
pub trait Tunnels: Clone + Send + Sync + 'static {
    /// Opens a tunnel.
    ///
    /// # Errors
    /// When the peer cannot be reached, is not one of the expected, or refuses.
    fn open(&self, target: Target) -> impl Future<Output = Result<Tunnel, client::Error>> + Send;

    /// Opens a tunnel to what is behind a gateway, inside of one to the gateway.
    ///
    /// # Errors
    /// As [`Tunnels::open`].
    fn open_through(
        &self,
        gateway: Target,
        inner: Target,
    ) -> impl Future<Output = Result<Tunnel, client::Error>> + Send;
}

impl<D> Tunnels for Client<D>
where
    D: Service<SocketAddr> + Clone + Send + Sync + 'static,
    D::Response: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    D::Error: Into<BoxError>,
    D::Future: Send + 'static,
{
    async fn open(&self, target: Target) -> Result<Tunnel, client::Error> {
        self.connect(target).await
    }

    async fn open_through(&self, gateway: Target, inner: Target) -> Result<Tunnel, client::Error> {
        self.connect_through(gateway, inner).await
    }
}

/// Connects to next hops: a service of [`Leg`].
///
/// Plain TCP goes through the dialer `D`, tunnels through `T`. Always ready; what the dialer needs
/// to be ready is waited for with the call.
#[derive(Clone, Debug)]
pub struct HopConnector<D, T> {
    dialer: D,
    tunnels: T,
}

impl<D, T> HopConnector<D, T> {
    /// A connector.
    #[must_use]
    pub fn new(dialer: D, tunnels: T) -> Self {
        Self { dialer, tunnels }
    }
}

impl<D, T> HopConnector<D, T>
where
    D: Service<Dial>,
    D::Error: Into<DialError>,
    T: Tunnels,
{
    async fn connect(mut self, leg: Leg) -> Result<Upstream<D::Response>, Error> {
        match leg {
            Leg::Tcp(address) => {
                let dialled = dial(&mut self.dialer, Dial::new(address)).await;
                Ok(Upstream::Plain(dialled.map_err(Error::Dial)?))
            }
            Leg::Hbone(target) => {
                let tunnel = self.tunnels.open(target).await;
                Ok(Upstream::Tunnel(tunnel.map_err(Error::Tunnel)?))
            }
            Leg::DoubleHbone { gateway, inner } => {
                // In a box of its own: it is large and rare, and the others are to be small.
                let tunnel = Box::pin(self.tunnels.open_through(gateway, inner)).await;
                Ok(Upstream::Tunnel(tunnel.map_err(Error::Tunnel)?))
            }
        }
    }
}

/// Waits for the dialer to be ready and dials.
pub(super) async fn dial<D>(dialer: &mut D, request: Dial) -> Result<D::Response, DialError>
where
    D: Service<Dial>,
    D::Error: Into<DialError>,
{
    let ready = poll_fn(|cx| dialer.poll_ready(cx)).await;
    ready.map_err(Into::into)?;
    dialer.call(request).await.map_err(Into::into)
}

/// The connecting to a next hop. Dropping it gives the connection up.
#[must_use = "futures do nothing unless polled"]
pub struct HopFuture<S>(Pin<Box<dyn Future<Output = Result<Upstream<S>, Error>> + Send>>);

impl<S> Future for HopFuture<S> {
    type Output = Result<Upstream<S>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<S> fmt::Debug for HopFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HopFuture").finish_non_exhaustive()
    }
}

impl<D, T> Service<Leg> for HopConnector<D, T>
where
    D: Service<Dial> + Clone + Send + 'static,
    D::Response: Socket,
    D::Error: Into<DialError>,
    D::Future: Send,
    T: Tunnels,
{
    type Response = Upstream<D::Response>;
    type Error = Error;
    type Future = HopFuture<D::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, leg: Leg) -> Self::Future {
        HopFuture(Box::pin(self.clone().connect(leg)))
    }
}
