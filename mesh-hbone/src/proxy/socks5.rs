//! Connections that applications ask for by SOCKS5.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::model::Workload;
use mesh_core::resolve::{HostnameTarget, IpFamily, ResolveError};
use tokio::time::Instant;
use tower_service::Service;

use super::carry::Carrying;
use super::outbound::Request;
use super::{ConnectionFuture, Error, Leg, NameLookup, Outbound, Resolver, SystemLookup, Upstream};
use crate::io::Socket;
use crate::server::Accepted;
use crate::sock::canonical;
use crate::socks5::{self, Host, Pending, Reply};

/// Carries connections that applications ask for by SOCKS5: a service of [`Accepted`] sockets.
///
/// After the handshake a connection goes the way of [`Outbound`]. Domain names are asked of the mesh
/// first, then looked up; where a name has addresses of both IP families, that of the client's
/// connection is preferred. The client hears of success once the next hop is connected, and of
/// the reason of a failure as far as SOCKS has a code for it.
///
/// The service is always ready. Its future ends with the connection.
///
/// # Errors
/// [`Error`], after it was reported and answered.
///
/// # Cancellation
/// Dropping the future resets the connection on both sides; it is reported as drained.
#[derive(Clone, Debug)]
pub struct Socks5<R, C, L = SystemLookup> {
    outbound: Outbound<R, C, L>,
    timeout: Duration,
}

impl<R, C, L> Socks5<R, C, L> {
    /// The service, with [`socks5::DEFAULT_TIMEOUT`] for the handshake.
    pub fn new(outbound: Outbound<R, C, L>) -> Self {
        Self {
            outbound,
            timeout: socks5::DEFAULT_TIMEOUT,
        }
    }

    /// The same with another time for the handshake.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

impl<R: Resolver, C, L: NameLookup> Socks5<R, C, L> {
    async fn serve<I, S>(self, accepted: Accepted<I>) -> Result<Carrying, Error>
    where
        I: Socket + Sync,
        S: Socket,
        C: Service<Leg, Response = Upstream<S>, Error = Error> + Clone + Send + Sync + 'static,
        C::Future: Send,
    {
        let mut request = Request {
            client: canonical(accepted.peer),
            destination: canonical(accepted.local),
            accepted: Instant::now(),
        };
        let pending = socks5::accept(accepted.io, self.timeout).await;
        let pending =
            pending.map_err(|error| self.outbound.rejected(&request, Error::Socks(error)))?;
        request.destination = match self.destination(&pending, request.client).await {
            Ok(destination) => destination,
            Err(error) => {
                refuse(pending, &error).await;
                return Err(self.outbound.rejected(&request, error));
            }
        };
        let established = match self.outbound.establish(&request, pending.get_ref()).await {
            Ok(established) => established,
            Err(error) => {
                refuse(pending, &error).await;
                return Err(error);
            }
        };
        match pending.succeed(None).await {
            Ok(client) => Ok(established.carry(client)),
            Err(error) => {
                let error = Error::Prelude(error);
                established.abort(&error);
                Err(error)
            }
        }
    }

    /// The address that the client asks for.
    async fn destination<I>(
        &self,
        pending: &Pending<I>,
        client: SocketAddr,
    ) -> Result<SocketAddr, Error> {
        let port = pending.request().port;
        let name = match &pending.request().host {
            Host::Address(ip) => return Ok(SocketAddr::new(*ip, port)),
            Host::Name(name) => name,
        };
        let prefer = IpFamily::of(client.ip());
        let resolver = self.outbound.resolver();
        let local: std::sync::Arc<Workload> = resolver.local().await?;
        match resolver.hostname(&local, name, port, prefer).await {
            HostnameTarget::Mesh(address) => Ok(address),
            HostnameTarget::Unknown => self.look_up(name, port, prefer).await,
            HostnameTarget::Unanswered => {
                let reference = (&**name).into();
                Err(ResolveError::Unanswered { reference }.into())
            }
            HostnameTarget::Rejected => {
                let reference = (&**name).into();
                Err(ResolveError::Rejected { reference }.into())
            }
        }
    }

    async fn look_up(&self, name: &str, port: u16, prefer: IpFamily) -> Result<SocketAddr, Error> {
        let failed = |source| Error::Lookup {
            name: name.into(),
            source,
        };
        let found = self.outbound.lookup().lookup(name).await.map_err(failed)?;
        let ip = found.iter().find(|ip| IpFamily::of(**ip) == prefer);
        let ip = ip.or(found.first()).copied();
        let ip = ip.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        Ok(SocketAddr::new(ip, port))
    }
}

/// Tells the client why it is not connected.
async fn refuse<I: Socket>(pending: Pending<I>, error: &Error) {
    let reply = match error {
        Error::Dial(error) => Reply::from(error.kind()),
        error => Reply::from(error.outcome()),
    };
    // A client that is gone needs no answer.
    let _ = pending.refuse(reply).await;
}

impl<R, C, L, I, S> Service<Accepted<I>> for Socks5<R, C, L>
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
