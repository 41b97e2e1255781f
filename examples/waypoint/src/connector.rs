//! Connections to endpoints: HBONE to those that speak it, TCP to the others.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::baggage::Baggage;
use mesh_core::forwarded;
use mesh_core::identity::SpiffeId;
use mesh_core::resolve::{Hop, HopAddress};
use mesh_core::store::MeshStore;
use mesh_hbone::Client;
use mesh_hbone::awake::AwakeDialer;
use mesh_hbone::client::Target;
use mesh_hbone::proxy::{Dial, TcpDialer};
use mesh_l7::mesh::Endpoint;
use tower_service::Service;

use crate::config::Settings;
use crate::mesh::own;
use crate::stream::Stream;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
const SOURCE: HeaderName = HeaderName::from_static("x-istio-source");

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connects to endpoints, as the waypoint: connections are shared by all clients, so that they say nothing
/// of a client. Clones share the tunnel pool.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    dialer: AwakeDialer<TcpDialer>,
    tunnels: Client<AwakeDialer<TcpDialer>>,
    identity: SpiffeId,
    settings: Arc<Settings>,
    store: Arc<MeshStore>,
}

impl Connector {
    pub(crate) fn new(
        dialer: AwakeDialer<TcpDialer>,
        tunnels: Client<AwakeDialer<TcpDialer>>,
        identity: SpiffeId,
        settings: Arc<Settings>,
        store: Arc<MeshStore>,
    ) -> Self {
        Self {
            dialer,
            tunnels,
            identity,
            settings,
            store,
        }
    }

    async fn connect(mut self, endpoint: Endpoint) -> Result<Stream, BoxError> {
        match &endpoint.hop {
            Hop::Tcp { to } => {
                let dial = Dial::new(address(to).await?);
                Ok(Stream::Tcp(self.dialer.call(dial).await?))
            }
            Hop::Passthrough { to } => Ok(Stream::Tcp(self.dialer.call(Dial::new(*to)).await?)),
            Hop::Hbone {
                to,
                authority,
                expected,
            } => {
                let to = address(to).await?;
                let authority = authority.at(to.ip()).to_string();
                let target = Target::new(to, authority, self.identity.clone(), expected.clone());
                let target = target.with_headers(self.headers(&endpoint));
                Ok(Stream::Tunnel(Box::new(
                    self.tunnels.connect(target).await?,
                )))
            }
            Hop::DoubleHbone { .. } => {
                Err("endpoints of other networks are not reached yet".into())
            }
        }
    }

    /// Who connects, and for which service.
    fn headers(&self, endpoint: &Endpoint) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(SOURCE, HeaderValue::from_static("waypoint"));
        let own = own(&self.settings, &self.store.snapshot());
        let baggage = own.as_ref().map(|own| Baggage::of(own).encode());
        if let Some(Ok(baggage)) = baggage.map(HeaderValue::try_from) {
            headers.insert(BAGGAGE, baggage);
        }
        let ip = own.and_then(|own| own.ips().first().copied());
        let ip = ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let host = endpoint.service.spec().hostname.as_str();
        let forwarded = forwarded::encode(SocketAddr::new(ip, 0), Some(host));
        if let Ok(forwarded) = HeaderValue::try_from(forwarded) {
            headers.insert(FORWARDED, forwarded);
        }
        headers
    }
}

async fn address(to: &HopAddress) -> io::Result<SocketAddr> {
    match to {
        HopAddress::Ip(address) => Ok(*address),
        HopAddress::Hostname { name, port, .. } => {
            let mut addresses = tokio::net::lookup_host((name.as_str(), *port)).await?;
            addresses
                .next()
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }
}

impl Service<Endpoint> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, endpoint: Endpoint) -> Self::Future {
        Box::pin(self.clone().connect(endpoint))
    }
}
