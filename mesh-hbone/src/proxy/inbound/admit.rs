//! From a CONNECT request to a connection to the local workload.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use mesh_core::model::Workload;
use mesh_core::resolve::InboundRoute;
use mesh_core::telemetry::{Connection, Direction, Security};
use tokio::time::Instant;
use tower_service::Service;

use super::request::Request;
use super::{Admitted, Inbound, Refused};
use crate::Peer;
use crate::io::Socket;
use crate::proxy::authorize::decide;
use crate::proxy::connect::dial;
use crate::proxy::session::Session;
use crate::proxy::{Attributes, Authorizer, Dial, DialError, DialFrom, Error, Permit, Resolver};
use crate::proxy_protocol::Header;
use crate::server::{Incoming, Refusal};
use crate::sock::canonical;

impl<R, A, D> Inbound<R, A, D>
where
    R: Resolver,
    A: Authorizer,
    D: Service<Dial> + Clone + Send + Sync + 'static,
    D::Response: Socket,
    D::Error: Into<DialError>,
    D::Future: Send,
{
    /// Does everything that comes before the answer. Whatever fails has been reported.
    pub(super) async fn admit(
        &self,
        incoming: &mut Incoming,
        accepted: Instant,
    ) -> Result<Admitted<D::Response>, Refused> {
        let (local, request, route, prelude) = match self.resolve(incoming).await {
            Ok(resolved) => resolved,
            Err(refused) => {
                self.rejected(incoming, &refused.error);
                return Err(refused);
            }
        };
        let peer = incoming.peer().clone();
        let connection = self.describe(&peer, &local, request, &route);
        let session = Session::open(&self.telemetry, accepted, connection);
        match self.connect(incoming, &peer, &local, &route).await {
            Ok((permit, upstream)) => Ok(Admitted {
                session,
                permit,
                upstream,
                prelude,
                answer: self.answer(&local),
            }),
            Err(refused) => {
                session.close(Err(&refused.error));
                Err(refused)
            }
        }
    }

    async fn resolve(
        &self,
        incoming: &Incoming,
    ) -> Result<(Arc<Workload>, Request, InboundRoute, Option<Bytes>), Refused> {
        let request = Request::parse(incoming).map_err(|error| Refused {
            refusal: Refusal::BadRequest,
            error,
        })?;
        let unavailable = |error| Refused {
            refusal: Refusal::Unavailable,
            error,
        };
        let local = self.resolver.local().await;
        let local = local.map_err(|error| unavailable(error.into()))?;
        let question = request.resolvable(&local, incoming.peer());
        let route = self.resolver.inbound(&local, &question).await;
        let route = route.map_err(|error| Refused {
            refusal: refusal(error.status()),
            error: error.into(),
        })?;
        let prelude = proxy_header(incoming.peer(), &route).map_err(unavailable)?;
        Ok((local, request, route, prelude))
    }

    /// Asks policy, then dials.
    async fn connect(
        &self,
        incoming: &mut Incoming,
        peer: &Peer,
        local: &Arc<Workload>,
        route: &InboundRoute,
    ) -> Result<(Permit, D::Response), Refused> {
        let attributes = Attributes {
            source: canonical(peer.addr()),
            identity: Some(peer.identity()),
            destination: route.destination,
            workload: local,
        };
        let within = self.options.decision_timeout;
        let connect = async {
            let mut permit = tokio::select! {
                biased;
                permit = decide(&self.authorizer, &attributes, within) => permit,
                () = incoming.closed() => Err(gone(incoming, route)),
            }?;
            let mut dialer = self.dialer.clone();
            let connect = async {
                tokio::select! {
                    biased;
                    result = dial(&mut dialer, self.dial(peer, route)) => result.map_err(Error::Dial),
                    () = incoming.closed() => Err(gone(incoming, route)),
                }
            };
            let upstream = permit.guard(connect).await?;
            Ok((permit, upstream))
        };
        connect.await.map_err(|error| Refused {
            refusal: match error {
                Error::Denied { .. } | Error::Revoked { .. } => Refusal::Unauthorized,
                _ => Refusal::Unavailable,
            },
            error,
        })
    }

    fn dial(&self, peer: &Peer, route: &InboundRoute) -> Dial {
        let from = if route.dial_from_loopback {
            DialFrom::Loopback
        } else if self.options.preserve_source {
            DialFrom::Preserve(peer.addr().ip())
        } else {
            DialFrom::Any
        };
        Dial::new(route.dial).from(from)
    }

    fn describe(
        &self,
        peer: &Peer,
        local: &Arc<Workload>,
        request: Request,
        route: &InboundRoute,
    ) -> Connection {
        let mut connection = Connection::new(Direction::Inbound, peer.addr(), peer.local_addr());
        connection.security = Security::MutualTls;
        connection.source = route.source.clone();
        if connection.source.is_none() && self.options.baggage {
            // What is known of a workload goes before what is said of it, and saves the memory.
            connection.source_baggage = request.baggage.map(Arc::new);
        }
        connection.source_identity = Some(peer.identity().clone());
        connection.destination = Some(local.clone());
        connection.destination_identity = local.identity();
        connection.service = route.service.clone();
        connection.hbone_authority = Some(request.authority.to_string().into());
        connection
    }

    fn answer(&self, local: &Arc<Workload>) -> HeaderMap {
        if self.options.baggage {
            self.headers.answer(local)
        } else {
            HeaderMap::new()
        }
    }
}

/// Why nobody waits for the answer any more.
fn gone(incoming: &Incoming, route: &InboundRoute) -> Error {
    let destination = route.dial;
    incoming
        .lost()
        .map_or(Error::ClientGone { destination }, Error::Lost)
}

/// The refusal with a status that resolution asks for.
fn refusal(status: u16) -> Refusal {
    match status {
        400 => Refusal::BadRequest,
        401 => Refusal::Unauthorized,
        _ => Refusal::Unavailable,
    }
}

fn proxy_header(peer: &Peer, route: &InboundRoute) -> Result<Option<Bytes>, Error> {
    let Some(target) = &route.proxy_header else {
        return Ok(None);
    };
    let mut header = Header::tcp(peer.addr(), target.destination).with_identity(peer.identity());
    if let Some(service) = &target.service {
        header = header.with_service(service);
    }
    header.encode().map(Some).map_err(Error::ProxyHeader)
}
