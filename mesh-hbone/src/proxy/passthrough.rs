//! Plain connections that reach a local workload.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::model::Workload;
use mesh_core::resolve::PassthroughRoute;
use mesh_core::telemetry::{Connection, Direction, Event, Telemetry};
use tokio::time::Instant;
use tower_service::Service;

use super::authorize::{DECISION_TIMEOUT, decide};
use super::carry::{Carrying, carry};
use super::connect::dial;
use super::presence::unless_gone;
use super::session::Session;
use super::{
    Attributes, Authorizer, ConnectionFuture, Dial, DialError, DialFrom, Error, Permit, Resolver,
};
use crate::copy::Plain;
use crate::io::Socket;
use crate::server::Accepted;
use crate::sock::canonical;

/// Carries plain TCP connections to a local workload: a service of [`Accepted`] sockets.
///
/// [`Accepted::local`] is the address that the client asked for: the original destination of a
/// redirected connection. Policy is asked without an identity. A connection that is refused, by
/// policy or by the workload, is reset; policy that is undecided is waited for.
///
/// The service is always ready. Its future ends with the connection.
///
/// # Errors
/// [`Error`], after it was reported.
///
/// # Cancellation
/// Dropping the future resets the connection on both sides; it is reported as drained.
#[derive(Clone, Debug)]
pub struct Passthrough<R, A, D> {
    resolver: R,
    authorizer: A,
    dialer: D,
    telemetry: Arc<dyn Telemetry>,
    preserve: Preserve,
    decision_timeout: Duration,
}

/// Whether the workload sees the client's address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Preserve {
    Yes,
    No,
}

/// One plain connection.
struct Request {
    client: SocketAddr,
    destination: SocketAddr,
    accepted: Instant,
}

impl<R, A, D> Passthrough<R, A, D> {
    /// The service; the workload sees the proxy's address.
    pub fn new(resolver: R, authorizer: A, dialer: D, telemetry: Arc<dyn Telemetry>) -> Self {
        Self {
            resolver,
            authorizer,
            dialer,
            telemetry,
            preserve: Preserve::No,
            decision_timeout: DECISION_TIMEOUT,
        }
    }

    /// The same with another time that policy may be undecided
    /// ([`Verdict::Undecided`](super::Verdict::Undecided)) about a connection before it is denied.
    ///
    /// Default 10 s; zero denies at once.
    #[must_use]
    pub fn decision_timeout(self, timeout: Duration) -> Self {
        Self {
            decision_timeout: timeout,
            ..self
        }
    }

    /// The same, but the workload sees the client's IP address, where the dialer can do that.
    #[must_use]
    pub fn preserving_source(self) -> Self {
        Self {
            preserve: Preserve::Yes,
            ..self
        }
    }

    fn rejected(&self, request: &Request, error: Error) -> Error {
        self.telemetry.record(&Event::Rejected {
            direction: Direction::Inbound,
            source: request.client,
            destination: request.destination,
            outcome: error.outcome(),
            error: &error,
        });
        error
    }
}

impl<R, A, D> Passthrough<R, A, D>
where
    R: Resolver,
    A: Authorizer,
    D: Service<Dial> + Clone + Send + Sync + 'static,
    D::Response: Socket,
    D::Error: Into<DialError>,
    D::Future: Send,
{
    async fn serve<I: Socket + Sync>(self, mut accepted: Accepted<I>) -> Result<Carrying, Error> {
        let request = Request {
            client: canonical(accepted.peer),
            destination: canonical(accepted.local),
            accepted: Instant::now(),
        };
        let (local, route) = match self.resolve(&request).await {
            Ok(resolved) => resolved,
            Err(error) => {
                accepted.io.reset_on_drop();
                return Err(self.rejected(&request, error));
            }
        };
        let connection = describe(&request, &local, &route);
        let session = Session::open(&self.telemetry, request.accepted, connection);
        let connected = self.connect(&request, &local, &route, &accepted.io).await;
        match connected {
            Ok((permit, upstream)) => {
                let (client, server) = (Plain::new(accepted.io), Plain::new(upstream));
                Ok(carry(client, server, permit, session))
            }
            Err(error) => {
                accepted.io.reset_on_drop();
                session.close(Err(&error));
                Err(error)
            }
        }
    }

    async fn resolve(&self, request: &Request) -> Result<(Arc<Workload>, PassthroughRoute), Error> {
        let local = self.resolver.local().await?;
        let route = self
            .resolver
            .passthrough(&local, request.client, request.destination)
            .await?;
        Ok((local, route))
    }

    /// Asks policy, then dials.
    async fn connect(
        &self,
        request: &Request,
        local: &Arc<Workload>,
        route: &PassthroughRoute,
        client: &(impl Socket + Sync),
    ) -> Result<(Permit, D::Response), Error> {
        let attributes = Attributes {
            source: request.client,
            identity: None,
            destination: route.destination,
            workload: local,
        };
        let decision = decide(&self.authorizer, &attributes, self.decision_timeout);
        let mut permit = unless_gone(client, route.destination, decision).await?;
        let from = match self.preserve {
            Preserve::Yes => DialFrom::Preserve(request.client.ip()),
            Preserve::No => DialFrom::Any,
        };
        let mut dialer = self.dialer.clone();
        let request = Dial::new(route.destination).from(from);
        let connect = async { dial(&mut dialer, request).await.map_err(Error::Dial) };
        let connect = unless_gone(client, route.destination, connect);
        let upstream = permit.guard(connect).await?;
        Ok((permit, upstream))
    }
}

fn describe(request: &Request, local: &Arc<Workload>, route: &PassthroughRoute) -> Connection {
    let mut connection = Connection::new(Direction::Inbound, request.client, request.destination);
    connection.source = route.source.clone();
    connection.destination = Some(local.clone());
    connection.service = route.service.clone();
    connection
}

impl<R, A, D, I> Service<Accepted<I>> for Passthrough<R, A, D>
where
    R: Resolver,
    A: Authorizer,
    I: Socket + Sync,
    D: Service<Dial> + Clone + Send + Sync + 'static,
    D::Response: Socket,
    D::Error: Into<DialError>,
    D::Future: Send,
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
