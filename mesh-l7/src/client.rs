//! HTTP/1.1 and HTTP/2 to upstreams, on connections that are made where they are needed and used again.
//!
//! [`Client`] is a tower service from an [`Attempt`] to the response of its host. It is generic over
//! the connector, which makes a connection of what an upstream says about a host: a TCP socket, a tunnel
//! of HBONE, or anything else that bytes go through.
//!
//! | | |
//! |---|---|
//! | which version | as [`Protocol`](crate::upstream::Protocol) says |
//! | HTTP/1.1 | one request at a time; the connection used last is used first |
//! | HTTP/2 | the connection with the fewest streams; another one when all are full |
//! | limits | connections and waiting requests of the upstream's circuit breaker; every pool may have one connection |
//! | a connection that was closed while idle | the request goes to a new one, once, if nothing was written or it can be repeated without harm |
//! | a response or request that is dropped | resets its stream, or closes its HTTP/1 connection |
//!
//! Upgrades are as in [`serve`](crate::serve): the body of the request and that of the answer `101`
//! are the directions of the switched connection.

mod connection;
mod dial;
mod exchange;
mod failure;
mod hearing;
mod http1;
mod http2;
mod key;
mod over_http1;
mod over_http2;
mod pool;
mod pools;
mod request;
mod resources;
mod response;
mod settings;
mod unsuccessful;

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use crate::attempt::{Attempt, AttemptError};
use crate::body::Body;

pub use settings::ClientSettings;

use resources::Resources;

/// Sends requests to the hosts of upstreams. Clones share their connections.
///
/// One per worker: its connections are driven by tasks of the runtime that it is used on.
///
/// `C` is the connector: a service from `E` to a connection. It is cloned for every connection. `E` is
/// compared so that connections to what a host led to before a change of configuration are not used
/// any more.
pub struct Client<E, C>(Resources<E, C>);

impl<E, C> Client<E, C> {
    /// A client without connections.
    #[must_use]
    pub fn new(connector: C, settings: ClientSettings) -> Self {
        Self(Resources {
            connector,
            pools: Arc::default(),
            settings: Arc::new(settings),
        })
    }

    /// How many connections there are now, used and idle.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.pools.connections()
    }
}

impl<E, C: Clone> Clone for Client<E, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E, C> fmt::Debug for Client<E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("connections", &self.connections())
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

/// The response of a host, or why there is none.
///
/// # Cancellation
/// Dropping it resets the stream, or closes the HTTP/1 connection. A connection that is being made for
/// it is made to its end, and kept for others.
pub struct ResponseFuture(
    Pin<Box<dyn Future<Output = Result<Response<Body>, AttemptError>> + Send>>,
);

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, AttemptError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<E, C> Service<Attempt<E>> for Client<E, C>
where
    E: Clone + PartialEq + Send + Sync + 'static,
    C: Service<E> + Clone + Send + 'static,
    C::Response: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    C::Error: Into<Box<dyn Error + Send + Sync>>,
    C::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = AttemptError;
    type Future = ResponseFuture;

    /// Always ready: what is too much is refused by the call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<E>) -> ResponseFuture {
        ResponseFuture(Box::pin(exchange::exchange(self.0.clone(), attempt)))
    }
}
