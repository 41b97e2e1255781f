//! Connecting to one next hop.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::baggage::Baggage;
use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;
use mesh_core::resolve::{Hop, HopAddress, IpFamily, OutboundRoute};
use tokio::time::timeout;
use tower_service::Service;

use super::describe::describe;
use super::established::Established;
use super::{Outbound, Request};
use crate::client::Target;
use crate::io::Socket;
use crate::proxy::presence::unless_gone;
use crate::proxy::session::Session;
use crate::proxy::{Error, Leg, NameLookup, Upstream, headers};

/// Addresses of one host name that are tried.
const ADDRESSES: usize = 3;

impl<R, C, L> Outbound<R, C, L> {
    /// Connects to the next hop of a route, to each of its addresses within `limit`. Whatever fails has been reported.
    pub(super) async fn attempt<S>(
        &self,
        local: &Arc<Workload>,
        request: &Request,
        route: OutboundRoute,
        limit: Option<Duration>,
        client: &(impl Socket + Sync),
    ) -> Result<Established<S>, Error>
    where
        L: NameLookup,
        C: Service<Leg, Response = Upstream<S>, Error = Error> + Clone + Send + Sync,
        C::Future: Send,
    {
        let prepared = unless_gone(client, request.destination, async {
            let addresses = self.addresses(&route.hop).await?;
            let identity = presented(&route.hop, local)?;
            Ok((addresses, identity))
        });
        let (addresses, identity) = prepared
            .await
            .map_err(|error| self.rejected(request, error))?;
        let first = addresses.first().copied().unwrap_or(request.destination);
        let connection = describe(local, request, &route, identity.as_ref(), first);
        let mut session = Session::open(&self.telemetry, request.accepted, connection);
        let mut result = Err(Error::Drained);
        for address in addresses.into_iter().take(ADDRESSES) {
            session.connection_mut().destination_address = address;
            let leg = self.leg(local, request, &route, identity.as_ref(), address);
            let mut connector = self.connector.clone();
            let connect = async {
                std::future::poll_fn(|cx| connector.poll_ready(cx)).await?;
                let connecting = connector.call(leg);
                match limit {
                    None => connecting.await,
                    // In a box, so that connections without a limit have no room for it.
                    Some(limit) => Box::pin(within(limit, address, connecting)).await,
                }
            };
            result = unless_gone(client, request.destination, connect).await;
            match &result {
                Err(error) if error.is_worth_another_endpoint() => {}
                _ => break,
            }
        }
        match result {
            Ok(mut upstream) => {
                learn(&mut session, &route.hop, &mut upstream);
                Ok(Established {
                    session,
                    upstream,
                    admission: None,
                })
            }
            Err(error) => {
                session.close(Err(&error));
                Err(error)
            }
        }
    }

    /// The addresses of a next hop, best first, at least one.
    async fn addresses(&self, hop: &Hop) -> Result<Vec<SocketAddr>, Error>
    where
        L: NameLookup,
    {
        let (name, port, prefer) = match hop {
            Hop::Passthrough { to } => return Ok(vec![*to]),
            Hop::Tcp { to } | Hop::Hbone { to, .. } | Hop::DoubleHbone { gateway: to, .. } => {
                match to {
                    HopAddress::Ip(address) => return Ok(vec![*address]),
                    HopAddress::Hostname { name, port, prefer } => (name, *port, *prefer),
                }
            }
        };
        let found = self.lookup.lookup(name).await;
        let found = found.map_err(|source| Error::Lookup {
            name: name.as_str().into(),
            source,
        })?;
        Ok(preferred(&found, prefer, port))
    }

    /// Everything that connecting to a next hop needs.
    fn leg(
        &self,
        local: &Arc<Workload>,
        request: &Request,
        route: &OutboundRoute,
        identity: Option<&SpiffeId>,
        address: SocketAddr,
    ) -> Leg {
        let Some(identity) = identity else {
            return Leg::Tcp(address);
        };
        let headers = || {
            let service = route.service.as_deref();
            self.headers.request(local, request.client, service)
        };
        let target = |authority: String, expected| {
            Target::new(address, authority, identity.clone(), expected).with_headers(headers())
        };
        match &route.hop {
            Hop::Passthrough { .. } | Hop::Tcp { .. } => Leg::Tcp(address),
            Hop::Hbone {
                authority,
                expected,
                ..
            } => Leg::Hbone(target(
                authority.at(address.ip()).to_string(),
                expected.clone(),
            )),
            Hop::DoubleHbone {
                gateway_expected,
                authority,
                expected,
                ..
            } => {
                let gateway = target(authority.to_string(), gateway_expected.clone());
                let mut inner = target(authority.to_string(), expected.clone());
                headers::add_network(&mut inner.headers, local.network());
                Leg::DoubleHbone { gateway, inner }
            }
        }
    }
}

/// Connects within a time.
async fn within<T>(
    limit: Duration,
    address: SocketAddr,
    connecting: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout(limit, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(Error::ConnectTimeout { address, limit }),
    }
}

/// The identity to present to a next hop; `None` for plain TCP.
fn presented(hop: &Hop, local: &Workload) -> Result<Option<SpiffeId>, Error> {
    match hop {
        Hop::Passthrough { .. } | Hop::Tcp { .. } => Ok(None),
        Hop::Hbone { .. } | Hop::DoubleHbone { .. } => match local.identity() {
            Some(identity) => Ok(Some(identity)),
            None => Err(Error::NoIdentity {
                workload: local.uid().into(),
            }),
        },
    }
}

/// Adds what the tunnel tells about the other end.
fn learn<S>(session: &mut Session, hop: &Hop, upstream: &mut Upstream<S>) {
    let Upstream::Tunnel(tunnel) = upstream else {
        return;
    };
    let answer = tunnel.take_response_headers();
    let connection = session.connection_mut();
    connection.destination_identity = Some(tunnel.peer().identity().clone());
    if matches!(hop, Hop::DoubleHbone { .. }) {
        // Only what is behind the gateway knows which endpoint it became.
        let baggage = answer.as_ref().and_then(headers::baggage);
        connection.destination_baggage = baggage.map(Arc::<Baggage>::new);
    }
}

/// Addresses with a port, those of the preferred family first.
fn preferred(ips: &[IpAddr], prefer: IpFamily, port: u16) -> Vec<SocketAddr> {
    let mut ips = ips.to_vec();
    // Stable: the order of the lookup is kept within a family.
    ips.sort_by_key(|ip| IpFamily::of(*ip) != prefer);
    ips.into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect()
}
