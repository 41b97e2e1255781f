//! Connections that leave a local workload.

mod attempt;
mod describe;
mod establish;
mod established;
mod governed;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_core::telemetry::Telemetry;
use tokio::time::Instant;
use tower_service::Service;

use super::carry::Carrying;
use super::headers::HeaderSource;
use super::{
    ConnectionFuture, Error, Leg, NameLookup, Resolver, SystemLookup, TrafficPolicy, Upstream,
};
use crate::io::Socket;
use crate::server::Accepted;
use crate::sock::canonical;

/// Carries connections that leave a local workload: a service of [`Accepted`] sockets.
///
/// [`Accepted::local`] is the address that the application asked for: the original destination of
/// a redirected connection. For each connection:
///
/// 1. resolve the destination ([`Resolver`]),
/// 2. look up the next hop's address, if it is a host name ([`NameLookup`]),
/// 3. report [`Event::Opened`](mesh_core::telemetry::Event::Opened),
/// 4. connect (`C`, such as [`HopConnector`](super::HopConnector)),
/// 5. copy, and report [`Event::Closed`](mesh_core::telemetry::Event::Closed).
///
/// When connecting fails, up to two other endpoints are tried, or as many as a [`TrafficPolicy`] says; each attempt is
/// reported by itself.
/// When all fail, the application's connection is reset. An application that goes away before
/// it has sent anything ends the attempt.
///
/// The service is always ready. Its future ends with the connection.
///
/// # Errors
/// [`Error`], after it was reported.
///
/// # Cancellation
/// Dropping the future resets the connection on both sides; it is reported as drained.
#[derive(Clone, Debug)]
pub struct Outbound<R, C, L = SystemLookup> {
    resolver: R,
    connector: C,
    lookup: L,
    telemetry: Arc<dyn Telemetry>,
    headers: HeaderSource,
    traffic: Option<Arc<dyn TrafficPolicy>>,
}

/// One connection of an application.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) client: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) accepted: Instant,
}

impl<R, C, L> Outbound<R, C, L> {
    /// The service.
    pub fn new(resolver: R, connector: C, lookup: L, telemetry: Arc<dyn Telemetry>) -> Self {
        Self {
            resolver,
            connector,
            lookup,
            telemetry,
            headers: HeaderSource::default(),
            traffic: None,
        }
    }

    /// The same with a traffic policy for connections to services. Default: none, which costs nothing.
    #[must_use]
    pub fn with_traffic_policy(self, policy: Arc<dyn TrafficPolicy>) -> Self {
        let traffic = Some(policy);
        Self { traffic, ..self }
    }

    pub(super) fn resolver(&self) -> &R {
        &self.resolver
    }

    pub(super) fn lookup(&self) -> &L {
        &self.lookup
    }
}

impl<R, C, L> Outbound<R, C, L> {
    async fn serve<I, S>(self, mut accepted: Accepted<I>) -> Result<Carrying, Error>
    where
        R: Resolver,
        L: NameLookup,
        I: Socket + Sync,
        S: Socket,
        C: Service<Leg, Response = Upstream<S>, Error = Error> + Clone + Send + Sync + 'static,
        C::Future: Send,
    {
        let request = Request {
            client: canonical(accepted.peer),
            destination: canonical(accepted.local),
            accepted: Instant::now(),
        };
        match self.establish(&request, &accepted.io).await {
            Ok(established) => Ok(established.carry(accepted.io)),
            Err(error) => {
                accepted.io.reset_on_drop();
                Err(error)
            }
        }
    }
}

impl<R, C, L, I, S> Service<Accepted<I>> for Outbound<R, C, L>
where
    R: Resolver,
    L: NameLookup,
    I: Socket + Sync,
    S: Socket,
    C: Service<Leg, Response = Upstream<S>, Error = Error> + Clone + Send + Sync + 'static,
    C::Future: Send,
{
    type Response = ();
    type Error = Error;
    type Future = ConnectionFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, accepted: Accepted<I>) -> ConnectionFuture {
        ConnectionFuture::new(self.clone().serve(accepted))
    }
}
